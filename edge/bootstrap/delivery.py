"""The way to the hub: the connection, its last will, and what is delivered over it."""

import random
import threading
from dataclasses import dataclass

from edge.adapters.mqtt_uplink import MqttUplink
from edge.bootstrap.broker import broker_address
from edge.bootstrap.disk import Disk
from edge.bootstrap.process import software
from edge.bootstrap.telling import live_condition
from edge.core.conversation import Conversation
from edge.core.telling import UnitFacts
from edge.loops.delivery import DeliveryLoop
from edge.loops.gallery import GalleryKeeper
from edge.loops.surroundings import UnitSurroundings
from edge.loops.vision import VisionLoop
from edge.settings import EdgeSettings
from protocol import codec, topics
from protocol.status import Status
from protocol.topics import Address


@dataclass(frozen=True, slots=True)
class Line:
    """The way to the hub; `trial` is set while a new model pack is tried out, which takes long."""

    delivery: DeliveryLoop
    uplink: MqttUplink
    trial: threading.Event


def open_line(
    settings: EdgeSettings, disk: Disk, watching: VisionLoop, keeper: GalleryKeeper, trial: threading.Event
) -> Line:
    """Return the way to the hub, not connected yet: one start of the program is one session. Raises KeyUnusable."""
    journal, recorder = disk.journal, watching.recorder
    session = journal.next_session()
    uplink = _uplink(settings, journal.epoch, session)
    pack_id = watching.vision.eyes.embedder.pack_id
    delivery = DeliveryLoop(
        conversation=Conversation(
            UnitFacts(settings.site, settings.unit_id, software(), pack_id, session),
            journal,
            disk.clock.new_id,
            random.random,
            UnitSurroundings(disk.health, keeper, recorder, live_condition(disk, settings, watching)),
            settings.delivery.status_every_s,
        ),
        journal=journal,
        recorder=recorder,
        keeper=keeper,
        uplink=uplink,
        news=uplink.news,
        clock=disk.clock,
        health=disk.health,
        on_new_epoch=lambda epoch: _renew_will(settings, uplink, epoch, session),
        storage=disk.storage,
    )
    return Line(delivery, uplink, trial)


def _uplink(settings: EdgeSettings, epoch: str, session: int) -> MqttUplink:
    subscription = topics.unit_filter(settings.site, settings.unit_id)
    return MqttUplink(broker_address(settings), subscription, will=_will(settings, epoch, session))


def _will(settings: EdgeSettings, epoch: str, session: int) -> tuple[Address, bytes]:
    address = topics.up(settings.site, settings.unit_id, "status")
    return address, codec.encode(Status(state="lost", session=session, epoch=epoch))


def _renew_will(settings: EdgeSettings, uplink: MqttUplink, epoch: str, session: int) -> None:
    """Have the broker tell of the new stream when the unit vanishes: it takes a will only with a connection."""
    uplink.set_will(*_will(settings, epoch, session))
    uplink.reconnect()

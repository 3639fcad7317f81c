"""Faults of galleries and packs on their way to a unit."""

import json
import queue
import shutil
from pathlib import Path

from deploy.own_process import wait_until
from deploy.stage import SITE
from hub.office import consents, students
from recognition.adapters.pack_files import Manifest, embedder_pack_id
from tests.faults.bench import Bench, settled
from tests.faults.catalogue import Catalogue, Outcome
from tests.faults.crash_points import GALLERY_POINTS
from tests.faults.processes import crash_unit_at
from tests.faults.school import SECTION, School, add_templates, student_id
from tests.faults.stranger import Stranger

FAULTS = Catalogue()


def enrol_one_more(school: School) -> int:
    """Add a student with a template; every gallery changes. Return the student's number."""
    office = school.office_in_process
    number = len(students.list_students(office)) + 1
    form = {"serial_number": f"{number:04d}", "name": f"Student {number}", "section": SECTION}
    students.add_student(office, form)
    consents.give_consent(office, {"serial_number": f"{number:04d}", "given_by": "the bench"})
    add_templates(office, school.pack, range(number, number + 1))
    return number


def galleries_agree(school: School) -> bool:
    """Tell whether every unit has the gallery the hub wants it to have."""
    wanted = school.hub_record().gallery_hashes
    return len(wanted) == len(school.units) and all(
        unit.record().gallery_hash == wanted[unit.unit_id] for unit in school.units
    )


@FAULTS.fault(37, "pieces of galleries twice, late and in any order")
def pieces_in_disorder(bench: Bench) -> Outcome:
    changes = bench.fewer(12, 4)
    with bench.school(count=2) as school, Stranger(school.broker.port, SITE, school.unit.unit_id) as stranger:
        stranger.listen(f"rollcall/1/{SITE}/down/#")
        school.run_units()
        repeated = 0
        old: list[tuple[str, bytes]] = []
        for _ in range(changes):
            enrol_one_more(school)
            bench.pause(1)
            heard = _everything(stranger)
            # Old and new together, heads of earlier revisions too.
            old = (old + heard)[-200:]
            for topic, payload in bench.chance.sample(old, min(len(old), 40)):
                stranger.repeat(topic, payload)
                repeated += 1
        wrong = [] if wait_until(lambda: galleries_agree(school), 60) else ["a unit does not get the newest gallery"]
        return settled(school, changes, f"{repeated} messages repeated", wrong=wrong)


def _everything(stranger: Stranger) -> list[tuple[str, bytes]]:
    heard: list[tuple[str, bytes]] = []
    while True:
        try:
            topic, payload = stranger.heard.get_nowait()
        except queue.Empty:
            return heard
        if topic.endswith(("/part", "/head")):
            heard.append((topic, payload))


@FAULTS.fault(38, "a piece of a gallery is damaged, missing, or the transfer is interrupted")
def damaged_pieces(bench: Bench) -> Outcome:
    runs = bench.fewer(6, 2)
    wrong = []
    with bench.school() as school, Stranger(school.broker.port, SITE, school.unit.unit_id) as stranger:
        school.run_units()
        stranger.listen(f"rollcall/1/{SITE}/down/{school.unit.unit_id}/part")
        for number in range(runs):
            enrol_one_more(school)
            bench.pause(0.5)
            for topic, payload in _everything(stranger):
                part = json.loads(payload)
                if part.get("data"):
                    part["data"] = part["data"][:-8] + "AAAAAAA="
                stranger.repeat(topic, json.dumps(part).encode())
            if number % 2:
                school.unit.program.kill()
                school.unit.begin()
            if not wait_until(lambda: galleries_agree(school), 60):
                wrong.append(f"after damage {number + 1} the unit does not get the newest gallery")
        for point in GALLERY_POINTS:
            enrol_one_more(school)
            if problem := crash_unit_at(school, point):
                wrong.append(problem)
        return settled(school, runs + len(GALLERY_POINTS), wrong=wrong)


@FAULTS.fault(39, "somebody withdraws consent while the unit is away")
def erased_while_away(bench: Bench) -> Outcome:
    with bench.school() as school:
        unit = school.unit
        school.run_units()
        gone = student_id(school, 3)
        wait_until(lambda: _seen(school, gone) > 0, 30)
        unit.program.stop()
        consents.withdraw_consent(school.office_in_process, "0003")
        unit.begin()
        agreed = wait_until(lambda: galleries_agree(school), 30)
        wrong = [] if agreed else ["the unit does not get the gallery without them"]
        bench.pause(2)
        before = _seen(school, gone)
        bench.pause(bench.fewer(30, 12))
        after = _seen(school, gone)
        if after != before:
            wrong.append(f"seen {after - before} times after they were erased")
        if not school.query("SELECT 1 FROM erasures WHERE confirmed_at IS NOT NULL"):
            wrong.append("the unit did not confirm the erasure")
        return settled(school, more="the face is not recognised any more and the erasure is confirmed", wrong=wrong)


def _seen(school: School, student: str) -> int:
    digits = student.replace("-", "")
    found = school.query(f"SELECT COUNT(*) FROM events WHERE kind = 'seen' AND student_id = x'{digits}'")  # noqa: S608
    return int(str(found[0][0]))


@FAULTS.fault(40, "another model pack at the hub: vectors of two packs are never compared")
def other_pack(bench: Bench) -> Outcome:
    with bench.folder() as folder, bench.school() as school:
        unit = school.unit
        school.run_units()
        other = other_pack_of(school.pack, folder / "other")
        before = json.loads((school.pack / "manifest.json").read_text())["pack_id"]
        after = json.loads((other / "manifest.json").read_text())["pack_id"]
        school.hub.stop()
        add_templates(school.office_in_process, other)
        school.hub.variables["ROLLCALL_HUB_RECOGNITION__PACK_DIR"] = str(other)
        school.hub.start()
        fetched = wait_until(lambda: _packs_seen(school) == {before, after} or not unit.program.running, 90)
        if not unit.program.running:
            # A program that changes its pack may end for that: systemd starts it again.
            unit.program.kill()
            unit.begin()
            fetched = wait_until(lambda: _packs_seen(school) == {before, after}, 60)
        rows = school.query("SELECT DISTINCT JSON_VALUE(body, '$.pack_id'), JSON_VALUE(body, '$.gallery_revision')"
                            " FROM events WHERE kind = 'seen'")  # fmt: skip
        revisions: dict[str, set[str]] = {}
        for pack_id, revision in rows:
            revisions.setdefault(str(revision), set()).add(str(pack_id))
        wrong = [f"revision {one} was used with two packs" for one, packs in revisions.items() if len(packs) > 1]
        if not fetched:
            wrong.append("the unit recognises nobody with the new pack within 90 s")
        return settled(school, more=f"seen with {sorted(_packs_seen(school))}", wrong=wrong)


def _packs_seen(school: School) -> set[str]:
    rows = school.query("SELECT DISTINCT JSON_VALUE(body, '$.pack_id') FROM events WHERE kind = 'seen'")
    return {str(row[0]) for row in rows}


def other_pack_of(pack: Path, folder: Path) -> Path:
    """Return a copy of a pack that makes other templates, as far as anybody can tell."""
    shutil.copytree(pack, folder)
    path = folder / "manifest.json"
    said = json.loads(path.read_text())
    said["embedder"]["weights_sha256"] = "ab" * 32
    manifest = Manifest.model_validate_json(json.dumps(said))
    said["pack_id"] = embedder_pack_id(manifest.name, manifest.embedder)
    path.write_text(json.dumps(said))
    return folder

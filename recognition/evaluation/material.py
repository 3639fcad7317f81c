"""Everybody's vectors, gathered from pictures: what all figures of an evaluation are computed from."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from recognition.core.face import Vector
from recognition.core.quality import QualityLimits
from recognition.evaluation.dataset import DataSet, EvaluationRefused
from recognition.evaluation.faces import PictureReader, Reference, SeenPicture, reference_vectors
from recognition.evaluation.resume import Memory

Seen = list[Vector | None]


class Watcher(Protocol):
    """Is told how far a long piece of work has come."""

    def stage(self, text: str, total: int) -> AbstractContextManager[Callable[[], None]]:
        """Open a piece of work of `total` steps; the function it gives is called after each."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """What is seen in everybody's pictures, by number of person; strangers come after the enrolled people."""

    data_set: DataSet
    enrol: tuple[tuple[SeenPicture, ...], ...]
    probes: tuple[tuple[SeenPicture, ...], ...]

    @property
    def strata(self) -> np.ndarray:
        """Return 0 for each enrolled person and 1 for each stranger."""
        return np.array([0] * len(self.data_set.enrolled) + [1] * len(self.data_set.strangers), dtype=np.int64)

    def with_files(self) -> Iterator[tuple[Path, SeenPicture]]:
        """Yield every picture with its file: each person's enrolment pictures, then the others."""
        for person, enrol, probes in zip(self.data_set.everybody, self.enrol, self.probes, strict=True):
            yield from zip(person.enrol, enrol, strict=True)
            yield from zip(person.probes, probes, strict=True)


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Vectors by number of person; None where no face could be used.

    `enrolled` make templates, `probes` are looked for, `anything` is every picture as a probe: what a person shows
    while their own template is left out.
    """

    dimensions: int
    enrolled: tuple[Seen, ...]
    probes: tuple[Seen, ...]
    anything: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class Captures:
    """How many pictures there were and what became of them. FTE and FTA are in the figures: they count as misses."""

    enrolment_pictures: int
    enrolment_failures: int
    people_not_enrolled: int
    probe_pictures: int
    probe_failures: int
    stranger_pictures: int
    stranger_failures: int
    copies_left_out: int
    refused_by_enrolment: int
    problems: tuple[tuple[str, int], ...]
    refusals: tuple[tuple[str, int], ...]


def look_at_everybody(data_set: DataSet, reader: PictureReader, watcher: Watcher) -> tuple[Pictures, int]:
    """Read every picture; return them, and how many probes were left out because they are enrolment pictures.

    Raises EvaluationRefused when fewer than two people can be enrolled.
    """
    enrol, probes, copies = [], [], 0
    with watcher.stage("Looking at the pictures", data_set.pictures) as step:
        for person in data_set.everybody:
            seen = [_watched(reader, path, step, enrolling=True) for path in person.enrol]
            known = {picture.sha256 for picture in seen if picture.sha256}
            shown = [_watched(reader, path, step, enrolling=False) for path in person.probes]
            # The very file a template was made of is found every time and says nothing.
            kept = [_copy_left_out(picture) if picture.sha256 in known else picture for picture in shown]
            copies += sum(picture.problem == _COPY for picture in kept)
            enrol.append(tuple(seen))
            probes.append(tuple(kept))
    able = sum(any(picture.enrolled is not None for picture in person) for person in enrol)
    if able < 2:
        raise EvaluationRefused(
            f"a face to enrol was found of {able} people; at least two are needed",
            hint="are these pictures in which one face is seen from the front?",
        )
    return Pictures(data_set, tuple(enrol), tuple(probes)), copies


def material_of(pictures: Pictures, dimensions: int) -> Material:
    """Return the pack's own vectors: templates from the pack's views, probes from one plain look."""
    enrolled = tuple([picture.enrolled for picture in person] for person in pictures.enrol)
    probes = tuple([p.probe for p in person if p.problem != _COPY] for person in pictures.probes)
    plain = tuple([picture.probe for picture in person] for person in pictures.enrol)
    anything = tuple(one + other for one, other in zip(plain, probes, strict=True))
    return Material(dimensions, enrolled[: len(pictures.data_set.enrolled)], probes, anything)


def reference_material(pictures: Pictures, reference: Reference, memory: Memory, watcher: Watcher) -> Material:
    """Return the vectors that another way gives for the same faces; templates from plain looks as well."""
    with watcher.stage(f"Looking at the pictures with {reference.name}", pictures.data_set.pictures) as step:
        vectors = iter(reference_vectors(pictures.with_files(), reference, memory, step))
        enrolled, probes = [], []
        for enrol, others in zip(pictures.enrol, pictures.probes, strict=True):
            enrolled.append([next(vectors) for _ in enrol])
            looked = [next(vectors) for _ in others]
            probes.append([v for v, p in zip(looked, others, strict=True) if p.problem != _COPY])
    found = [vector for person in (*enrolled, *probes) for vector in person if vector is not None]
    if not found:
        raise EvaluationRefused(f"{reference.name} found no face in any picture")
    anything = tuple(one + other for one, other in zip(enrolled, probes, strict=True))
    return Material(len(found[0]), tuple(enrolled[: len(pictures.data_set.enrolled)]), tuple(probes), anything)


def captures_of(pictures: Pictures, copies: int, limits: QualityLimits) -> Captures:
    """Return what became of the pictures."""
    number = len(pictures.data_set.enrolled)
    enrol = [picture for person in pictures.enrol for picture in person]
    probes = [p for person in pictures.probes[:number] for p in person if p.problem != _COPY]
    strangers = [picture for person in pictures.probes[number:] for picture in person]
    everything = [*enrol, *probes, *strangers]
    refusals = [picture.refusals(limits) for picture in enrol]
    return Captures(
        enrolment_pictures=len(enrol),
        enrolment_failures=_failures(enrol),
        people_not_enrolled=sum(_failures(person) == len(person) for person in pictures.enrol[:number]),
        probe_pictures=len(probes),
        probe_failures=_failures(probes),
        stranger_pictures=len(strangers),
        stranger_failures=_failures(strangers),
        copies_left_out=copies,
        refused_by_enrolment=sum(bool(words) for words in refusals),
        problems=_counted([picture.problem for picture in everything if picture.problem]),
        refusals=_counted([word for words in refusals for word in words]),
    )


_COPY = "copy"


def _copy_left_out(picture: SeenPicture) -> SeenPicture:
    return SeenPicture(picture.sha256, _COPY)


def _watched(reader: PictureReader, path: Path, step: Callable[[], None], *, enrolling: bool) -> SeenPicture:
    seen = reader.read(path, enrolling=enrolling)
    step()
    return seen


def _failures(pictures: Sequence[SeenPicture]) -> int:
    return sum(picture.probe is None for picture in pictures)


def _counted(words: Sequence[str]) -> tuple[tuple[str, int], ...]:
    return tuple((word, words.count(word)) for word in sorted(set(words)))

"""Duplicates and bad reference photos on people whom no limit was set with: what enrolment finds, what it says wrongly.

`python -m tests.hub_enrolment_figures PACK FACES` prints the table; FACES has `index.csv` with the columns file,
identity, role (enrol, probe, stranger). Every picture goes through what `rollcall-hub enrol` does with it; that takes
some minutes, so it is no part of `make test`. The same counting on half of the people is
`tests/recognition_adapters/test_held_out_people.py`.
"""

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hub.adapters.pack_faces import PackFaces
from hub.core.enrolment_gallery import EnrolmentGallery, Limits
from hub.core.enrolment_outliers import judge_together
from recognition.core.errors import PictureRefused
from recognition.core.face import Vector
from recognition.core.gallery import Template
from recognition.evaluation.bounds import exact_interval

AGAIN = 20
"""How many people are enrolled again under another name."""

People = Mapping[str, Sequence[Vector]]


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many."""

    what: str
    found: int
    of: int

    def line(self) -> str:
        """Return a line of the table, with the exact 95 % interval."""
        between = exact_interval(self.found, self.of)
        return (
            f"{self.what:<78} {self.found:>4} of {self.of:<4} ({100 * between.low:.1f} to {100 * between.high:.1f} %)"
        )


def gallery_of(people: People, dimensions: int, *, pictures: int | None = None) -> EnrolmentGallery:
    """Return everybody enrolled with their first pictures."""
    templates = [Template(name, "figures", np.stack(vectors[:pictures])) for name, vectors in people.items() if vectors]
    return EnrolmentGallery(templates, "figures", dimensions)


def called(gallery: EnrolmentGallery, vectors: Sequence[Vector], limits: Limits, *, name: str = "new") -> set[str]:
    """Return whose face the pictures of a student are said to be; empty: all of them are accepted."""
    verdicts = [gallery.judge(name, vector, limits, allowed=()) for vector in vectors]
    return {verdict.looks_like or "" for verdict in verdicts if verdict.outcome == "look_alike"}


def found_again(gallery: EnrolmentGallery, again: People, limits: Limits, *, pictures: int | None) -> int:
    """Return how many people are found to be enrolled already; a wrong name does not count."""
    return sum(name in called(gallery, vectors[:pictures], limits) for name, vectors in again.items())


def wrongly_called(people: People, dimensions: int, limits: Limits, *, pictures: int | None) -> int:
    """Return how many people are said to be somebody else of these, each compared with all others."""
    gallery = gallery_of(people, dimensions, pictures=pictures)
    return sum(bool(called(gallery, vectors[:pictures], limits, name=name)) for name, vectors in people.items())


def odd_ones(people: People, bad: Sequence[Vector], limits: Limits) -> tuple[int, int, int]:
    """Return of how many people a bad first picture is found by the others, with how many good ones refused.

    And of how many pictures that is: those of people with two good ones at least.
    """
    found = refused = good = 0
    for (_, vectors), stranger in zip(people.items(), bad, strict=False):
        if len(vectors) < 2:
            continue
        standings = judge_together([stranger, *vectors], [], limits).standings
        found += standings[0] == "not_like_the_others"
        refused += sum(standing != "agrees" for standing in standings[1:])
        good += len(vectors)
    return found, refused, good


def table(enrol: People, probe: People, strangers: People, faces: PackFaces) -> list[Share]:
    """Return the whole measurement, at the limits the product uses."""
    limits = faces.limits(len(enrol))
    again = {name: probe[name] for name in sorted(probe)[:AGAIN]}
    shares = []
    for pictures, words in ((1, "with 1 picture"), (None, "with all pictures")):
        gallery = gallery_of(enrol, faces.dimensions, pictures=pictures)
        for probes, given in ((1, "1 picture"), (None, "all pictures")):
            found = found_again(gallery, again, limits, pictures=probes)
            shares.append(Share(f"enrolled {words}, again with {given}: found", found, len(again)))
        found = found_again(gallery, probe, limits, pictures=1)
        shares.append(Share(f"enrolled {words}, everybody again with 1 picture: found", found, len(probe)))
        shares.append(
            Share(
                f"{words}: called somebody else of the others",
                wrongly_called(enrol, faces.dimensions, limits, pictures=pictures),
                len(enrol),
            )
        )
        wrong = sum(bool(called(gallery, vectors, limits)) for vectors in strangers.values())
        shares.append(Share(f"enrolled {words}: strangers called one of them", wrong, len(strangers)))
    bad = [vectors[0] for vectors in strangers.values()]
    for pictures in (2, None):
        chosen = {name: vectors[:pictures] for name, vectors in enrol.items()}
        found, refused, good = odd_ones(chosen, bad, limits)
        people = sum(len(vectors) > 1 for vectors in chosen.values())
        shares.append(Share(f"a stranger's picture before {pictures or 'all'} good ones: found", found, people))
        shares.append(Share("  good ones refused", refused, good))
    return shares


def vectors_of(faces: PackFaces, folder: Path) -> tuple[dict[str, dict[str, list[Vector]]], dict[str, int]]:
    """Return vectors by role and identity, and how many pictures of each role are refused."""
    people: dict[str, dict[str, list[Vector]]] = {"enrol": {}, "probe": {}, "stranger": {}}
    refused = dict.fromkeys(people, 0)
    with (folder / "index.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            try:
                face = faces.face_of((folder / row["file"]).read_bytes(), row["file"])
            except PictureRefused:
                refused[row["role"]] += 1
                continue
            people[row["role"]].setdefault(row["identity"], []).append(face.vector)
    return people, refused


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", type=Path)
    parser.add_argument("faces", type=Path)
    chosen = parser.parse_args()
    faces = PackFaces(chosen.pack, smallest_face_px=80, fpir=0.01)
    people, refused = vectors_of(faces, chosen.faces)
    limits = faces.limits(len(people["enrol"]))
    said = f"limits: {limits.anybody:.3f} for somebody else, {limits.own:.3f} for one's own; refused: {refused}"
    lines = [said, *(share.line() for share in table(people["enrol"], people["probe"], people["stranger"], faces))]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""The two constants of the original system, by name, for comparison only: nothing here decides about a person.

They are Euclidean distances between FaceNet-128 vectors as the network gives them. Here vectors are brought to unit
length, after which no distance exceeds 2 and both constants would accept everybody; other networks give vectors of
other lengths. So they are given out for FaceNet alone, with a function that keeps the length.
"""

from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

LegacyName = Literal["duplicate", "attendance"]

LEGACY_DISTANCES = MappingProxyType({"duplicate": 3.0, "attendance": 15.0})
"""`duplicate`: closer than this at registration was the same person. `attendance`: closer than this was marked.

On the labelled pairs DeepFace publishes with FaceNet distances, the first finds no pair of one person and the second
accepts 17.9 % of the pairs of two people; 12.0 would find 99.3 % and accept none.
"""

LEGACY_PACK = "facenet"
"""The name of the only pack whose network these distances belong to (not `facenet512`)."""


def legacy_distance(name: str, pack_name: str) -> float:
    """Return the constant called `name`; ValueError for another name, or for a pack of another network."""
    if name not in get_args(LegacyName):
        raise ValueError(f"there is no legacy threshold {name!r}: they are {', '.join(LEGACY_DISTANCES)}")
    if pack_name != LEGACY_PACK:
        raise ValueError(f"the legacy thresholds are distances of {LEGACY_PACK}: they say nothing about {pack_name}")
    return LEGACY_DISTANCES[name]


def raw_distances(probes: NDArray[np.floating], enrolled: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (n, m) Euclidean distances between rows (n, d) and (m, d) of any length, as the original compares them.

    Raises ValueError for other shapes and for values that are not finite.
    """
    one, other = np.asarray(probes, dtype=np.float64), np.asarray(enrolled, dtype=np.float64)
    if one.ndim != 2 or other.ndim != 2 or one.shape[1] != other.shape[1]:
        raise ValueError(f"vectors of shapes {one.shape} and {other.shape} cannot be compared")
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError("vectors that are not finite cannot be compared")
    squares = (one**2).sum(axis=1)[:, np.newaxis] + (other**2).sum(axis=1) - 2 * one @ other.T
    # Rounding makes the distance of a vector to itself a little negative.
    distances: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0.0))
    return distances

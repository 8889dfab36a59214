"""Histogram of numbers whose bins nobody has to choose, and that merges without error.

A float's 64 bits, as a whole number that rises with the float, are cut to their upper bits: neighbours fall into one bin, whose
edges are the floats of the two cut numbers. Cutting one more bit joins bins in pairs. A histogram has the finest bins of which
at most 64 are filled, and that lie within a bounded span; both can only get coarser as rows are added, so the histogram of all
rows is the same in whatever blocks they came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from mlray.vault.version import Json

Whole = NDArray[np.int64]
Numbers = NDArray[np.float64]
BINS = 64
SPAN = 1 << 14  # bins from the lowest to the highest, filled or not: what is counted at once
LOWER = np.int64(0x7FFFFFFFFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Histogram:
    """`counts` rows in the bins `keys`, in order; a bin is `shift` bits wide."""

    shift: int
    keys: Whole
    counts: Whole

    @property
    def low(self) -> Numbers:
        """Smallest number of each bin."""
        return _floats(self.keys << np.int64(self.shift))

    @property
    def high(self) -> Numbers:
        """Smallest number above each bin."""
        return _floats((self.keys + 1) << np.int64(self.shift))

    def coarser(self, bits: int) -> Histogram:
        """The same rows in bins of so many more bits."""
        if not bits or not len(self.keys):
            return Histogram(self.shift + bits, self.keys, self.counts)
        keys = self.keys >> np.int64(bits)
        begins = np.concatenate(([0], np.flatnonzero(keys[1:] != keys[:-1]) + 1))
        return Histogram(self.shift + bits, keys[begins], np.add.reduceat(self.counts, begins))

    def to_json(self) -> Json:
        first = int(self.keys[0]) if len(self.keys) else 0
        gaps = (self.keys[1:] - self.keys[:-1]).tolist()
        return {"shift": self.shift, "first": first, "gaps": [0, *gaps] if len(self.keys) else [], "counts": self.counts.tolist()}

    @classmethod
    def from_json(cls, value: Json) -> Histogram:
        assert isinstance(value, dict)
        gaps, counts = np.array(value["gaps"], np.int64), np.array(value["counts"], np.int64)
        return cls(int(str(value["shift"])), int(str(value["first"])) + np.cumsum(gaps), counts)


EMPTY = Histogram(0, np.zeros(0, np.int64), np.zeros(0, np.int64))


def of(numbers: Numbers) -> Histogram:
    """Of finite numbers."""
    if not len(numbers):
        return EMPTY
    keys = _keys(numbers)
    lowest, highest = int(keys.min()), int(keys.max())
    shift = _spanning(lowest, highest, 0)
    keys = keys >> np.int64(shift)
    keys -= np.int64(lowest >> shift)
    counts = np.bincount(keys)
    filled = np.flatnonzero(counts)
    return _fewer(Histogram(shift, filled + np.int64(lowest >> shift), counts[filled]))


def of_counts(numbers: Numbers, counts: Whole) -> Histogram:
    """Of different finite numbers in rising order, each so often; the same as `of` all of them."""
    keys = _keys(numbers)
    return _fewer(Histogram(0, keys, counts).coarser(_spanning(int(keys[0]), int(keys[-1]), 0)))


def merge(found: Sequence[Histogram]) -> Histogram:
    return reduce(_both, found, EMPTY)


def align(left: Histogram, right: Histogram) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The counts of two histograms over the same bins, those filled in either, in order."""
    shift = max(left.shift, right.shift)
    one, two = left.coarser(shift - left.shift), right.coarser(shift - right.shift)
    keys = np.union1d(one.keys, two.keys)
    counts = np.zeros((2, len(keys)))
    for row, side in zip(counts, (one, two), strict=True):
        row[np.searchsorted(keys, side.keys)] = side.counts
    return counts[0], counts[1]


def _both(left: Histogram, right: Histogram) -> Histogram:
    if not len(left.keys) or not len(right.keys):
        return right if len(right.keys) else left
    shift = max(left.shift, right.shift)
    sides = (left.coarser(shift - left.shift), right.coarser(shift - right.shift))
    lowest, highest = (int(pick([pick(side.keys) for side in sides])) for pick in (min, max))
    wider = _spanning(lowest, highest, 0)
    one, two = (side.coarser(wider) for side in sides)
    keys, where = np.unique(np.concatenate([one.keys, two.keys]), return_inverse=True)
    counts = np.zeros(len(keys), np.int64)
    np.add.at(counts, where, np.concatenate([one.counts, two.counts]))
    return _fewer(Histogram(shift + wider, keys, counts))


def _spanning(lowest: int, highest: int, shift: int) -> int:
    """Bits to cut until both lie within the span."""
    while (highest >> shift) - (lowest >> shift) >= SPAN:
        shift += 1
    return shift


def _fewer(found: Histogram) -> Histogram:
    """The finest of which at most so many bins are filled. Each bit halves them at best, so fewer bits need not be tried."""
    while len(found.keys) > BINS:
        found = found.coarser(((len(found.keys) - 1) // BINS).bit_length())
    return found


def _keys(numbers: Numbers) -> Whole:
    """Whole numbers in the order of the floats; -0.0 is 0.0."""
    if numbers.min() > 0:
        return numbers.view(np.int64)
    bits = (numbers + 0.0).view(np.int64)
    return bits ^ ((bits >> np.int64(63)) & LOWER)


def _floats(keys: Whole) -> Numbers:
    return (keys ^ ((keys >> np.int64(63)) & LOWER)).view(np.float64)

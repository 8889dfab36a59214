"""Shortfall: the chance that so many nodes are missing at one moment, because they were lost less than a cold start ago."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, chain, pairwise
from math import exp, prod
from operator import mul

import numpy as np
from numpy.typing import NDArray

# Above so many spares arrays are faster than lists.
FEW = 6


def chances(hazards: Sequence[float], nodes: int, window_s: float) -> tuple[float, ...]:
    """The chance that at least 1, 2, ... of the nodes of one zone were lost in the window.

    `hazards[c]` are the losses a second that leave at most c nodes (hazard.py). With exponential times between them, a loss
    that leaves at most nodes - k fell into the window with chance 1 - exp(-hazard * window).
    """
    return tuple(1.0 - exp(-hazards[nodes - k] * window_s) for k in range(1, nodes + 1))


def missing_more(zones: Sequence[tuple[float, ...]], spare: int, coupling: float) -> float:
    """The chance that more than `spare` nodes are missing over all zones, each given by its `chances`.

    With weight 1 - coupling the zones fall apart from one another, with weight `coupling` all together: then the same luck
    drives every zone, and each loses what it loses in the worst such part of the time.
    """
    if spare < 0:
        return 1.0
    apart = 1.0 - _at_most(zones, spare)
    return (1.0 - coupling) * apart + coupling * max(apart, _one_luck(zones, spare))


def merged(zones: Sequence[tuple[float, ...]], kinship: float) -> tuple[float, ...]:
    """The chance that at least 1, 2, ... nodes of a region are missing, as if it were one zone.

    With weight `kinship` one luck drives all its zones, with the rest of the weight they fall apart from one another.
    """
    if len(zones) == 1:
        return zones[0]
    levels = sorted(chain.from_iterable(zones), reverse=True)
    apart = _apart(zones) if len(levels) > FEW else _few_apart(zones)
    return tuple(a + kinship * (one - a) if one > a else a for a, one in zip(apart, levels, strict=True))


def _apart(zones: Sequence[tuple[float, ...]]) -> list[float]:
    """The chance that at least 1, 2, ... are missing when zones are independent."""
    many = np.ones(1)
    for chance in zones:
        many = np.convolve(many, _exactly(chance))
    found: list[float] = np.cumsum(many[:0:-1])[::-1].tolist()
    return found


def _few_apart(zones: Sequence[tuple[float, ...]]) -> list[float]:
    """The same for few nodes, where lists are faster than arrays."""
    many = [1.0]
    for chance in zones:
        exactly, before = _listed(chance), many
        many = [0.0] * (len(before) + len(chance))
        for i, one in enumerate(before):
            for k, other in enumerate(exactly):
                many[i + k] += one * other
    return list(accumulate(many[:0:-1]))[::-1]


def _at_most(zones: Sequence[tuple[float, ...]], spare: int) -> float:
    """The chance of at most `spare` missing when zones are independent: a convolution cut off above `spare`."""
    if not spare:
        return prod(1.0 - chance[0] for chance in zones)
    if spare > FEW:
        many = np.ones(1)
        for chance in zones:
            many = np.convolve(many, _exactly(chance))[: spare + 1]
        return float(many.sum())
    sums = [1.0] + [0.0] * spare
    for chance in zones:
        exactly = _listed(chance)[: spare + 1]
        sums = [sum(map(mul, sums[max(0, i + 1 - len(exactly)) : i + 1], exactly[i::-1])) for i in range(spare + 1)]
    return sum(sums)


@lru_cache(maxsize=4096)
def _exactly(chance: tuple[float, ...]) -> NDArray[np.float64]:
    """The chances of exactly 0, 1, ... missing."""
    found: NDArray[np.float64] = -np.diff((1.0, *chance, 0.0))
    return found


@lru_cache(maxsize=4096)
def _listed(chance: tuple[float, ...]) -> list[float]:
    """The same as a list."""
    return [a - b for a, b in pairwise((1.0, *chance, 0.0))]


def _one_luck(zones: Sequence[tuple[float, ...]], spare: int) -> float:
    """The same when one draw decides all zones: each loses its k-th node where the draw is below its k-th chance."""
    levels = sorted(chain.from_iterable(chance[: spare + 1] for chance in zones), reverse=True)
    return levels[spare] if len(levels) > spare else 0.0

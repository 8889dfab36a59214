"""The pieces of the main sources: which is which block of the dataset, and which task takes which of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from mlray.sources.piece import Found, Piece

WORTH_A_NODE = 40  # pieces for each CPU that is there
TASKS_PER_CPU = 2  # so that a slow task holds up little, at the price of unpacking a packed file once for each


@dataclass(frozen=True, slots=True)
class Cut:
    """One piece of one main source. `block` is its place among all, and names its parts; `work` what they are made from."""

    block: int
    source: int  # which of the main sources
    piece: Piece
    work: str


def cuts(founds: Sequence[Found]) -> tuple[Cut, ...]:
    """Every piece of the main sources, one source after the other; what they are made from is not said yet."""
    every = [(source, piece) for source, found in enumerate(founds) for piece in found.pieces]
    return tuple(Cut(block, source, piece, "") for block, (source, piece) in enumerate(every))


def deal(cuts: Sequence[Cut], tasks: int) -> tuple[tuple[Cut, ...], ...]:
    """Neighbours go to one task: it reads a file in one sweep, and a packed file no further than its last piece."""
    tasks = max(1, min(tasks, len(cuts)))
    ends = [len(cuts) * n // tasks for n in range(tasks + 1)]
    return tuple(tuple(cuts[begin:end]) for begin, end in itertools.pairwise(ends))


def tasks(pieces: int, cpus: float) -> int:
    """Into how many tasks the pieces are dealt out."""
    return max(1, min(pieces, int(cpus * TASKS_PER_CPU)))


def cpus_at_most(pieces: int, cpus: float) -> float:
    """On how many CPUs the tasks may run: more than are there now only where a new node pays for its start.

    A node takes about ten seconds to come, a piece about one to refine. Without a bound, Ray Data asks for a node of each
    type, whatever it costs, as soon as those that are there are busy.
    """
    there = max(1.0, cpus)
    return there * TASKS_PER_CPU if pieces >= WORTH_A_NODE * there else there

"""Pieces are dealt out evenly, in the order in which they lie."""

from __future__ import annotations

from mlray.ingest.pieces import cpus_at_most, cuts, deal, tasks
from mlray.sources.piece import Found, Piece


def found(name: str, count: int) -> Found:
    pieces = tuple(Piece(number, number // 4, number * 100, number * 100 + 100, f"{name} {number}") for number in range(count))
    return Found(name, f"source {name}", ("a", "b", "c"), f"digest of {name}", (("x", "int"),), pieces, count * 100)


def test_blocks_count_through_all_sources_that_are_put_together():
    made = cuts([found("a", 3), found("b", 2)])
    assert [(cut.block, cut.source, cut.piece.number) for cut in made] == [(0, 0, 0), (1, 0, 1), (2, 0, 2), (3, 1, 0), (4, 1, 1)]


def test_each_task_gets_neighbours_and_none_gets_more_than_one_above_its_share():
    dealt = deal(cuts([found("a", 7), found("b", 4)]), 4)
    assert [[cut.block for cut in deal] for deal in dealt] == [[0, 1], [2, 3, 4], [5, 6, 7], [8, 9, 10]]
    assert deal(cuts([found("a", 2)]), 8) == tuple((cut,) for cut in cuts([found("a", 2)]))


def test_two_tasks_for_each_cpu_but_none_without_a_piece():
    assert (tasks(6, 2.0), tasks(1, 2.0), tasks(1000, 16.0), tasks(6, 0.0)) == (4, 1, 32, 1)


def test_more_nodes_are_asked_for_only_by_work_that_outlasts_their_start():
    assert (cpus_at_most(6, 4.0), cpus_at_most(200, 4.0), cpus_at_most(6, 0.0)) == (4.0, 8.0, 1.0)

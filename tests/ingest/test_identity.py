"""A version's name follows its rows, its spec and its code, and nothing else; the work on a piece is named likewise."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mlray.files import load
from mlray.ingest.identity import common_work, lineage, same_work, spec_digest, works
from mlray.ingest.pieces import cuts
from mlray.ingest.spec import IngestJob
from mlray.sources.piece import Found, Piece
from mlray.units import Duration, Memory, Money
from mlray.vault.version import Manifest, dataset_digest
from tests.ingest.test_spec import FLIGHTS

JOB = load(FLIGHTS, IngestJob)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def found(name: str, *digests: str) -> Found:
    pieces = tuple(Piece(number, 0, number, number + 1, digest) for number, digest in enumerate(digests))
    return Found(name, name, ("file:///x",), f"digest of {name} {digests}", (("x", "int"),), pieces, 100)


FOUNDS = {name: found(name, "p0", "p1") for name in JOB.sources}


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "other"},
        {"owner": "you"},
        {"tags": {"team": "b"}},
        {"budget": Money.parse("$9.00")},
        {"policy": "other.yaml"},
        {"broadcast_most": Memory.parse("1MiB")},
    ],
)
def test_who_pays_who_asks_and_how_it_is_done_do_not_change_the_version(changed: dict[str, object]):
    assert spec_digest(JOB.model_copy(update=changed)) == spec_digest(JOB)


def test_a_file_may_lie_elsewhere_and_be_asked_to_be_fresh():
    new = {"uri": "s3://bucket/x.csv", "fresh_within": Duration.parse("2h"), "on_stale": "warn"}
    moved = {name: source.model_copy(update=new) for name, source in JOB.sources.items()}
    assert spec_digest(JOB.model_copy(update={"sources": moved})) == spec_digest(JOB)


@pytest.mark.parametrize(
    "changed", [{"outcome": ()}, {"protect": {}}, {"checks": JOB.checks[1:]}, {"joins": JOB.joins[::-1]}, {"rows_per_part": 4096}]
)
def test_what_changes_rows_changes_the_version(changed: dict[str, object]):
    assert spec_digest(JOB.model_copy(update=changed)) != spec_digest(JOB)


def test_other_rows_and_other_code_are_another_version():
    same = dataset_digest("flights", lineage(JOB, FOUNDS, "c1"))
    assert dataset_digest("flights", lineage(JOB, dict(reversed(FOUNDS.items())), "c1")) == same
    assert dataset_digest("flights", lineage(JOB, FOUNDS, "c2")) != same
    other = FOUNDS | {"planes": found("planes", "another")}
    assert dataset_digest("flights", lineage(JOB, other, "c1")) != same


def test_the_same_sources_are_the_same_work_whatever_was_late_by_then():
    first, later, other = lineage(JOB, FOUNDS, "c"), lineage(JOB, FOUNDS, "c", NOON), lineage(JOB, FOUNDS, "d", NOON)
    assert dataset_digest("flights", first) != dataset_digest("flights", later)
    kept = Manifest("dataset", "flights", "a" * 64, NOON, (), (), (), first, {})
    assert same_work([kept], later) == kept and same_work([kept], other) is None


def test_a_piece_keeps_its_name_while_other_pieces_come_and_go():
    one, two = found("flights", "p0", "p1"), found("flights", "p1", "p2")
    common = common_work(JOB, [], "c", [], None)
    before, after = ([cut.work for cut in works(common, [f], cuts([f]))] for f in (one, two))
    assert before[1] == after[0] and len({*before, *after}) == 3


def test_what_a_piece_is_made_with_names_its_work_too():
    side = found("weather", "w0")
    made = {
        common_work(JOB, [side], "c", ["k1"], None),
        common_work(JOB.model_copy(update={"protect": {}}), [side], "c", ["k1"], None),
        common_work(JOB, [found("weather", "w1")], "c", ["k1"], None),
        common_work(JOB, [side], "d", ["k1"], None),
        common_work(JOB, [side], "c", ["k2"], None),
        common_work(JOB, [side], "c", ["k1"], NOON),
    }
    assert len(made) == 6


def test_rows_that_repeat_a_key_elsewhere_change_the_work_on_their_piece_alone():
    there = found("flights", "p0", "p1")
    plain = [cut.work for cut in works("c", [there], cuts([there]))]
    marked = [cut.work for cut in works("c", [there], cuts([there]), {1: [3, 4]})]
    assert marked[0] == plain[0] and marked[1] != plain[1]


def test_a_piece_without_a_digest_is_named_by_its_source_and_two_of_the_same_bytes_are_told_apart():
    bare = found("flights", "", "")
    names = [cut.work for cut in works("c", [bare], cuts([bare]))]
    assert len(set(names)) == 2 and names != [cut.work for cut in works("c", [replace(bare, digest="other")], cuts([bare]))]
    twins = found("flights", "p0", "p0")
    first, second = (cut.work for cut in works("c", [twins], cuts([twins])))
    assert first != second and first == works("c", [twins], cuts([twins])[:1])[0].work

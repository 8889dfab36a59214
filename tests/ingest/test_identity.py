"""A version's name follows its rows, its spec and its code, and nothing else."""

from __future__ import annotations

import pytest

from mlray.files import load
from mlray.ingest.identity import blocks, cpus_at_most, lineage, slices, spec_digest
from mlray.ingest.parse import Input
from mlray.ingest.spec import IngestJob
from mlray.units import Money
from mlray.vault.version import dataset_digest
from tests.ingest.test_spec import FLIGHTS

JOB = load(FLIGHTS, IngestJob)
INPUTS = {name: Input(source.uri, name, tuple(source.columns), f"digest of {name}", 336_776) for name, source in JOB.sources.items()}


@pytest.mark.parametrize(
    "changed", [{"name": "other"}, {"owner": "you"}, {"tags": {"team": "b"}}, {"budget": Money.parse("$9.00")}, {"policy": "other.yaml"}]
)
def test_who_pays_and_who_asks_do_not_change_the_version(changed: dict[str, object]):
    assert spec_digest(JOB.model_copy(update=changed)) == spec_digest(JOB)


def test_a_file_may_lie_elsewhere():
    moved = {name: source.model_copy(update={"uri": f"s3://bucket/{name}.csv"}) for name, source in JOB.sources.items()}
    assert spec_digest(JOB.model_copy(update={"sources": moved})) == spec_digest(JOB)


@pytest.mark.parametrize(
    "changed", [{"outcome": ()}, {"protect": {}}, {"checks": JOB.checks[1:]}, {"joins": JOB.joins[::-1]}, {"rows_per_part": 4096}]
)
def test_what_changes_rows_changes_the_version(changed: dict[str, object]):
    assert spec_digest(JOB.model_copy(update=changed)) != spec_digest(JOB)


def test_other_rows_and_other_code_are_another_version():
    same = dataset_digest("flights", lineage(JOB, INPUTS, "c1"))
    assert dataset_digest("flights", lineage(JOB, dict(reversed(INPUTS.items())), "c1")) == same
    assert dataset_digest("flights", lineage(JOB, INPUTS, "c2")) != same
    other = INPUTS | {"planes": Input("u", "planes", (), "another digest", 1)}
    assert dataset_digest("flights", lineage(JOB, other, "c1")) != same


def test_336776_lines_are_6_blocks_of_65536_dealt_to_4_tasks_on_2_cpus():
    assert blocks(JOB, INPUTS) == 6
    assert (slices(6, 2.0), slices(1, 2.0), slices(1000, 16.0), slices(6, 0.0)) == (4, 1, 32, 1)


def test_more_nodes_are_asked_for_only_by_work_that_outlasts_their_start():
    assert (cpus_at_most(6, 4.0), cpus_at_most(200, 4.0), cpus_at_most(6, 0.0)) == (4.0, 8.0, 1.0)

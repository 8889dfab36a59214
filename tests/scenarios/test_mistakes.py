"""What people write wrong: each mistake with its path, line, field and what to write, all of them at once, exit code 2."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.shell import Shell

POLICY = "policies/flights.yaml"
INGEST, TUNE, SERVE, PIPELINE = (f"jobs/flights/{kind}.yaml" for kind in ("ingest", "tune", "serve", "pipeline"))
# The command, the file, its values that are wrong, and the fields that must be named.
WRONG: dict[str, tuple[str, str, dict[str, str], set[str]]] = {
    "ingest": ("ingest", INGEST, {"budget": "5", "label": "{name: late, colum: arr_delay, above: 30}"}, {"budget", "label.colum"}),
    "tune": ("tune", TUNE, {"budget": "0.10", "eta": "{kind: float, low: 2, high: 1}"}, {"budget", "space.eta"}),
    "serve": ("deploy", SERVE, {"window": "10", "port": "http"}, {"scaling.window", "door.port"}),
    "policy": ("policy check", POLICY, {"amount": "80", "target": "1.5"}, {"budget.amount", "availability.target"}),
    "cluster": (
        "up",
        "cluster/local.yaml",
        {"prices": "{head: 0.10, spot: cheap, on-demand: $3.06/h}"},
        {"metadata.mlray.prices.head", "metadata.mlray.prices.spot"},
    ),
    "pipeline": ("run", PIPELINE, {"steps": "nothing", "name": "Flights Pipeline"}, {"steps", "name"}),
}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Shell]:
    yield Shell.make(tmp_path, tmp_path)


@pytest.mark.parametrize("kind", WRONG)
def test_two_mistakes_are_told_at_once_with_their_lines(kind: str, own: Shell):
    command, file, wrong, fields = WRONG[kind]
    text = own.write(file, file, **wrong).read_text().splitlines()
    said = own.mlray(*command.split(), file)
    assert (said.code, said.out) == (2, ""), said
    told = re.findall(rf"^{re.escape(file)}:(\d+): ([\w.]+): .+$", said.err, re.M)
    assert fields <= {field for _, field in told}, said.err
    for line, field in told:
        assert any(name in text[int(line) - 1] for name in field.split(".")[-2:]), said.err  # the field, or around an absent one


def test_a_mistake_in_the_policy_of_a_job_is_told_by_the_job(own: Shell):
    own.write(POLICY, POLICY, amount="80")
    said = own.mlray("tune", "jobs/flights/tune.yaml")
    assert said.code == 2 and re.search(r"policies/flights\.yaml:\d+: budget\.amount: 80: ", said.err), said


def test_a_file_that_is_not_there_is_said(own: Shell):
    said = own.mlray("tune", "jobs/flights/tone.yaml")
    assert said.code == 2 and said.err.startswith("error: jobs/flights/tone.yaml: no such file"), said


def test_a_job_of_another_kind_is_refused_with_the_command_for_it(own: Shell):
    said = own.mlray("tune", "jobs/flights/ingest.yaml")
    assert said.code == 2 and "ingest.yaml: kind is not" in said.err, said

"""Job files are read whole, and every mistake in any of them is told before work starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlray.errors import SpecError
from mlray.ingest.spec import IngestJob
from mlray.jobs.read import bundle, written
from mlray.serve.spec import ServeJob
from mlray.tune.spec import TuneJob

POLICY = "kind: policy\nname: p\ngoverns: {jobs: ['*'], deployments: ['*']}\nbudget: {amount: $5, every: 1d}\n"
SERVE = "kind: serve\nname: s\npolicy: ../p.yaml\ndeployment: d\nmodel: m\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "p.yaml").write_text(POLICY)
    (tmp_path / "jobs" / "serve.yaml").write_text(SERVE)
    return tmp_path


def pipeline(folder: Path, steps: str) -> Path:
    path = folder / "jobs" / "pipeline.yaml"
    path.write_text(f"kind: pipeline\nname: all\nsteps: {steps}\n")
    return path


def test_the_example_pipeline_runs_ingest_then_tune_then_serve() -> None:
    steps = written(Path("jobs/flights/pipeline.yaml"))
    assert [type(step.job) for step in steps] == [IngestJob, TuneJob, ServeJob]
    assert {step.policy.name for step in steps} == {"flights"}


def test_a_policy_that_is_not_there_is_named_with_its_line(folder: Path) -> None:
    path = folder / "jobs" / "serve.yaml"
    path.write_text(SERVE.replace("../p.yaml", "../gone.yaml"))
    with pytest.raises(SpecError, match=r"serve\.yaml:3: policy: '\.\./gone\.yaml': there is no file .*gone\.yaml"):
        written(path)


def test_a_pipeline_inside_a_pipeline_is_refused(folder: Path) -> None:
    inner = folder / "jobs" / "inner.yaml"
    inner.write_text("kind: pipeline\nname: i\nsteps: [serve.yaml]\n")
    with pytest.raises(SpecError, match=r"pipeline\.yaml:3: steps\.1: 'inner\.yaml'"):
        written(pipeline(folder, "[serve.yaml, inner.yaml]"))


def test_an_unknown_kind_says_which_kinds_there_are(folder: Path) -> None:
    path = folder / "jobs" / "odd.yaml"
    path.write_text("kind: cook\nname: x\npolicy: p.yaml\n")
    with pytest.raises(SpecError, match="'ingest', 'tune', 'serve', 'pipeline'"):
        written(path)


def test_a_bundle_holds_every_file_once_and_keeps_references_true(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    carried = bundle(pipeline(folder, "[serve.yaml]"))
    elsewhere = tmp_path_factory.mktemp("head")
    carried.copy_to(elsewhere)
    assert sorted(file.name for file in carried.files) == ["p.yaml", "pipeline.yaml", "serve.yaml"]
    assert [step.job.name for step in written(elsewhere / carried.job)] == ["s"]


def test_a_relative_key_file_cannot_travel_to_the_cluster(folder: Path) -> None:
    path = folder / "jobs" / "serve.yaml"
    path.write_text(SERVE + "door: {tls: {certificate: a.pem, key: /etc/k.pem}}\n")
    with pytest.raises(SpecError, match=r"a\.pem: is relative"):
        bundle(path)

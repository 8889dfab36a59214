"""Commands that do work: what they refuse before a cluster is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlray.cli import main

FLIGHTS = Path(__file__).parents[2] / "jobs" / "flights" / "ingest.yaml"


def test_a_job_that_reads_once_cannot_be_followed(capsys: pytest.CaptureFixture[str]):
    assert main(["ingest", "--follow", str(FLIGHTS)]) == 2
    said = capsys.readouterr().err
    assert "flights-ingest reads its sources once" in said and "a follow block" in said

"""Ctrl-C in the middle of work: said in one line, nothing half done, dollars given back, the cluster there for the next."""

from __future__ import annotations

import signal
import time

import pytest

from tests.scenarios.conftest import long
from tests.scenarios.plaintext import files
from tests.scenarios.shell import Said, Shell, follow

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


def test_an_ingest_that_is_interrupted_leaves_no_version_and_the_next_one_goes_on(shell: Shell, cluster: dict[str, str]):
    shell.write("jobs/flights/again.yaml", "jobs/flights/ingest.yaml", dataset="again")
    said = interrupted(shell, "rows read", "ingest", "jobs/flights/again.yaml", "--json")
    assert (said.code, said.out) == (130, ""), said
    assert "again" not in {data["version"].partition("@")[0] for data in shell.json("data", "list")["datasets"]}
    kept = {path.name for path in (shell.home.root / "store" / "datasets" / "again").rglob("*") if path.is_file()}
    assert "manifest.json" not in kept and any(name.endswith(".parquet") for name in kept)
    still_usable(shell)
    done = shell.mlray("ingest", "jobs/flights/again.yaml", "--json")
    assert "pieces were finished before" in done.err and done.json["reused"] is False, done


def test_a_search_that_is_interrupted_keeps_its_best_and_ends_with_130(shell: Shell, cluster: dict[str, str]):
    shell.write("jobs/flights/long.yaml", "jobs/flights/tune.yaml", **long(2000))
    said = interrupted(shell, "t001: auc", "tune", "jobs/flights/long.yaml")
    assert said.code == 130 and "it was interrupted" in said.out, said
    models = shell.json("data", "list", "--models")["models"]
    assert any(model["version"] in said.out for model in models)
    assert list(files(shell.home.root / "searches")) == []
    still_usable(shell)


def interrupted(shell: Shell, when: str, *words: str) -> Said:
    """How a command ends that is sent SIGINT as soon as its progress holds some words."""
    running = shell.start(*words)
    told = follow(running, when)
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    print(f"ended after {time.monotonic() - began:.1f} s")
    assert "Traceback" not in told + err, told + err
    return Said(running.returncode, out, told + err)


def still_usable(shell: Shell) -> None:
    assert shell.json("policy", "explain", "policies/flights.yaml")["reserved_usd"] == 0
    assert shell.json("status")["cluster"]["up"] is True

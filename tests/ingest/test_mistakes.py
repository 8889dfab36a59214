"""Ten and more bad ingest files, each with the one sentence that tells it, as the command line does, before Ray is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "mistakes"
BAD = sorted(FOLDER.glob("*.txt"))


@pytest.fixture(scope="module")
def without_ray(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder whose `ray` cannot be imported: a mistake in a file is told without waiting for it."""
    folder = tmp_path_factory.mktemp("without")
    (folder / "ray.py").write_text("raise AssertionError('Ray was loaded')\n")
    return str(folder)


def ingest(file: str, without_ray: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": f"{without_ray}:{Path(__file__).parents[2]}"}
    return subprocess.run([sys.executable, "-m", "mlray", "ingest", file], cwd=FOLDER, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("expected", BAD, ids=[file.stem for file in BAD])
def test_a_bad_file_is_told_in_one_sentence(expected: Path, without_ray: str):
    said = ingest(expected.with_suffix(".yaml").name, without_ray)
    assert (said.returncode, said.stdout, said.stderr) == (2, "", expected.read_text())


def test_each_has_its_sentence_and_there_are_ten_at_least():
    assert {file.stem for file in BAD} == {file.stem for file in FOLDER.glob("*.yaml")} - {"policy", "good"} and len(BAD) >= 10


def test_what_all_of_them_were_made_of_is_good(without_ray: str):
    """It is refused for its cluster alone, or rather for Ray."""
    said = ingest("good.yaml", without_ray)
    assert "Ray was loaded" in said.stderr and "good.yaml:" not in said.stderr

"""Tests what every test relies on: its own home, and no process left behind."""

import os
import subprocess
import sys

import tests.conftest as run
from mlray.home import Home


def test_a_process_started_in_a_session_of_its_own_is_still_found():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    try:
        assert child.pid in run.ours()
    finally:
        child.communicate(b"\n")
    assert child.pid not in run.ours()


def test_every_test_has_a_home_of_its_own(home: Home, tmp_path):
    assert home.root == tmp_path / "home"
    assert os.environ["MLRAY_HOME"] == str(home.root)


def test_files_that_start_ray_or_share_a_database_stay_in_one_worker():
    assert run.together("tests/launch/test_spill.py") == run.together("tests/serve/test_on_ray.py") == "ray"
    assert run.together("tests/access/test_audit_store.py") == "services"
    assert run.together("tests/test_units.py") == "tests/test_units.py"

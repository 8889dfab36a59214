"""How commands end: what they print, where, and with which exit code."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from mlray.cli import main
from mlray.errors import ClusterError, RefusedError, SpecError
from mlray.home import Home

HEAVY = ("ray", "pydantic", "sqlalchemy", "pyarrow", "xgboost", "numpy", "pandas", "cryptography", "rich")
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch):
    """Makes `mlray cost` fail with the given error at its first step."""

    def fail_with(error: BaseException) -> None:
        left, locate = [error], Home.locate
        monkeypatch.setattr(Home, "locate", lambda: _raise(left.pop()) if left else locate())

    return fail_with


def _raise(error: BaseException) -> NoReturn:
    raise error


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["policy", "--help"], ["tune", "--help"], ["token", "create", "--help"]])
def test_help_is_told_without_loading_what_does_the_work(command: list[str]):
    code = f"import sys; from mlray.cli import main; main({command!r}); print([m for m in {HEAVY} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    allowed = [] if len(command) == 1 else ["pydantic"]  # typer reads a command's own arguments with it
    assert said.splitlines()[-1] in ("[]", str(allowed))


def test_importing_mlray_loads_nothing_heavy_and_touches_no_home(tmp_path: Path):
    code = f"import sys, mlray, mlray.cli; print([m for m in {(*HEAVY, 'typer')} if m in sys.modules])"
    env = os.environ | {"MLRAY_HOME": str(tmp_path / "untouched")}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    assert said == "[]\n"
    assert not (tmp_path / "untouched").exists()


@pytest.mark.parametrize(
    ("error", "code"), [(ClusterError("no cluster is up", hint="run mlray up"), 1), (SpecError("x"), 2), (RefusedError("no dollars"), 3)]
)
def test_an_error_is_its_message_and_hint_on_stderr_and_its_exit_code(error: Exception, code: int, failing, capsys: Captured):
    failing(error)
    assert main(["cost"]) == code
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"error: {error}\n")


def test_under_json_an_error_is_an_object_as_well(failing, capsys: Captured):
    failing(RefusedError("no dollars left", hint="wait"))
    assert main(["cost", "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    assert said == {"error": {"type": "RefusedError", "message": "no dollars left", "hint": "wait", "mistakes": []}, "exit_code": 3}


def test_what_nobody_foresaw_is_one_line_and_a_private_log_that_holds_the_traceback(failing, capsys: Captured, home: Home):
    failing(ZeroDivisionError("by zero"))
    assert main(["cost"]) == 1
    said = capsys.readouterr().err
    (log,) = (home.root / "logs").iterdir()
    assert said.startswith("error: ZeroDivisionError: by zero\n") and str(log) in said and "Traceback" not in said
    assert "Traceback" in log.read_text() and stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_traceback_is_shown_to_who_asks_for_it(failing, capsys: Captured, monkeypatch: pytest.MonkeyPatch):
    failing(ZeroDivisionError("by zero"))
    monkeypatch.setenv("MLRAY_DEBUG", "1")
    main(["cost"])
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupted_command_ends_with_130(failing):
    failing(KeyboardInterrupt())
    assert main(["cost"]) == 130


@pytest.mark.parametrize("wrong", [["nosuch"], ["up"], ["cost", "--nosuch"], ["token", "create", "ann", "--role", "king"]])
def test_a_wrong_command_line_ends_with_2_and_shows_no_traceback(wrong: list[str], capsys: Captured):
    assert main(wrong) == 2
    said = capsys.readouterr().err
    assert "Try 'mlray" in said and "Traceback" not in said


@pytest.mark.parametrize("command", ["ingest", "tune", "deploy", "run", "submit"])
def test_a_mistake_in_a_job_file_is_told_before_ray_is_loaded(command: str, tmp_path: Path):
    (tmp_path / "job.yaml").write_text("kind: tune\n")
    code = f"import sys; from mlray.cli import main; print(main({[command, str(tmp_path / 'job.yaml')]!r}), 'ray' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "2 False\n" and "job.yaml:1: space: this field is required" in said.stderr


def test_python_m_mlray_is_the_same_program():
    said = subprocess.run([sys.executable, "-m", "mlray", "policy", "check", "nowhere.yaml"], capture_output=True, text=True)
    assert (said.returncode, said.stdout, said.stderr) == (2, "", "error: nowhere.yaml: no such file\n")


def test_a_reader_that_goes_away_is_no_bug(tmp_path: Path):
    command = f"{sys.executable} -m mlray schema show tune | head -1; exit ${{PIPESTATUS[0]}}"
    said = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    assert "Traceback" not in said.stderr and said.returncode in (0, 1, 128 + signal.SIGPIPE)


def test_home_is_an_option_and_what_is_started_inherits_it(tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLRAY_HOME", "elsewhere")
    assert main(["--home", "here", "token", "list"]) == 0
    assert os.environ["MLRAY_HOME"] == str(tmp_path / "here")
    assert (tmp_path / "here" / "mlray.db").exists()

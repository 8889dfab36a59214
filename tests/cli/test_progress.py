import io
import sys

import pytest

from mlray.cli.progress import Lines, working
from mlray.progress import Progress


def test_outside_a_terminal_each_message_is_a_line_and_counts_are_not_repeated():
    out = io.StringIO()
    tell = Lines(out)
    for done in range(100):
        tell(Progress("ingest", "sealing", done, 100))
    tell(Progress("ingest", "sealing", 100, 100))
    tell(Progress("ingest", "committed"))
    assert out.getvalue().splitlines() == ["ingest: sealing (0 of 100)", "ingest: sealing (100 of 100)", "ingest: committed"]


def test_stdout_is_the_results_alone_while_work_runs(capsys: pytest.CaptureFixture[str]):
    with working() as tell:
        print("noise from a library")
        tell(Progress("tune", "trial 1", 1))
    print("result")
    said = capsys.readouterr()
    assert said.out == "result\n"
    assert said.err == "noise from a library\ntune: trial 1 (1)\n"


def test_in_a_terminal_progress_is_drawn_and_brackets_in_a_message_are_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with working() as tell:
        tell(Progress("ingest", "part [red] 1", 1, 2))
        tell(Progress("commit", "signed"))
    assert "part [red] 1" in capsys.readouterr().err

from __future__ import annotations

import io

import pytest
import typer

from mlray.cli.consent import consent
from mlray.errors import SpecError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_outside_a_terminal_nothing_is_done_without_yes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(SpecError, match="nothing was done"):
        consent(["removes all"], yes=False)
    consent(["removes all"], yes=True)
    assert capsys.readouterr().err == "removes all\nremoves all\n"


@pytest.mark.parametrize(("answer", "goes_on"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_in_a_terminal_it_asks_and_no_is_the_default(answer: str, goes_on: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    if goes_on:
        consent(["removes all"], yes=False)
        return
    with pytest.raises(typer.Exit) as ended:
        consent(["removes all"], yes=False)
    assert ended.value.exit_code == 1

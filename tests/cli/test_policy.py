"""policy: checked, compared, applied with a reason, and told later."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlray.cli import main

Captured = pytest.CaptureFixture[str]
GOOD = """\
kind: policy
name: flights
governs: {jobs: [flights-*]}
budget: {amount: $80, every: 1d}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "flights.yaml"
    path.write_text(GOOD)
    return str(path)


def said(capsys: Captured, *words: str) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_a_policy_is_applied_with_a_reason_and_its_history_tells_it(file: str, capsys: Captured):
    assert "is in force" in said(capsys, "policy", "apply", file, "--why", "a limit at last")
    assert said(capsys, "policy", "diff", file) == f"{file} says what is in force\n"
    Path(file).write_text(GOOD.replace("$80", "$60"))
    assert said(capsys, "policy", "diff", file).splitlines()[1].split() == ["budget.amount", "$80.00", "$60.00"]
    said(capsys, "policy", "apply", file, "--why", "less is enough")
    history = json.loads(said(capsys, "policy", "history", "flights", "--json"))["history"]
    assert [line["why"] for line in history] == ["a limit at last", "less is enough"]
    assert history[1]["before"] == history[0]["after"]
    (now,) = json.loads(said(capsys, "policy", "list", "--json"))["policies"]
    assert (now["policy"], now["digest"], now["waits"]) == ("flights", history[1]["after"], None)
    said(capsys, "policy", "end", "flights", "--why", "over")
    assert said(capsys, "policy", "list") == "none\n"


def test_a_change_that_needs_approval_waits_and_its_author_cannot_approve_it(file: str, capsys: Captured):
    Path(file).write_text(GOOD + "approvals: 1\n")
    assert said(capsys, "policy", "apply", file, "--why", "strict") == "policy flights waits for 1 approval: mlray policy approve flights\n"
    assert main(["policy", "approve", "flights"]) == 3
    assert "somebody else must approve it" in capsys.readouterr().err
    assert said(capsys, "policy", "drop", "flights") == "no policy flights is in force\n"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["apply", "FILE"], 2, "--why"),
        (["apply", "FILE", "--why", " "], 2, "a change of policy needs a reason"),
        (["history", "nobody"], 2, "no policy nobody was ever applied here"),
        (["end", "nobody", "--why", "x"], 2, "no policy nobody is in force"),
        (["approve", "nobody"], 2, "nothing waits for policy nobody"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(file: str, capsys: Captured, words: list[str], code: int, told: str):
    assert main(["policy", *[file if word == "FILE" else word for word in words]]) == code
    assert told in capsys.readouterr().err

"""mlray trace: make, import, show."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mlray.cli import main
from mlray.market.store import read_traces

Captured = pytest.CaptureFixture[str]


def said(capsys: Captured, *words: object, code: int = 0) -> str:
    assert main(["trace", *map(str, words)]) == code
    out, err = capsys.readouterr()
    return out if code == 0 else err


def test_a_made_market_is_one_file_and_the_seed_makes_it_again(tmp_path: Path, capsys: Captured):
    words = ("--zones", "a, b", "--length", "2d", "--tick", "10m", "--nodes", "3", "--seed", "5", "--type", "g5")
    told = json.loads(said(capsys, "make", tmp_path / "one.csv", *words, "--json"))
    said(capsys, "make", tmp_path / "two.csv", *words)
    assert (told["zones"], told["ticks"]) == (2, 288)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert [(t.zone, t.node_type, len(t), t.tick_s) for t in read_traces(tmp_path / "one.csv")] == [
        ("a", "g5", 288, 600),
        ("b", "g5", 288, 600),
    ]


def test_a_folder_is_imported_with_its_prices(tmp_path: Path, capsys: Captured):
    (tmp_path / "rec").mkdir()
    (tmp_path / "rec" / "a_v100.json").write_text(json.dumps({"metadata": {"gap_seconds": 300}, "data": [1, 0, 2]}))
    (tmp_path / "rec" / "spot_price.json").write_text(json.dumps({"data": {"a_v100": [[0, 0.9]]}}))
    assert "ticks   3" in said(capsys, "import", tmp_path / "rec", tmp_path / "t.csv")
    (trace,) = read_traces(tmp_path / "t.csv")
    assert trace.nodes.tolist() == [1, 0, 2] and trace.price is not None
    np.testing.assert_array_equal(trace.price, 0.9)


def test_traces_are_shown_and_drawn(tmp_path: Path, capsys: Captured):
    said(capsys, "make", tmp_path / "t.csv", "--length", "3d")
    out = said(capsys, "show", tmp_path / "t.csv", "--plot", tmp_path / "t.png")
    assert [line.split()[0] for line in out.splitlines()[:4]] == ["zone", "az-a", "az-b", "az-c"]
    assert "az-a: interruptions {every: " in out and "checkpoint every" in out
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    told = json.loads(said(capsys, "show", tmp_path / "t.csv", "--json"))["traces"]
    assert len(told) == 3 and told[0]["tick_s"] == 300 and 0 < told[0]["share"] <= 1


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("--calm", "1h"), "write mean stay, mean absence and length, like 60h/30m/3d"),
        (("--calm", "0s/1h/1d"), "mean times are above 0 s"),
        (("--tick", "0s"), "0 ticks of 0 s"),
        (("--together", "2"), "together 0 to 1"),
        (("--price", "cheap"), "write a price for an hour"),
        (("--length", "long"), "--length 'long'"),
    ],
)
def test_a_market_that_cannot_be_is_refused(tmp_path: Path, capsys: Captured, words: tuple[str, str], wanted: str):
    assert wanted in said(capsys, "make", tmp_path / "t.csv", *words, code=2)
    assert not (tmp_path / "t.csv").exists()


def test_what_cannot_be_read_or_written_is_told(tmp_path: Path, capsys: Captured):
    assert "cannot be read" in said(capsys, "show", tmp_path / "none.csv", code=2)
    assert "cannot be written" in said(capsys, "make", tmp_path / "no" / "t.csv", "--length", "1h", code=2)

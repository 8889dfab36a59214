"""Images and other files: a row a file, named by their bytes and paths."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mlray.errors import WorkError
from tests.sources.reading import find, table

COLUMNS = {"path": "text", "bytes": "binary", "size": "int"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve images in two folders, of three formats."""
    for number in range(12):
        out = io.BytesIO()
        Image.new("RGB", (10 + number, 7)).save(out, ("png", "jpeg", "bmp")[number % 3])
        path = tmp_path / "pets" / ("cats", "dogs")[number % 2] / f"{number:02d} a.img"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(out.getvalue())
    return tmp_path


def test_each_file_is_a_row_with_its_path_below_the_folder(folder: Path):
    got = table(folder, 5, uri="pets", format="binary", columns=COLUMNS)
    assert got.num_rows == 12 and got["path"].to_pylist()[0] == "cats/00 a.img"
    assert got["bytes"][0].as_py() == (folder / "pets/cats/00 a.img").read_bytes()
    assert got["size"].to_pylist() == [len(raw) for raw in got["bytes"].to_pylist()]
    assert len(find(folder, 5, uri="pets", format="binary", columns=COLUMNS).pieces) == 3
    assert table(folder, uri="pets/dogs/*.img", format="binary", columns=COLUMNS)["path"][0].as_py() == "01 a.img"


def test_pillow_tells_what_it_alone_knows(folder: Path):
    got = table(folder, 5, uri="pets", format="images", columns={"width": "int", "height": "int", "kind": {"of": "format", "type": "text"}})
    assert got["width"].to_pylist() == [10, 12, 14, 16, 18, 20, 11, 13, 15, 17, 19, 21]
    assert set(got["height"].to_pylist()) == {7} and set(got["kind"].to_pylist()) == {"png", "jpeg", "bmp"}


def test_a_file_that_is_no_image_is_refused_rejected_or_missing(folder: Path):
    (folder / "pets" / "cats" / "notes.txt").write_text("hello")
    fields: dict[str, Any] = {"uri": "pets", "format": "images"}
    with pytest.raises(WorkError, match=r"source s \(13 files\): file 7 is not an image"):
        table(folder, **fields, columns={"width": "int"})
    got = table(folder, **fields, columns={"path": "text", "width": {"type": "int", "on_bad": "reject"}})
    assert got["_unreadable"].to_pylist() == [*[None] * 6, "not an image", *[None] * 6]
    assert table(folder, **fields, columns={"width": {"type": "int", "on_bad": "null"}})["width"].null_count == 1


def test_a_row_is_named_by_bytes_and_path_and_by_its_time_only_if_that_is_wanted(folder: Path):
    fields: dict[str, Any] = {"uri": "pets", "format": "binary"}
    plain, timed = find(folder, **fields, columns=COLUMNS), find(folder, **fields, columns={"modified": "timestamp"})
    os.utime(folder / "pets" / "cats" / "00 a.img", (1, 1))
    assert find(folder, **fields, columns=COLUMNS).digest == plain.digest
    assert find(folder, **fields, columns={"modified": "timestamp"}).digest != timed.digest
    (folder / "pets").rename(folder / "animals")
    assert find(folder, **{**fields, "uri": "animals"}, columns=COLUMNS).digest == plain.digest
    (folder / "animals" / "cats" / "00 a.img").rename(folder / "animals" / "cats" / "00 b.img")
    assert find(folder, **{**fields, "uri": "animals"}, columns=COLUMNS).digest != plain.digest


def test_large_files_share_no_piece(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mlray.sources.binary.MOST_BYTES", 1000)
    assert len(find(folder, uri="pets", format="binary", columns=COLUMNS).pieces) > 3
    assert len(find(folder, uri="pets", format="binary", columns={"path": "text"}).pieces) == 1

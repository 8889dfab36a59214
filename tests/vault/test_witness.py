"""A home remembers the newest it has seen, and nothing older takes its place."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlray.errors import TamperError
from mlray.vault.witness import Seen, Witness, counted, made

STORE = "file:///data/store"


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(tmp_path / "keyring.json", STORE)


def see(witness: Witness, group: str, name: str, seen: Seen, told: str) -> None:
    """As one who asks the memory first, and then the store."""
    witness.see(group, name, seen, told, witness.last(group, name))


def test_what_others_wrote_since_the_store_was_asked_is_no_rollback(witness: Witness):
    see(witness, "dataset-flights", "latest", counted(9, "a"), "")
    before = witness.last("dataset-flights", "latest")
    witness.remember("dataset-flights", "latest", counted(10, "b"))
    witness.see("dataset-flights", "latest", counted(9, "a"), "", before)
    witness.remember("dataset-flights", "latest", counted(9, "a"))
    assert witness.last("dataset-flights", "latest") == counted(10, "b")


def test_what_is_newer_is_remembered_and_what_is_older_refused(witness: Witness, tmp_path: Path):
    see(witness, "dataset-flights", "latest", counted(9, "a"), "flights@latest")
    see(witness, "dataset-flights", "latest", counted(10, "b"), "flights@latest")
    again = Witness(tmp_path / "keyring.json", STORE)
    assert again.last("dataset-flights", "latest") == counted(10, "b")
    see(again, "dataset-flights", "latest", counted(10, "b"), "flights@latest")
    for older in (counted(9, "a"), counted(10, "other")):
        with pytest.raises(TamperError, match="flights@latest was rolled back") as refused:
            see(again, "dataset-flights", "latest", older, "flights@latest")
        assert "dataset-flights.json" in refused.value.hint


def test_a_manifest_made_again_later_is_newer(witness: Witness):
    first, later = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
    see(witness, "dataset-flights", "ab", made(first, b"one"), "its manifest")
    see(witness, "dataset-flights", "ab", made(later, b"two"), "its manifest")
    with pytest.raises(TamperError):
        see(witness, "dataset-flights", "ab", made(first, b"one"), "its manifest")


def test_other_stores_names_and_homes_are_other_memories(witness: Witness, tmp_path: Path):
    see(witness, "dataset-flights", "latest", counted(9, "a"), "")
    assert Witness(tmp_path / "keyring.json", "s3://bucket").last("dataset-flights", "latest") is None
    assert Witness(tmp_path / "other" / "keyring.json", STORE).last("dataset-flights", "latest") is None
    assert witness.last("dataset-trains", "latest") is None


def test_many_that_see_at_once_lose_nothing(witness: Witness):
    threads = [threading.Thread(target=see, args=(witness, "g", f"n{i}", counted(i, "x"), "")) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [witness.last("g", f"n{i}") for i in range(20)] == [Seen(f"{i:012d}", "x") for i in range(20)]


def test_a_memory_that_cannot_be_written_refuses_nothing_and_one_that_is_broken_is_told_of(tmp_path: Path, witness: Witness):
    (tmp_path / "witness").write_text("not a folder")
    witness._folder = tmp_path / "witness" / "x"
    with pytest.raises(TamperError, match="not what mlray wrote"):
        witness.last("g", "n")
    (tmp_path / "witness").unlink()
    see(witness, "g", "n", counted(1, "x"), "")
    (tmp_path / "witness" / "x" / "g.json").write_text("{")
    with pytest.raises(TamperError, match=r"g\.json is not what mlray wrote"):
        witness.last("g", "n")


def test_a_home_that_is_read_only_remembers_nothing_new_and_works(witness: Witness, monkeypatch: pytest.MonkeyPatch):
    def full(*args: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("mlray.vault.witness.private_folder", full)
    see(witness, "g", "n", counted(2, "x"), "")
    assert witness.last("g", "n") is None

"""The key file: made once, private, and refused when it cannot be trusted."""

from __future__ import annotations

import json
import multiprocessing
import stat
from pathlib import Path

import pytest

from mlray.errors import KeyringError
from mlray.vault.kms import changing, local_entry, open_keyring


def test_the_first_use_makes_a_private_keyring(tmp_path: Path):
    path = tmp_path / "home" / "keyring.json"
    made, again = open_keyring(path), open_keyring(path, create=False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["keyring.json"]
    _, wrapped = made.new_key("a")
    again.unwrap(wrapped, "a")
    again.verify(b"x", made.sign(b"x"))


def test_a_missing_keyring_is_not_made_for_reading(tmp_path: Path):
    with pytest.raises(KeyringError, match="no keyring"):
        open_keyring(tmp_path / "keyring.json", create=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_keyring_others_can_read_is_refused(tmp_path: Path, mode: int):
    path = tmp_path / "keyring.json"
    open_keyring(path)
    path.chmod(mode)
    with pytest.raises(KeyringError, match="others can read it") as refused:
        open_keyring(path)
    assert f"chmod 600 {path}" in refused.value.hint


def test_a_link_in_place_of_the_keyring_is_refused(tmp_path: Path):
    open_keyring(tmp_path / "real.json")
    (tmp_path / "keyring.json").symlink_to(tmp_path / "real.json")
    with pytest.raises(KeyringError, match="cannot be opened"):
        open_keyring(tmp_path / "keyring.json")


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "not json 1234", '{"format": 2}', '{"format": 2, "masters": [], "signing": {}, "pseudonyms": {}}', '[{"format": 2}]'],
)
def test_a_broken_keyring_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "keyring.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeyringError, match="not a keyring"):
        open_keyring(path)
    assert path.read_text() == text


def test_a_damaged_secret_is_found_by_its_id_and_not_shown(tmp_path: Path):
    path = tmp_path / "keyring.json"
    open_keyring(path)
    value = json.loads(path.read_text())
    value["masters"][0]["secret"] = "ab" * 32
    path.write_text(json.dumps(value))
    with pytest.raises(KeyringError, match="is damaged") as refused:
        open_keyring(path)
    assert "abab" not in str(refused.value)


def test_a_keyring_of_another_format_is_not_guessed_at(tmp_path: Path):
    path = tmp_path / "keyring.json"
    path.write_text('{"format": 1}')
    path.chmod(0o600)
    with pytest.raises(KeyringError, match="format 1, but this mlray reads 2"):
        open_keyring(path)


def test_an_entry_moved_to_another_scope_opens_nothing(tmp_path: Path):
    path = tmp_path / "keyring.json"
    _, wrapped = open_keyring(path).new_key("a", "secret")
    with changing(path) as value:
        value["masters"][2]["scope"] = "data"
    with pytest.raises(KeyringError, match="not in this keyring"):
        open_keyring(path).unwrap(wrapped, "a")


def test_a_change_that_fails_changes_nothing_and_one_that_succeeds_keeps_the_file_private(tmp_path: Path):
    path = tmp_path / "keyring.json"
    ring = open_keyring(path)
    before = path.read_text()
    with pytest.raises(ZeroDivisionError), changing(path) as value:
        value["masters"].clear()
        _ = 1 / 0
    assert path.read_text() == before
    with changing(path) as value:
        value["masters"].append(local_entry("data"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    changed = open_keyring(path)
    assert changed.current("data").id != ring.current("data").id
    changed.unwrap(ring.new_key("a")[1], "a")
    changed.verify(b"x", ring.sign(b"x"))
    assert changed.pseudonym_key("a").secret() == ring.pseudonym_key("a").secret()


def test_eight_processes_at_once_make_one_keyring(tmp_path: Path):
    path = tmp_path / "home" / "keyring.json"
    context = multiprocessing.get_context("fork")
    barrier, said = context.Barrier(8), context.Queue()
    racers = [context.Process(target=_race, args=(path, barrier, said)) for _ in range(8)]
    for racer in racers:
        racer.start()
    signatures = [said.get(timeout=30) for _ in racers]
    for racer in racers:
        racer.join(30)
    ring = open_keyring(path, create=False)
    for signature in signatures:
        ring.verify(b"raced", signature)
    assert [file.name for file in path.parent.iterdir()] == ["keyring.json"]


def _race(path: Path, barrier, said) -> None:
    barrier.wait(30)
    said.put(open_keyring(path).sign(b"raced"))

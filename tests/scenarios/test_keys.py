"""Without the right keys, or with a changed byte, nothing is read and nothing is begun; it is said in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlray.vault.kms import open_keyring
from tests.scenarios.shell import Shell

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
READERS = (("ingest", "jobs/flights/ingest.yaml"), ("tune", "jobs/flights/tune.yaml"), ("deploy", "jobs/flights/serve.yaml"))


@pytest.mark.parametrize("command", READERS, ids=[command[0] for command in READERS])
def test_without_its_keyring_a_home_does_nothing_and_makes_no_other(command: tuple[str, str], shell: Shell, cluster: dict[str, str]):
    with changed(shell.home.keyring, None):
        said = shell.mlray(*command)
        assert not shell.home.keyring.exists()
    assert said.code == 1 and one_error(said.err) == f"error: {shell.home.keyring}: no keyring", said


def test_new_data_is_not_sealed_with_a_new_keyring_where_one_was_lost(shell: Shell, cluster: dict[str, str]):
    shell.write("jobs/flights/other.yaml", "jobs/flights/ingest.yaml", dataset="other")
    with changed(shell.home.keyring, None):
        said = shell.mlray("ingest", "jobs/flights/other.yaml")
        assert not shell.home.keyring.exists()
    assert said.code == 1 and "no keyring" in one_error(said.err), said


@pytest.mark.parametrize("command", [READERS[1], READERS[2]], ids=["tune", "deploy"])
def test_the_keyring_of_another_home_opens_nothing(command: tuple[str, str], shell: Shell, cluster: dict[str, str], tmp_path: Path):
    open_keyring(tmp_path / "keyring.json")
    with changed(shell.home.keyring, (tmp_path / "keyring.json").read_bytes()):
        said = shell.mlray(*command)
    assert said.code == 1 and "is not in this keyring" in one_error(said.err), said


def test_a_flipped_byte_of_a_part_is_named_and_nothing_is_trained_on_it(shell: Shell, cluster: dict[str, str]):
    part = sorted((shell.home.root / "store" / "datasets" / "flights").rglob("train-*.parquet"))[0]
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    with changed(part, bytes(data)):
        for command in (("data", "verify", "flights"), READERS[1]):
            said = shell.mlray(*command)
            assert said.code == 1, said
            assert f"part {part.stem.rpartition('-')[0]} was changed after it was committed" in one_error(said.err)
    assert shell.json("data", "verify", "flights")["whole"] is True


def one_error(err: str) -> str:
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    return line


@contextmanager
def changed(path: Path, data: bytes | None) -> Iterator[None]:
    """The file with other bytes, or away, for a while."""
    before, aside = path.read_bytes(), path.with_name(f"{path.name}.aside")
    path.rename(aside)
    try:
        if data is not None:
            path.touch(mode=0o600)
            path.write_bytes(data)
        yield
    finally:
        aside.replace(path)
        assert path.read_bytes() == before

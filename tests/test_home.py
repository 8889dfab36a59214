import os
import stat
import tempfile
from pathlib import Path

import pytest

from mlray.errors import StoreError
from mlray.home import Home, private_folder, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_finding_a_home_touches_nothing_and_preparing_it_makes_it_private(tmp_path: Path):
    home = Home.at(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    home.prepare()
    assert (mode(tmp_path / "a"), mode(home.root)) == (0o700, 0o700)


def test_a_home_that_others_could_read_is_closed(tmp_path: Path):
    (tmp_path / "open").mkdir(mode=0o755)
    private_folder(tmp_path / "open")
    assert mode(tmp_path / "open") == 0o700


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(StoreError, match="belongs to another user"):
        private_folder(tmp_path)


def test_a_folder_for_everybody_is_not_closed(tmp_path: Path):
    tmp_path.chmod(0o1777)
    with pytest.raises(StoreError, match="is for everybody to write in"):
        write_private(tmp_path / "keyring.json", "secret")
    assert tmp_path.stat().st_mode & 0o7777 == 0o1777 and not list(tmp_path.iterdir())


def test_the_environment_says_where_and_a_child_finds_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MLRAY_HOME", str(tmp_path))
    monkeypatch.setenv("MLRAY_DATABASE", "postgresql+psycopg://db/mlray")
    monkeypatch.setenv("MLRAY_STORE", "s3://bucket/mlray")
    home = Home.locate()
    assert (home.root, home.database, home.store) == (tmp_path, "postgresql+psycopg://db/mlray", "s3://bucket/mlray")
    for name, value in home.environment().items():
        monkeypatch.setenv(name, value)
    assert Home.locate() == home


def test_without_an_environment_home_is_below_the_users_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("MLRAY_HOME")
    assert Home.locate() == Home.at(Path.home() / ".mlray")


def test_scratch_is_short_and_differs_by_home_and_cluster(tmp_path: Path):
    deep = tmp_path / ("x" * 200)
    paths = {Home.at(root).scratch(name) for root in (tmp_path, deep) for name in ("local", "gpu")}
    assert len(paths) == 4 and max(len(str(path)) for path in paths) < 60


@pytest.mark.parametrize(("top", "used"), [("/tmp/here", "/tmp/here"), ("/var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T", "/tmp")])
def test_a_temporary_folder_too_deep_for_sockets_is_not_used(top: str, used: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", top)
    for uid in (0, 2**32 - 2):
        monkeypatch.setattr(os, "getuid", lambda uid=uid: uid)
        scratch = str(Home.at("/h").scratch("local"))
        assert len(f"{scratch}/n99/{'0' * 56}/a") <= 97 and scratch.startswith(used if uid == 0 else "/tmp/mlray-")


def test_a_private_file_is_replaced_whole_and_read_by_its_owner_alone(tmp_path: Path):
    file = tmp_path / "home" / "keyring.json"
    write_private(file, "first")
    write_private(file, "second")
    assert (file.read_text(), mode(file), mode(file.parent)) == ("second", 0o600, 0o700)
    assert list(file.parent.iterdir()) == [file]

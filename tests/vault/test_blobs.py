"""A write is whole or absent, and a name is claimed once."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mlray.errors import StoreError
from mlray.home import Home
from mlray.vault.blobs import Blobs
from mlray.vault.store import VaultAddress


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(f"file://{tmp_path}/the store")


def test_bytes_come_back_and_what_is_absent_is_none(blobs: Blobs):
    blobs.write("a/b/c", b"one")
    blobs.write("a/b/c", b"two")
    assert (blobs.read("a/b/c"), blobs.read("a/b/d"), blobs.read("x/y")) == (b"two", None, None)
    assert (blobs.files("a/b"), blobs.folders("a"), blobs.files("a"), blobs.files("none")) == (("c",), ("b",), (), ())


def test_a_store_weighs_what_its_files_do(blobs: Blobs):
    assert blobs.weight() == 0
    blobs.write("a/b/c", b"one")
    blobs.write("a/d", b"four")
    assert (blobs.weight(), blobs.weight("a/b"), blobs.weight("none")) == (7, 3, 0)


def test_a_folder_with_a_space_may_be_written_either_way(blobs: Blobs, tmp_path: Path):
    blobs.write("a", b"one")
    assert Blobs((tmp_path / "the store").as_uri()).read("a") == b"one"
    assert Blobs(Home.at(tmp_path / "Jane Doe").store).read("a") is None


def test_removing_what_is_gone_is_fine(blobs: Blobs):
    blobs.write("a/b", b"")
    blobs.remove_file("a/b")
    blobs.remove_file("a/b")
    blobs.remove("a")
    blobs.remove("a")
    assert blobs.folders("") == ()


def test_a_path_out_of_the_store_is_refused(blobs: Blobs):
    for path in ("../keyring.json", "a/../../b", ".."):
        with pytest.raises(StoreError, match="leads out of the store"):
            blobs.read(path)


def test_a_disk_that_refuses_is_said_in_one_sentence(blobs: Blobs):
    blobs.write("a", b"a file")
    for act in (lambda: blobs.write("a/b", b"x"), lambda: blobs.read("a/b"), lambda: blobs.files("a")):
        with pytest.raises(StoreError, match=r"cannot (write|read|list) a"):
            act()


def test_of_eight_that_claim_a_name_at_once_one_gets_it(blobs: Blobs, tmp_path: Path):
    context = multiprocessing.get_context("fork")
    barrier, said = context.Barrier(8), context.Queue()
    racers = [context.Process(target=_claim, args=(blobs, number, barrier, said)) for number in range(8)]
    for racer in racers:
        racer.start()
    answers = dict(said.get(timeout=30) for _ in racers)
    for racer in racers:
        racer.join(30)
    winners = [number for number, won in answers.items() if won]
    assert len(winners) == 1 and blobs.read("v/manifest.json") == b"%d" % winners[0]
    assert [path.name for path in (tmp_path / "the store" / "v").iterdir()] == ["manifest.json"]


def _claim(blobs: Blobs, number: int, barrier, said) -> None:
    barrier.wait(30)
    said.put((number, blobs.claim("v/manifest.json", b"%d" % number)))


def test_a_full_disk_is_told_of_and_leaves_no_version(tmp_path: Path):
    """A child process may write files of 64 KiB at most, as on a disk with that much left."""
    script = (
        "import resource, signal, sys; sys.path.insert(0, sys.argv[2])\n"
        "import random, pyarrow as pa\n"
        "from mlray.errors import StoreError\n"
        "from mlray.vault.store import VaultAddress\n"
        "vault = VaultAddress(f'file://{sys.argv[1]}/store', f'{sys.argv[1]}/keyring.json').open()\n"
        "draft = vault.draft_dataset('flights', '3f' * 32)\n"
        "part = vault.write_part(draft, 'train-00000', 'train', pa.table({'n': [1, 2]}))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, 64 << 10))\n"
        "rows = pa.table({'n': [random.random() for _ in range(50_000)]})\n"
        "try:\n"
        "    vault.write_part(draft, 'train-00001', 'train', rows)\n"
        "except StoreError as full:\n"
        "    print(full)\n"
        "    sys.exit(7)\n"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path), root], capture_output=True, text=True, timeout=60)
    assert done.returncode == 7, done.stderr
    assert "cannot write datasets/flights/" in done.stdout and "File too large" in done.stdout and "not full" in done.stdout
    vault = VaultAddress(f"file://{tmp_path}/store", f"{tmp_path}/keyring.json").open()
    assert vault.datasets() == ()
    left = [path.name for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert sorted(name.split("-")[0] for name in left) == ["key.json", "train"], "no half-written file"


def test_a_file_destroyed_while_it_is_read_is_whole_or_gone(blobs: Blobs):
    whole, seen = b"k" * 300_000, set[bytes | None]()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.add(blobs.read("keys/one"))

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(300):
        blobs.write("keys/one", whole)
        blobs.destroy_file("keys/one")
    done.set()
    reader.join()
    assert seen <= {None, whole} and whole in seen


def test_the_bytes_of_a_destroyed_file_are_overwritten(blobs: Blobs, tmp_path: Path):
    blobs.write("keys/one", b"wrapped" * 100)
    other_name = tmp_path / "held"
    other_name.hardlink_to(tmp_path / "the store/keys/one")
    blobs.destroy_file("keys/one")
    blobs.destroy_file("keys/one")
    assert blobs.read("keys/one") is None and other_name.read_bytes() == bytes(700)

"""Whatever is killed, full or unreachable while it runs: the version is complete or absent, and no finished piece is repeated.

Each test is a cell of the table in docs/faults.md.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import ray

from mlray.errors import StoreError
from mlray.files import load
from mlray.home import Home
from mlray.ingest import on_ray
from mlray.ingest.mill import Sealed
from mlray.ingest.on_ray import ingest
from mlray.ingest.report import Ingested
from mlray.ingest.spec import IngestJob
from mlray.launch.on_ray import kill_node, status
from mlray.progress import OnProgress, Progress, silent
from mlray.sources import readers
from mlray.vault.blobs import Blobs
from mlray.vault.store import Vault, VaultAddress
from mlray.vault.version import DatasetVersion
from tests.clusters import eventually, running_cluster, variant
from tests.ingest import faulty
from tests.ingest.faulty import Fault, Striking, finished_files
from tests.ingest.flaky import Flaky, flaky

pytestmark = pytest.mark.ray
ROOT = Path(__file__).parents[2]
# Two spot nodes, so that a lost one's work goes on at once: how long a new node takes is shown in tests/launch.
TWO_SPOT = (
    ("min_workers: 1\n    max_workers: 2\n    priority: 10", "min_workers: 2\n    max_workers: 2\n    priority: 10"),
    ("min_workers: 1\n    max_workers: 2\n\n#", "min_workers: 0\n    max_workers: 0\n\n#"),
)
ROWS = 6000
JOB = """kind: ingest
name: mini
policy: none.yaml
dataset: mini
sources:
  rows: {uri: rows.csv, format: csv, columns: {at: timestamp, who: text, delay: int}}
main: rows
checks: [{rule: not_null, column: delay, reason: no delay}]
split: {by: time, column: at, validation_from: 2013-09-01, test_from: 2013-11-01}
rows_per_part: 1024
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home.at(tmp_path_factory.mktemp("home"))
    with running_cluster(home, variant(tmp_path_factory.mktemp("file"), *TWO_SPOT)):
        ray.cloudpickle.register_pickle_by_value(faulty)
        yield home
        ray.cloudpickle.unregister_pickle_by_value(faulty)


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    """6,000 rows, one every three quarters of an hour from July on; every 50th has no delay."""
    times = (datetime(2013, 7, 1) + timedelta(minutes=45 * i) for i in range(ROWS))
    rows = [f"{at:%Y-%m-%dT%H:%M:%SZ},P{i % 7},{i % 90 if i % 50 else ''}" for i, at in enumerate(times)]
    (tmp_path / "rows.csv").write_text("\n".join(["at,who,delay", *rows]) + "\n")
    (tmp_path / "job.yaml").write_text(JOB)
    return tmp_path


def run(mini: Path, on_progress: OnProgress = silent, store: str = "", on_usage: on_ray.OnUsage | None = None) -> Ingested:
    return ingest(load(mini / "job.yaml", IngestJob), mini, address(mini, store), on_progress, on_usage)


def address(mini: Path, store: str = "") -> VaultAddress:
    return VaultAddress(store or f"file://{mini}/store", f"{mini}/keyring.json")


def pieces(mini: Path) -> int:
    job = load(mini / "job.yaml", IngestJob)
    return len(readers.find("rows", job.sources["rows"], mini, job.rows_per_part).pieces)


def versions(mini: Path) -> tuple[DatasetVersion, ...]:
    return address(mini).open().datasets()


def struck(mini: Path) -> set[str]:
    """The files that were finished when the fault struck."""
    return set(json.loads((mini / "struck").read_text())["finished"])


def whole(mini: Path, done: DatasetVersion, finished: set[str], store: str = "") -> None:
    """Every row is there once, every digest is right, and what was finished before is used as it was."""
    vault = address(mini, store).open()
    vault.verify(done)
    assert vault.find_dataset("mini").digest == done.digest
    lines = [line for split in ("train", "validation", "test") for line in vault.read(done, split, ["at"])["at"].to_pylist()]
    assert len(lines) == len(set(lines)) == ROWS - ROWS // 50 and dict(done.manifest.rejected) == {"no delay": ROWS // 50}
    held = {part.file for part in done.manifest.parts}
    assert finished and finished <= held, "a finished piece was sealed again"


def nothing_else(mini: Path, done: DatasetVersion) -> None:
    """What was written in vain has been swept."""
    stored = {str(path.relative_to(mini / "store" / "datasets" / "mini")) for path in (mini / "store").rglob("*.parquet")}
    assert stored == {part.file for part in done.manifest.parts}


@pytest.mark.parametrize("stage", ["reading", "sealing", "last"])
def test_a_killed_driver_leaves_no_version_and_the_next_one_goes_on(stage: str, mini: Path, cluster: Home):
    killed(mini, cluster, stage)
    assert versions(mini) == ()
    goes_on(mini, struck(mini))


def test_a_driver_killed_before_its_commit_leaves_no_version_and_the_next_one_only_commits(mini: Path, cluster: Home):
    killed(mini, cluster, "before commit")
    assert versions(mini) == ()
    receipts = noted(address(mini).open())
    assert len(receipts) == pieces(mini)
    assert goes_on(mini, finished_files(receipts)) == [], "a piece was read again"


def test_a_driver_killed_after_its_commit_leaves_a_version_that_the_next_one_finds(mini: Path, cluster: Home):
    killed(mini, cluster, "after commit")
    (found,) = versions(mini)
    address(mini).open().verify(found)
    again = run(mini)
    assert again.reused and again.version.digest == found.digest
    whole(mini, again.version, {part.file for part in found.manifest.parts})


def noted(vault: Vault) -> dict[str, bytes]:
    """The receipts of the one draft there is."""
    (digest,) = Blobs(vault.address.store).folders("datasets/mini")
    return vault.receipts(vault.draft_dataset("mini", digest))


def killed(mini: Path, cluster: Home, stage: str) -> None:
    script = "import sys; from pathlib import Path; from tests.ingest import faulty\n"
    script += "faulty.drive(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))"
    command = [sys.executable, "-c", script, str(mini), str(cluster.root), stage, str(pieces(mini))]
    ended = subprocess.run(command, cwd=ROOT, timeout=120, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr[-2000:]


def goes_on(mini: Path, finished: set[str]) -> list[str]:
    """Runs it again, to its end; a key for each piece that was still to be done."""
    told, used = list[Progress](), list[str]()
    done = run(mini, told.append, on_usage=lambda key, usage: used.append(key))
    assert not done.reused and any("were finished before" in step.message for step in told)
    whole(mini, done.version, finished)
    nothing_else(mini, done.version)
    return used


@pytest.mark.parametrize("stage", ["reading", "sealing", "last"])
def test_a_killed_worker_is_replaced_and_what_it_finished_is_kept(stage: str, mini: Path, cluster: Home, monkeypatch: pytest.MonkeyPatch):
    strikes(monkeypatch, mini, "worker", stage)
    done = run(mini)
    whole(mini, done.version, struck(mini))
    nothing_else(mini, done.version)


@pytest.mark.parametrize("stage", ["reading", "sealing", "last"])
def test_the_work_of_a_lost_node_goes_on_elsewhere(stage: str, mini: Path, cluster: Home, monkeypatch: pytest.MonkeyPatch):
    assert eventually(lambda: status(cluster, "local").ready("spot") == 2, 90)
    strikes(monkeypatch, mini, "node", stage)
    with ended_when_struck(cluster, mini / "struck"):
        done = run(mini)
    whole(mini, done.version, struck(mini))
    nothing_else(mini, done.version)


def test_the_loss_of_all_nodes_around_the_commit_changes_nothing(mini: Path, cluster: Home, monkeypatch: pytest.MonkeyPatch):
    assert eventually(lambda: status(cluster, "local").ready("spot") == 2, 90)
    commit, nodes = Vault.commit_dataset, [node.id for node in status(cluster, "local").nodes if node.type == "spot"]

    def between_losses(*given: object, **named: object) -> DatasetVersion:
        kill_node(cluster, "local", nodes[0])
        made = commit(*given, **named)  # type: ignore[arg-type]
        kill_node(cluster, "local", nodes[1])
        return made

    monkeypatch.setattr(Vault, "commit_dataset", between_losses)
    done = run(mini)
    whole(mini, done.version, {part.file for part in done.version.manifest.parts})


def strikes(monkeypatch: pytest.MonkeyPatch, mini: Path, victim: str, stage: str) -> None:
    fault = Fault(victim, stage, str(mini / "struck"), os.getpid(), pieces(mini))
    monkeypatch.setattr(on_ray, "Sealed", lambda draft: Striking(Sealed(draft), fault))


@contextmanager
def ended_when_struck(cluster: Home, flag: Path) -> Iterator[None]:
    """Ends the node that a task names in the flag, with all its processes."""

    def end() -> None:
        if eventually(lambda: flag.exists() and flag.read_text(), 60):
            kill_node(cluster, "local", json.loads(flag.read_text())["node"])

    thread = threading.Thread(target=end)
    thread.start()
    yield
    thread.join()


def test_a_full_disk_is_told_and_with_room_again_it_goes_on(mini: Path, cluster: Home):
    run(mini, store=f"file://{mini}/elsewhere")
    size = sum(path.stat().st_size for path in (mini / "elsewhere").rglob("*") if path.is_file())
    with small_disk(mini / "store", size // 2):
        with pytest.raises(StoreError, match=r"cannot write .*: No space left on device") as full:
            run(mini)
        assert "not full?" in str(full.value.hint) and versions(mini) == ()
        subprocess.run(["mount", "-o", "remount,size=64m", str(mini / "store")], check=True)
        goes_on(mini, finished_files(noted(address(mini).open())))


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    folder.mkdir(mode=0o700)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def bucket() -> Iterator[Flaky]:
    """An object store behind a proxy that fails nothing yet."""
    import boto3
    from moto.server import ThreadedMotoServer

    behind = ThreadedMotoServer(port=0, verbose=False)
    behind.start()
    try:
        port = behind.get_host_and_port()[1]
        boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1").create_bucket(Bucket="sealed")
        with flaky(port, share=0.0, seed=7) as proxy:
            yield proxy
    finally:
        behind.stop()


def test_a_store_that_goes_away_and_comes_back_failing_a_tenth_of_all_calls(mini: Path, cluster: Home, bucket: Flaky):
    store = f"s3://sealed/mlray?scheme=http&endpoint_override=127.0.0.1:{bucket.server_address[1]}"
    with pytest.raises(StoreError) as told:
        run(mini, lambda progress: bucket.fails(1.0 if (progress.done or 0) >= 2 else 0.0), store)
    assert told.value.hint == "is the store mounted, reachable, and not full?"
    bucket.fails(0.0)
    vault = address(mini, store).open()
    assert vault.datasets() == ()
    finished = finished_files(noted(vault))
    bucket.fails(0.1)
    done = run(mini, store=store)
    print(f"{bucket.failed} of {bucket.asked} calls failed")
    bucket.fails(0.0)
    whole(mini, done.version, finished, store)

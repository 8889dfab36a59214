"""A stream becomes versions, each with the offsets it was made of: whatever is killed, no record is lost and none is there twice."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import Producer

from mlray.errors import SpecError, WorkError
from mlray.ingest import batches, chain, follow
from mlray.ingest.report import Ingested
from mlray.progress import Progress
from mlray.vault.store import Vault, VaultAddress
from mlray.vault.version import DatasetVersion
from tests.brokers import make_topic, producing, running_broker, send
from tests.ingest.streams import WINDOW, address, click, clicks, job, run

ROOT = Path(__file__).parents[2]
RULE = {"column": "at", "delay": "10s"}
WINDOWED = {"watermark": RULE, "windows": [WINDOW]}
KILLS = 20
_names = (f"clicks-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with running_broker() as at:
        yield at


@pytest.fixture
def topic(broker: str) -> str:
    name = next(_names)
    make_topic(broker, name, 3)
    return name


@pytest.fixture
def vault(tmp_path: Path) -> VaultAddress:
    return address(tmp_path)


def ids(version: DatasetVersion, vault: VaultAddress, split: str = "all") -> list[int]:
    return sorted(vault.open().read(version, split)["id"].to_pylist())


def told(version: DatasetVersion) -> dict[str, Any]:
    found = version.manifest.about["stream"]
    assert isinstance(found, dict)
    return found


def window_rows(version: DatasetVersion, vault: VaultAddress) -> list[dict[str, Any]]:
    return sorted(vault.open().read(version, "window-minutes").to_pylist(), key=str)


def test_every_batch_is_a_version_that_shares_the_one_before(broker: str, topic: str, vault: VaultAddress):
    send(broker, topic, clicks(range(900)))
    heard: list[Progress] = []
    done = run(job(broker, topic, {"most": 300}), vault, on_progress=heard.append)
    first, second, third = vault.open().datasets()
    assert [version.digest for version in (first, second, third)][-1] == done.version.digest
    assert [dict(version.manifest.lineage)["previous"] for version in (second, third)] == [first.digest, second.digest]
    assert ids(first, vault) == sorted(ids(first, vault)) and len(ids(first, vault)) == 300
    assert ids(third, vault) == list(range(900)) and done.rows_read == done.rows_kept == 900
    assert {part.file for part in first.manifest.of("all")} < {part.file for part in third.manifest.of("all")}
    assert third.manifest.about["offsets"] == {"clicks": {"0": "300", "1": "300", "2": "300"}}
    assert [said.message.split(":")[0] for said in heard] == ["300 records"] * 3
    for version in (first, second, third):
        vault.open().verify(version)


def test_it_goes_on_where_the_latest_version_ends_and_makes_none_when_nothing_came(broker: str, topic: str, vault: VaultAddress):
    send(broker, topic, clicks(range(100)))
    how = job(broker, topic, {})
    before = run(how, vault)
    again = run(how, vault)
    assert (again.version.digest, again.reused, before.reused) == (before.version.digest, True, False)
    send(broker, topic, clicks(range(100, 150)))
    assert ids(run(how, vault).version, vault) == list(range(150))


def test_the_same_batches_of_the_same_stream_are_the_same_version_on_another_machine(broker: str, topic: str, tmp_path: Path):
    send(broker, topic, clicks(range(500)))
    how = job(broker, topic, {"most": 200} | WINDOWED)
    one, other = (run(how, address(tmp_path / name)).version.digest for name in ("one", "other"))
    assert one == other


def test_windows_of_any_batching_are_those_of_one_batch(broker: str, topic: str, tmp_path: Path):
    send(broker, topic, clicks(range(2000)))
    found = []
    for most in (10_000, 170, 61):
        at = address(tmp_path / str(most))
        version = run(job(broker, topic, {"most": most} | WINDOWED), at).version
        found.append(window_rows(version, at))
        assert told(version)["late"] == 0
    assert found[0] == found[1] == found[2]
    full = [row for row in found[0] if row["n"] == 30]
    assert len(full) == len(found[0]) - 2 and len({(row["window_start"], row["who"]) for row in found[0]}) == len(found[0])


@pytest.mark.parametrize("late, kept, rejected, warned", [("reject", 300, 2, {}), ("keep", 302, 0, {}), ("warn", 302, 0, {"late": 2})])
def test_late_rows_are_handled_by_the_rule_and_counted(
    broker: str, topic: str, vault: VaultAddress, late: str, kept: int, rejected: int, warned: dict[str, int]
):
    how = job(broker, topic, {"watermark": RULE | {"late": late}, "windows": [WINDOW]})
    send(broker, topic, clicks(range(300)))
    before = window_rows(run(how, vault).version, vault)
    send(broker, topic, [(0, click(5)), (1, click(6))])
    version = run(how, vault).version
    assert (version.manifest.rows("all"), version.manifest.rows("rejected")) == (kept, rejected)
    assert told(version)["late"] == 2
    assert version.manifest.about["warned"] == warned
    assert window_rows(version, vault) == before, "a window that was emitted is never emitted again, nor changed"
    if rejected:
        assert dict(version.manifest.rejected) == {"late": 2}


def test_small_parts_are_merged_in_the_same_commit(broker: str, topic: str, vault: VaultAddress):
    how = job(broker, topic, {"most": 90, "compact_after": 6} | WINDOWED)
    sizes = []
    for number in range(12):
        send(broker, topic, clicks(range(number * 90, number * 90 + 90)))
        version = run(how, vault).version
        sizes.append(len(version.manifest.of("all")))
        assert ids(version, vault) == list(range(number * 90 + 90))
    assert max(sizes) <= 6 + 3 + 1 and min(sizes[3:]) < 6
    assert len(version.manifest.of("window-minutes")) <= 7
    vault.open().verify(version)


def test_records_that_are_no_good_are_sealed_aside_and_add_up(broker: str, topic: str, vault: VaultAddress):
    how = job(broker, topic, {"most": 50}, checks=[{"rule": "between", "column": "amount", "low": 0, "high": 8, "reason": "too much"}])
    send(broker, topic, [*clicks(range(100)), (0, b"no json")])
    done = run(how, vault)
    assert dict(done.rejected) == {"too much": 10, "the record is not a JSON object": 1}
    assert (done.rows_read, done.rows_kept, done.version.manifest.rows("rejected")) == (101, 90, 11)


def test_a_check_that_refuses_leaves_the_versions_before(broker: str, topic: str, vault: VaultAddress):
    check = {"rule": "between", "column": "amount", "low": 0, "high": 9, "reason": "too much", "on_fail": "refuse"}
    how = job(broker, topic, {}, checks=[check])
    send(broker, topic, clicks(range(100)))
    before = run(how, vault).version
    send(broker, topic, [(0, json.dumps({"id": 1, "amount": 99}).encode())])
    with pytest.raises(WorkError, match="too much"):
        run(how, vault)
    assert vault.open().find_dataset("clicks").digest == before.digest and not vault.open().drafts("clicks")


def test_what_was_being_made_when_it_was_killed_is_removed_by_the_next(
    broker: str, topic: str, vault: VaultAddress, monkeypatch: pytest.MonkeyPatch
):
    send(broker, topic, clicks(range(100)))
    how = job(broker, topic, {})
    with monkeypatch.context() as dying:
        dying.setattr(Vault, "commit_dataset", lambda *_, **__: os.abort)
        dying.setattr(Vault, "discard", lambda *_: None)
        dying.setattr(follow, "_committed", _dies)
        with pytest.raises(MemoryError):
            run(how, vault)
    assert len(vault.open().drafts("clicks")) == 1
    send(broker, topic, clicks(range(100, 120)))
    assert ids(run(how, vault).version, vault) == list(range(120))
    assert not vault.open().drafts("clicks")


def _dies(*_: object) -> None:
    raise MemoryError


def test_a_version_whose_pointer_was_not_moved_is_left_behind_and_its_records_come_once(broker: str, topic: str, vault: VaultAddress):
    how = job(broker, topic, {})
    send(broker, topic, clicks(range(100)))
    first = run(how, vault).version
    send(broker, topic, clicks(range(100, 200)))
    run(how, vault)
    vault.open().shelf.point("dataset", "clicks", first.digest)  # as if it had died between its two last writes
    send(broker, topic, clicks(range(200, 250)))
    assert ids(run(how, vault).version, vault) == list(range(250))


def test_a_dataset_that_cannot_be_gone_on_with_is_told(broker: str, topic: str, vault: VaultAddress):
    with pytest.raises(WorkError, match="holds no records yet"):
        run(job(broker, topic, {}), vault)
    send(broker, topic, clicks(range(100)))
    run(job(broker, topic, WINDOWED), vault)
    label = {"name": "much", "column": "amount", "above": 5}
    with pytest.raises(SpecError, match="has other columns than this job makes"):
        run(job(broker, topic, {}, label=label), vault)
    with pytest.raises(SpecError, match="minutes is computed otherwise"):
        run(job(broker, topic, WINDOWED | {"windows": [WINDOW | {"size": "2m"}]}), vault)


def test_it_may_begin_with_what_comes_from_now_on(broker: str, topic: str, vault: VaultAddress):
    send(broker, topic, clicks(range(100)))
    seen: list[Progress] = []

    def stopped() -> bool:
        if not seen and not sent:
            sent.append(1)
        elif len(sent) == 1:
            send(broker, topic, clicks(range(100, 130)))
            sent.append(1)
        return bool(seen)

    sent: list[int] = []
    done = run(job(broker, topic, {"start": "latest"}), vault, forever=True, stopped=stopped, on_progress=seen.append)
    assert ids(done.version, vault) == list(range(100, 130))


def test_ctrl_c_ends_it_between_two_versions():
    with follow.interruptible() as stopped:
        assert not stopped()
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.timeout(240)
def test_killed_twenty_times_at_random_points_no_record_is_lost_and_none_is_there_twice(broker: str, topic: str, tmp_path: Path):
    vault, seed = address(tmp_path), random.randrange(2**32)
    chance = random.Random(seed)
    how = job(broker, topic, {"most": 400} | WINDOWED)
    (tmp_path / "job.json").write_text(how.model_dump_json())
    command = [sys.executable, "-m", "tests.ingest.streams", str(tmp_path / "job.json"), vault.store, vault.keyring]
    with (
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forks,
        producing_clicks(broker, topic) as sent,
    ):
        assert forks.stdin and forks.stdout
        drafts = 0
        for _ in range(KILLS):
            print("go", file=forks.stdin, flush=True)
            child = int(forks.stdout.readline())
            time.sleep(chance.uniform(0.05, 1.2))
            os.kill(child, signal.SIGKILL)
            drafts += bool(vault.open().drafts("clicks"))
        forks.stdin.close()
    version = run(how, vault).version
    found = vault.open().read(version, "all")
    lost, twice = Counter(sent) - Counter(found["id"].to_pylist()), Counter(found["id"].to_pylist()) - Counter(sent)
    assert not lost and not twice, f"seed {seed}: lost {len(lost)}, twice {len(twice)} of {len(sent)}"
    assert pa.compute.equal(found["amount"], pa.array([n % 10 for n in found["id"].to_pylist()])).to_pylist().count(False) == 0
    at_once = address(tmp_path / "at-once")
    assert window_rows(version, vault) == window_rows(run(job(broker, topic, {"most": 10**6} | WINDOWED), at_once).version, at_once)
    batches_made = told(version)["batch"]
    print(f"{len(sent):,} records in {batches_made} versions; {drafts} of {KILLS} kills hit a batch that was being made; seed {seed}")
    assert batches_made > 5 and drafts


class producing_clicks:
    """Writes clicks in the order of their numbers, from a thread of its own, until the block ends."""

    def __init__(self, broker: str, topic: str) -> None:
        self._producer, self._topic, self._sent, self._over = Producer(producing(broker)), topic, list[int](), threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        for number in itertools.count():
            self._producer.produce(self._topic, click(number), partition=number % 3)
            self._sent.append(number)
            if number % 40 == 39:
                self._producer.flush()
                if self._over.wait(0.03):
                    return

    def __enter__(self) -> list[int]:
        self._thread.start()
        return self._sent

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        assert not self._producer.flush(60)


def test_a_batch_sends_names_and_brings_back_counts():
    assert {"rows", "table", "panes"}.isdisjoint(batches.Batch.__dataclass_fields__)
    assert {"rows", "table", "panes"}.isdisjoint(batches.Milled.__dataclass_fields__)


def test_a_standing_is_read_back_as_it_was_told(broker: str, topic: str, vault: VaultAddress):
    send(broker, topic, clicks(range(100)))
    how = job(broker, topic, WINDOWED)
    done: Ingested = run(how, vault)
    assert how.follow
    found = chain.standing(done.version.manifest, "clicks", how.follow, done.version.manifest.schema)
    assert chain.tell(found, "clicks", how.follow).items() <= done.version.manifest.about.items()

"""Topics and tables through real tasks: one task a batch, the same version as in one process, passwords from the sealed store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mlray.clock import SystemClock
from mlray.errors import WorkError
from mlray.ingest import follow
from mlray.ingest.on_ray import ingest
from mlray.ingest.report import Ingested
from mlray.ingest.spec import IngestJob
from mlray.ledger.entry import Usage
from mlray.vault.secrets import Secrets
from mlray.vault.store import VaultAddress
from tests.brokers import make_topic, running_broker, send
from tests.clusters import Shared
from tests.ingest.streams import WINDOW, address, clicks, job, run

pytestmark = pytest.mark.ray

POSTGRES = os.environ.get("MLRAY_TEST_POSTGRES", "")
WINDOWED = {"watermark": {"column": "at", "delay": "10s"}, "windows": [WINDOW]}


@pytest.fixture(scope="module", autouse=True)
def cluster(shared_cluster: Shared) -> Shared:
    return shared_cluster


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with running_broker() as at:
        yield at


def on_cluster(job: IngestJob, vault: VaultAddress, used: list[Usage]) -> Ingested:
    def book(_: str, usage: Usage) -> None:
        used.append(usage)

    return follow.follow(job, Path("."), vault, follow.on_cluster, clock=SystemClock(), forever=False, on_usage=book)


def test_batches_on_a_cluster_are_those_of_one_process(broker: str, tmp_path: Path):
    make_topic(broker, "followed", 3)
    send(broker, "followed", clicks(range(2000)))
    how, there, here = job(broker, "followed", {"most": 700} | WINDOWED), address(tmp_path / "there"), address(tmp_path / "here")
    used: list[Usage] = []
    version, same = on_cluster(how, there, used).version, run(how, here).version
    assert version.digest == same.digest
    assert sorted(there.open().read(version, "all")["id"].to_pylist()) == list(range(2000))
    assert there.open().read(version, "window-minutes").equals(here.open().read(same, "window-minutes"))
    assert used and all(usage.seconds > 0 and usage.node_type for usage in used)


def test_a_check_that_refuses_on_a_node_is_told_in_one_sentence(broker: str, tmp_path: Path):
    make_topic(broker, "refused")
    send(broker, "refused", clicks(range(20), 1))
    check = {"rule": "between", "column": "amount", "low": 0, "high": 5, "reason": "too much", "on_fail": "refuse"}
    with pytest.raises(WorkError, match="too much"):
        on_cluster(job(broker, "refused", {}, checks=[check]), address(tmp_path), [])
    assert not address(tmp_path).open().drafts("clicks")


def test_without_a_follow_block_a_topic_is_read_as_it_is_now(broker: str, tmp_path: Path):
    make_topic(broker, "once", 2)
    send(broker, "once", clicks(range(5000), 2))
    how = job(broker, "once", {}).model_copy(update={"follow": None})
    first = ingest(how, tmp_path, address(tmp_path))
    assert (first.rows_read, ingest(how, tmp_path, address(tmp_path)).reused) == (5000, True)
    send(broker, "once", clicks(range(5000, 5100), 2))
    second = ingest(how, tmp_path, address(tmp_path))
    files = [{part.file for part in found.version.manifest.of("all")} for found in (first, second)]
    assert second.rows_read == 5100 and len(files[0] & files[1]) == 4, "full pieces are shared, not read again"


@pytest.mark.services
def test_a_table_is_read_by_tasks_that_see_one_moment_and_grows_by_its_new_rows(tmp_path: Path):
    if not POSTGRES:
        pytest.skip("MLRAY_TEST_POSTGRES names no database; .ci/services starts one")
    vault = address(tmp_path)
    Secrets(vault.open()).set("shop-url", POSTGRES)
    source: dict[str, Any] = {"format": "sql", "connection": {"secret": "shop-url"}, "table": "sold", "key": "id"}
    given = {
        "kind": "ingest",
        "name": "sold",
        "policy": "p.yaml",
        "dataset": "sold",
        "main": "sold",
        "split": {"by": "none"},
        "rows_per_part": 1024,
    }
    how = IngestJob.model_validate({**given, "sources": {"sold": source | {"columns": {"id": "int", "what": "text"}}}})
    with psycopg.connect(POSTGRES.replace("+psycopg", ""), autocommit=True) as shop:
        shop.execute("create table sold as select i::bigint as id, 'thing ' || i as what from generate_series(1, 5000) i")
        first = ingest(how, tmp_path, vault)
        shop.execute("insert into sold values (5001, 'one more')")
        second = ingest(how, tmp_path, vault)
        shop.execute("drop table sold")  # nothing holds on to it
    assert (first.rows_read, second.rows_read) == (5000, 5001)
    assert sorted(vault.open().read(second.version, "all")["id"].to_pylist()) == list(range(1, 5002))
    files = [{part.file for part in found.version.manifest.of("all")} for found in (first, second)]
    assert len(files[0] & files[1]) == 4
    assert POSTGRES.split(":")[2].split("@")[0] not in str(second.version.manifest)

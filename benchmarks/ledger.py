"""How does the ledger answer as it grows, next to a plain GROUP BY over its entries, DuckDB and Polars on the same rows?

    python benchmarks/ledger.py [--sizes 100000 1000000 10000000]

A month of twenty teams in one SQLite file: three deployments of each team on four nodes that change every day (70 % of the
entries), eight searches of each team a day for three hours on four nodes (25 %), idle nodes (5 %). More entries are shorter
slices of the same month. The last hundred thousand go in through `LedgerStore.append`, twenty thousand at a time, and are what is
timed; those before them as rows of the same table, with the sums built by the same code (`hours.add`).

Asked are: the bill of the month by team, and of a span that begins and ends inside an hour; what stands for a policy whose window is a
day or the month, as the governor asks each tick; a reservation, and one charge appended alone. The peers get the rows in
memory (DuckDB, Polars: reading them out of SQLite is not counted) or in the same file (SQL). Best of five each, of two for plain
SQL; the sums are compared with the entries at every size, and all must agree to the micro-dollar. The result is written beside
this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))

from mlray.database import connect, writing
from mlray.ledger import book, hours
from mlray.ledger.entry import Cause, Charge, Entry, Reservation, Usage
from mlray.ledger.rows import group, microseconds, to_row
from mlray.ledger.store import LedgerStore
from mlray.units import Money

START = datetime(2026, 10, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
TEAMS, BATCH, TIMED, ROUNDS = 20, 20_000, 100_000, 5
SERVE, TUNE = 0.7, 0.25
KEPT = "charges, micros, list_micros, listed_micros, listed, seconds_us, node_us, nanos, last_us"
SUMMED = (
    "COUNT(*), SUM(micros), SUM(COALESCE(list_micros, 0)), SUM(CASE WHEN list_micros IS NULL THEN 0 ELSE micros END), "
    "COUNT(list_micros), SUM(seconds_us), SUM(node_us), SUM(nanos), MAX(at_us)"
)


def _columns(count: int) -> tuple[Any, ...]:
    """Amounts, kinds, teams and lanes: the same for a count whenever they are drawn."""
    rng = np.random.default_rng(7)
    return rng.integers(1, 20_000, count), rng.random(count), rng.integers(0, TEAMS, count), rng.integers(0, 12, count)


def month(count: int, first: int = 0) -> Iterator[Charge]:
    """The charges of the month in the order of time, from the `first` on."""
    step, (amounts, kinds, teams, lanes) = MONTH / count, _columns(count)
    for i in range(first, count):
        at = START + step * i
        yield _charge(i, at, int(amounts[i]), float(kinds[i]), int(teams[i]), int(lanes[i]))


def _charge(i: int, at: datetime, micros: int, kind: float, team: int, lane: int) -> Charge:
    day, tags = (at - START).days, (("team", f"team-{team}"),)
    owner, policy = f"owner-{team % 7}", f"policy-{team}"
    if kind < SERVE:
        node, job = f"prod/od-{team}-{lane}/{day}", f"api-{team}-{lane // 4}"
        cause = Cause("serve", job, policy, f"{job}-{day // 7}", f"{job}#{lane}-{day}", owner, tags)
        return Charge(
            f"{cause.item}/{i}", at, Money(micros), cause, Usage("od-4", "on-demand", 15, 0.5, node, cluster="prod"), Money(micros)
        )
    if kind < SERVE + TUNE:
        run = f"search-{team}-{day}-{at.hour // 3}"
        cause = Cause("tune", f"search-{team}", policy, run, f"{run}/t{lane}", owner, tags)
        node = f"prod/spot-{team}-{lane % 4}/{day}"
        return Charge(
            f"{cause.item}/{i}", at, Money(micros), cause, Usage("spot-4", "spot", 15, 0.25, node, cluster="prod"), Money(3 * micros)
        )
    node = f"prod/spot-{team}-{lane % 4}/{day}"
    idle = Usage("spot-4", "spot", 60, 1.0, node, "idle", "prod")
    return Charge(f"node:{node}/{i}", at, Money(micros), Cause("cluster", "prod", policy, tags=tags), idle, Money(3 * micros), "idle")


def best(answer: Callable[[], Any], rounds: int = ROUNDS) -> tuple[float, Any]:
    """Milliseconds of the quickest of some rounds, and what was answered."""
    times, said = [], None
    for _ in range(rounds):
        begun = time.perf_counter()
        said = answer()
        times.append(time.perf_counter() - begun)
    return round(min(times) * 1000, 2), said


def measure(count: int, folder: Path) -> dict[str, Any]:
    path = folder / f"{count}.db"
    url = f"sqlite:///{path}"
    found: dict[str, Any] = {"entries": count}
    found["append_us_per_entry"] = _filled(url, count)
    store = LedgerStore(url)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        found["bytes_per_entry"] = round(path.stat().st_size / count)
        for table in ("groups", "hours", "days"):
            found[f"rows_of_{table}"] = database.execute(f"SELECT COUNT(*) FROM ledger_{table}").fetchone()[0]
        found["sums_that_disagree"] = _disagreements(database)
        found |= _cost(store, database)
    return found | _standing(store)


def _filled(url: str, count: int) -> float:
    """Microseconds for an entry, at the end of the ledger."""
    spent, batch, bulk = 0.0, [], max(0, count - TIMED)
    if bulk:
        _poured(LedgerStore(url), count, bulk)
        connect(url).dispose()  # what follows opens it as everybody does
    store = LedgerStore(url)
    for number, charge in enumerate(month(count, bulk), 1):
        batch.append(charge)
        if len(batch) == BATCH or number == count - bulk:
            begun = time.perf_counter()
            store.append(*batch)
            spent += time.perf_counter() - begun
            batch.clear()
    return round(spent / (count - bulk) * 1e6, 1)


def _poured(store: LedgerStore, count: int, bulk: int) -> None:
    """The first `bulk` charges of the month as rows: what differs within a group is written over one row of that group."""
    step, known = MONTH / count, dict[tuple[int, ...], tuple[Charge, dict[str, Any]]]()
    amounts, kinds, teams, lanes = (column.tolist() for column in _columns(count))
    indices = _unindexed(store) if bulk else []
    for first in range(0, bulk, 5 * BATCH):
        rows, groups = [], {}
        for i in range(first, min(first + 5 * BATCH, bulk)):
            at = START + step * i
            kind = 0 if kinds[i] < SERVE else 1 if kinds[i] < SERVE + TUNE else 2
            like = (kind, teams[i], lanes[i], (at - START).days, at.hour // 3 if kind == 1 else 0)
            if like not in known:
                charge = _charge(i, at, amounts[i], kinds[i], teams[i], lanes[i])
                known[like] = (charge, to_row(charge))
                groups[int(str(known[like][1]["grp"]))] = group(charge)
            charge, row = known[like]
            listed = amounts[i] if kind == 0 else 3 * amounts[i]
            key = f"{charge.key.rpartition('/')[0]}/{i}"
            rows.append({**row, "key": key, "at_us": microseconds(at), "micros": amounts[i], "list_micros": listed})
        with writing(store._engine) as connection:
            book._groups(connection, groups)
            raw: Any = connection.connection.driver_connection
            raw.executemany(f"INSERT INTO ledger_entries VALUES ({', '.join('?' * len(rows[0]))})", [tuple(row.values()) for row in rows])
            hours.add(connection, rows)
    with writing(store._engine) as connection:
        for made in indices:
            connection.exec_driver_sql(made)


def _unindexed(store: LedgerStore) -> list[str]:
    """Takes the indices of the entries away while they are poured in, and answers how they are made again."""
    with store._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for pragma in ("cache_size = -1000000", "synchronous = OFF", "foreign_keys = OFF"):
            connection.exec_driver_sql(f"PRAGMA {pragma}")
        asked = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'ledger_entries' AND sql IS NOT NULL"
        found = connection.exec_driver_sql(asked).all()
        for name, _ in found:
            connection.exec_driver_sql(f"DROP INDEX {name}")
    return [made for _, made in found]


def _disagreements(database: sqlite3.Connection) -> int:
    odd = 0
    for table, unit in (("hours", 3_600_000_000), ("days", 86_400_000_000)):
        anew = f"SELECT at_us / {unit}, grp, {SUMMED} FROM ledger_entries WHERE kind = 'charge' GROUP BY 1, 2"
        kept = f"SELECT start, grp, {KEPT} FROM ledger_{table}"
        odd += len(set(database.execute(anew)) ^ set(database.execute(kept)))
    return odd


def _cost(store: LedgerStore, database: sqlite3.Connection) -> dict[str, Any]:
    end, found = START + MONTH, {}
    found["by_team_ms"], bill = best(lambda: store.sums(START, end, ("team",)))
    ragged = (START + timedelta(minutes=17, seconds=3), end - timedelta(hours=5, minutes=41))
    found["by_team_ragged_ms"], _ = best(lambda: store.sums(*ragged, ("team",)))
    found["by_job_node_ms"], _ = best(lambda: store.sums(START, end, ("job", "node")))
    found["by_team_day_ms"], _ = best(lambda: store.sums(START, end, ("team", "day")))
    ours = {row.group[0]: row.amount.micros for row in bill.rows}
    found["plain_sql_ms"], rows = best(lambda: _plain(database, end), 2)
    assert rows == ours
    found |= _peers(database, ours, end)
    return found


def _plain(database: sqlite3.Connection, end: datetime) -> dict[str, int]:
    asked = (
        "SELECT json_extract(g.tags, '$[0][1]'), SUM(e.micros) FROM ledger_entries e JOIN ledger_groups g ON g.id = e.grp "
        "WHERE e.kind = 'charge' AND e.at_us >= ? AND e.at_us < ? GROUP BY 1"
    )
    return dict(database.execute(asked, (_us(START), _us(end))).fetchall())


def _peers(database: sqlite3.Connection, ours: dict[str, int], end: datetime) -> dict[str, float]:
    """The same rows as columns in memory, with the team as a dictionary beside them."""
    groups = database.execute("SELECT id, json_extract(tags, '$[0][1]') FROM ledger_groups").fetchall()
    cursor = database.execute("SELECT grp, at_us, micros FROM ledger_entries WHERE kind = 'charge'")
    parts = []
    while rows := cursor.fetchmany(500_000):
        parts.append(pl.DataFrame(np.array(rows, dtype=np.int64), schema=["grp", "at_us", "micros"]))
    entries = pl.concat(parts)
    named = pl.DataFrame(groups, schema=["grp", "team"], orient="row")
    inside = pl.col("at_us").is_between(_us(START), _us(end), closed="left")
    query = (
        entries.lazy()
        .filter(inside)
        .group_by("grp")
        .agg(pl.col("micros").sum())
        .join(named.lazy(), on="grp")
        .group_by("team")
        .agg(pl.col("micros").sum())
    )
    polars_ms, said = best(lambda: dict(query.collect().iter_rows()))
    assert said == ours
    duck = duckdb.connect()
    duck.register("e", entries.to_arrow())
    duck.register("g", named.to_arrow())
    duck.execute("CREATE TABLE entries AS SELECT * FROM e; CREATE TABLE groups AS SELECT * FROM g")
    asked = f"SELECT team, SUM(micros) FROM entries JOIN groups USING (grp) WHERE at_us >= {_us(START)} AND at_us < {_us(end)} GROUP BY 1"
    duckdb_ms, said = best(lambda: dict(duck.execute(asked).fetchall()))
    assert {team: int(micros) for team, micros in said.items()} == ours
    return {"polars_ms": polars_ms, "duckdb_ms": duckdb_ms}


def _standing(store: LedgerStore) -> dict[str, float]:
    now, found = START + MONTH - timedelta(hours=3, minutes=20), {}
    recent = (now - timedelta(hours=1), now.replace(minute=0))
    for name, since in (("day", now - timedelta(days=1)), ("month", START)):
        found[f"standing_{name}_ms"], _ = best(partial(store.standing, "policy-3", (since, *recent)))
    everything = best(lambda: store.standing("policy-3", (START, *recent), lambda cause: cause.stage == "serve"))
    found["standing_month_governs_ms"] = everything[0]
    keys = iter(range(1_000_000))

    def reserve() -> object:
        key = f"reserve/{next(keys)}"
        cause = Cause("tune", "search-3", "policy-3", key)

        def decide(entries: tuple[Entry, ...]) -> Reservation:
            return Reservation(key, now, Money(1), cause)

        return store.reserve(key, "policy-3", (now - timedelta(days=1), *recent), decide)

    found["reserve_day_ms"], _ = best(reserve)
    found["append_one_ms"], _ = best(lambda: store.append(_charge(10**9 + next(keys), now, 5, 0.1, 3, 1)))
    return found


def _us(at: datetime) -> int:
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--write", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    sizes = []
    with tempfile.TemporaryDirectory() as folder:
        for count in given.sizes:
            sizes.append(measure(count, Path(folder)))
            print(json.dumps(sizes[-1]), flush=True)
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "duckdb": duckdb.__version__}
    said = {
        "at": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine | {"polars": pl.__version__, "load": round(os.getloadavg()[0], 1)},
        "sizes": sizes,
    }
    given.write.write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()

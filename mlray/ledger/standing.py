"""Standing: what the balance of a policy needs, from the sums of days and hours and from open reservations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select, case, func, literal, or_, select, union_all

from mlray.ledger.book import chunks
from mlray.ledger.entry import Asked, Cause, Charge, Entry, Usage
from mlray.ledger.hours import BEGIN, END, lines, pieces
from mlray.ledger.rows import ENTRIES, GROUPS, OPEN, instant, microseconds, tags_of, to_entry
from mlray.units import Money

G, E = GROUPS.c, ENTRIES.c
CAUSE = (G.policy, G.stage, G.job, G.owner, G.tags)


def standing(connection: Connection, asked: Asked) -> tuple[Entry, ...]:
    """Open reservations, then charges folded by cause and by the number of `asked.cuts` that are not after them."""
    cuts = tuple(map(microseconds, asked.cuts))
    held = tuple(entry for entry in _open(connection, cuts[0]) if asked.counts(entry.cause))
    runs = sorted({entry.cause.run for entry in held})
    folded = connection.execute(_folds(cuts, runs, asked)).all()
    charges = (_folded(*row) for row in folded)
    return (*held, *(charge for charge in charges if asked.counts(charge.cause)))


def _open(connection: Connection, since: int) -> Iterator[Entry]:
    """Looked up by their keys: a join may be done the other way round, through every entry there is."""
    keys = connection.scalars(select(OPEN.c.key).where(or_(OPEN.c.until_us.is_(None), OPEN.c.until_us > since))).all()
    for some in chunks(keys):
        yield from map(to_entry, connection.execute(select(ENTRIES, GROUPS).join(GROUPS, G.id == E.grp).where(E.key.in_(some))).mappings())


def _folds(cuts: tuple[int, ...], runs: list[str], asked: Asked) -> Select[Any]:
    """First by group, of which there are fewer than of anything else, and then by cause."""
    ends = (*cuts[1:], END)
    # Before the first instant only runs that hold a reservation count; groups of other policies are left out where they can be.
    of_runs = [select(G.id).where(G.run.in_(runs))]
    own = [] if asked.governs else [select(G.id).where(G.policy == asked.policy)]
    parts = [(0, piece, of_runs) for piece in pieces(BEGIN, cuts[0]) if runs]
    parts += [(place + 1, piece, own) for place, (low, high) in enumerate(zip(cuts, ends, strict=True)) for piece in pieces(low, high)]
    selects = []
    for place, piece, only in parts:
        found = lines(piece).subquery()
        one = select(literal(place).label("place"), found.c.grp, found.c.micros, found.c.seconds_us, found.c.last_us)
        selects.append(one.where(*(found.c.grp.in_(ids) for ids in only)))
    every = union_all(*selects).subquery()
    sums = (
        func.sum(every.c.micros).label("micros"),
        func.sum(every.c.seconds_us).label("seconds_us"),
        func.max(every.c.last_us).label("last_us"),
    )
    by_group = select(every.c.place, every.c.grp, *sums).group_by(every.c.place, every.c.grp).subquery()
    run = case((G.run.in_(runs), G.run), else_="").label("open_run") if runs else literal("").label("open_run")
    names = (*CAUSE, run, by_group.c.place)
    totals = (func.max(by_group.c.last_us), func.sum(by_group.c.micros), func.sum(by_group.c.seconds_us))
    wanted = select(*names, *totals).select_from(by_group).join(GROUPS, G.id == by_group.c.grp)
    return wanted.group_by(*(CAUSE if not runs else (*CAUSE, run)), by_group.c.place).order_by(*CAUSE, run, by_group.c.place)


def _folded(policy: str, stage: str, job: str, owner: str, tags: str, run: str, place: int, at: int, micros: int, seconds: int) -> Charge:
    cause = Cause(stage, job, policy, run, owner=owner, tags=tags_of(tags))
    key = "/".join(("sum", policy, stage, job, run, owner, tags, str(place)))
    return Charge(key, instant(int(at)), Money(int(micros)), cause, Usage("", "", int(seconds) / 1e6))

"""Balance: what is left of a budget in its window, folded from the ledger's entries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from mlray.ledger.entry import Cause, Charge, Entry, Reservation, Return
from mlray.units import ZERO, Duration, Money, Period, Portion

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STAGES = ("ingest", "tune", "serve")


class Terms(Protocol):
    """What a balance needs to know of a budget."""

    @property
    def amount(self) -> Money: ...

    @property
    def every(self) -> Period: ...

    def share(self, stage: str) -> Portion: ...


@dataclass(frozen=True, slots=True)
class Window:
    """One period of a budget: from `start` (included) to `end` (excluded), in UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """What is left of an open reservation: dollars only its own run may spend."""

    reservation: str
    cause: Cause
    amount: Money


@dataclass(frozen=True, slots=True)
class StageBalance:
    """One stage's part: the most it may spend in the window, what it spent, what its runs hold."""

    stage: str
    most: Money
    spent: Money
    reserved: Money


@dataclass(frozen=True, slots=True)
class Balance:
    """A budget at one instant. `spent` counts charges of this window; `reserved` what open reservations still hold."""

    window_start: datetime
    window_end: datetime
    amount: Money
    spent: Money
    reserved: Money
    by_stage: tuple[StageBalance, ...]
    held: tuple[Held, ...] = ()

    def left(self, stage: str, run: str = "") -> Money:
        """What new work of a stage may spend: the smaller of what is left of the amount and of the stage's share.

        Given a run, what that run may: its own reservation comes on top, whatever others spent. Never below $0.00.
        """
        part = self.stage(stage)
        mine = sum((h.amount for h in self.held if run and h.cause.run == run and h.cause.stage == stage), ZERO)
        whole = self.amount - self.spent - self.reserved
        share = part.most - part.spent - part.reserved
        return max(ZERO, min(whole, share)) + mine

    def stage(self, stage: str) -> StageBalance:
        """A stage that has spent nothing and has no share of its own may spend the whole amount."""
        found = [part for part in self.by_stage if part.stage == stage]
        return found[0] if found else StageBalance(stage, self.amount, ZERO, ZERO)


def window(every: Period | Duration, now: datetime) -> Window:
    """The window `now` falls into. Windows are counted from 1970-01-01 00:00 UTC, so every machine agrees on them."""
    length = timedelta(seconds=every.seconds)
    start = EPOCH + (now - EPOCH) // length * length
    return Window(start, start + length)


def balance(terms: Terms, entries: Iterable[Entry], now: datetime) -> Balance:
    """Folds one policy's entries. A charge counts in the window of its `at`, whenever its work began.

    An open reservation holds its amount less what its run was ever charged, never less than nothing, until it is
    returned or `until` has passed; it does so in every window it stands in, because its run may still spend it.
    """
    period, known = window(terms.every, now), tuple(entries)
    charges = [e for e in known if isinstance(e, Charge)]
    spent = [c for c in charges if period.start <= c.at < period.end]
    held = _held(known, charges, now)
    stages = dict.fromkeys((*STAGES, *(e.cause.stage for e in known)))
    return Balance(
        window_start=period.start,
        window_end=period.end,
        amount=terms.amount,
        spent=_sum(c.amount for c in spent),
        reserved=_sum(h.amount for h in held),
        by_stage=tuple(_stage(terms, stage, spent, held) for stage in stages),
        held=held,
    )


def _held(known: tuple[Entry, ...], charges: list[Charge], now: datetime) -> tuple[Held, ...]:
    closed = {e.reservation for e in known if isinstance(e, Return)}
    standing = [e for e in known if isinstance(e, Reservation) and e.key not in closed and (e.until is None or now < e.until)]
    return tuple(Held(r.key, r.cause, max(ZERO, r.amount - _charged(r, charges))) for r in standing)


def _charged(reservation: Reservation, charges: list[Charge]) -> Money:
    mine = reservation.cause
    return _sum(c.amount for c in charges if (c.cause.run, c.cause.job, c.cause.stage) == (mine.run, mine.job, mine.stage))


def _stage(terms: Terms, stage: str, spent: list[Charge], held: tuple[Held, ...]) -> StageBalance:
    return StageBalance(
        stage,
        terms.share(stage).of(terms.amount),
        _sum(c.amount for c in spent if c.cause.stage == stage),
        _sum(h.amount for h in held if h.cause.stage == stage),
    )


def _sum(amounts: Iterable[Money]) -> Money:
    return Money(sum(a.micros for a in amounts))

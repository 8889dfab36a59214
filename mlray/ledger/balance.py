"""Balance: what is left of a budget in its window, folded from the ledger's entries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mlray.ledger.bounds import HourBalance, LimitBalance, Limiting, Scope, StageBalance, Tightest
from mlray.ledger.entry import Cause, Charge, Entry, Reservation, Return, Tags
from mlray.ledger.window import HOUR, Window, before, window
from mlray.units import WHOLE, ZERO, Duration, Money, Percent, Period, Portion, Price

STAGES = ("ingest", "tune", "serve")
AN_HOUR = Duration(3600)


class Terms(Protocol):
    """What a balance needs to know of a budget."""

    @property
    def amount(self) -> Money: ...
    @property
    def every(self) -> Period: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def limits(self) -> Sequence[Limiting]: ...
    @property
    def rate(self) -> Price | None: ...
    @property
    def carry_over(self) -> Percent: ...
    def share(self, stage: str) -> Portion: ...


@dataclass(frozen=True, slots=True)
class Held:
    """What is left of an open reservation: dollars only its own run may spend."""

    reservation: str
    cause: Cause
    amount: Money


@dataclass(frozen=True, slots=True)
class Balance:
    """A budget at one instant. `spent` counts charges of this window; `reserved` what open reservations still hold.

    `amount` holds what was `carried` over from the window before. `burn` is what the last hour cost, whatever window it lay in, and
    `forecast` what this window will have cost if that goes on. `hour` is None where no rate is set.
    """

    window_start: datetime
    window_end: datetime
    amount: Money
    spent: Money
    reserved: Money
    by_stage: tuple[StageBalance, ...]
    held: tuple[Held, ...] = ()
    by_limit: tuple[LimitBalance, ...] = ()
    carried: Money = ZERO
    burn: Money = ZERO
    forecast: Money = ZERO
    hour: HourBalance | None = None

    def left(self, stage: str, run: str = "", job: str = "", tags: Tags = ()) -> Money:
        """What new work may spend: the smallest of what is left of the amount, of its stage's share, and of each limit on it.

        Given a run, what that run may: its own reservation comes on top, whatever others spent. Never below $0.00.
        """
        return self.tightest(stage, run, job, tags).left

    def tightest(self, stage: str, run: str = "", job: str = "", tags: Tags = ()) -> Tightest:
        """Which bound leaves that least. Between equals the stage is named before a limit, and a limit before the whole budget."""
        # In whole numbers: every deployment asks this of each of its policies at every look of the governor.
        free, part, bound = self.amount.micros - self.spent.micros - self.reserved.micros, self.stage(stage), "budget"
        most, burn, of_part = self.amount, self.burn, part.most.micros - part.spent.micros - part.reserved.micros
        if of_part <= free:
            free, most, burn, bound = of_part, part.most, part.burn, stage
        for limit in self.by_limit:
            of_limit = limit.most.micros - limit.spent.micros - limit.reserved.micros
            if of_limit < free and limit.scope.covers(stage, job, tags):
                free, most, burn, bound = of_limit, limit.most, limit.burn, f"limit on {limit.scope}"
        mine = sum(h.amount.micros for h in self.held if h.cause.run == run and h.cause.stage == stage) if run else 0
        return Tightest(Money(max(0, free) + mine), most, bound, Money(free), burn)

    def stage(self, stage: str) -> StageBalance:
        """A stage that has spent nothing and has no share of its own may spend the whole amount."""
        for part in self.by_stage:
            if part.stage == stage:
                return part
        return StageBalance(stage, self.amount, ZERO, ZERO)


def since(terms: Terms, now: datetime) -> tuple[datetime, ...]:
    """The instants, rising, between which a ledger that adds charges up before it hands them out must begin anew.

    From the first on a balance needs to know every charge; before it, only those of runs with open reservations. It is earlier than the
    window's start where the last hour began before that, and where the window before may have left something.
    """
    period = window(terms.every, now, terms.time_zone)
    cuts = {period.start, now - HOUR}
    if terms.rate is not None:
        cuts.add(window(AN_HOUR, now).start)
    if terms.carry_over.fraction:
        cuts.add(before(terms.every, period, terms.time_zone).start)
    return tuple(sorted(cuts))


def balance(terms: Terms, entries: Iterable[Entry], now: datetime) -> Balance:
    """Folds the entries a policy governs, from the first instant of `since` on.

    A charge counts in the window of its `at`, whenever its work began.

    An open reservation holds its amount less what its run was ever charged, never less than nothing, until it is
    returned or `until` has passed; it does so in every window it stands in, because its run may still spend it.
    Of the window before, the part `carry_over` of what its amount (without what it was carried itself) had left is added. A window without
    any charge is taken for one before the policy began, and adds nothing.
    """
    period, known = window(terms.every, now, terms.time_zone), tuple(entries)
    charges = [e for e in known if isinstance(e, Charge)]
    held, carried = _held(known, charges, now), _carried(terms, period, charges)
    amount, sums = terms.amount + carried, _Sums(charges, period, now, held)
    spent, burn = sum(sums.spent.values()), sum(sums.late.values())
    return Balance(
        window_start=period.start,
        window_end=period.end,
        amount=amount,
        spent=Money(spent),
        reserved=Money(sum(sums.held.values())),
        by_stage=tuple(_stage(stage, terms.share(stage), amount, sums) for stage in sums.stages),
        held=held,
        by_limit=tuple(_limit(Scope.of(limit), limit.most.of(amount), charges, period, now, held) for limit in terms.limits),
        carried=carried,
        burn=Money(burn),
        forecast=Money(spent + round(burn * ((period.end - now) / HOUR))),
        hour=_hour(terms.rate, charges, now),
    )


class _Sums:
    """Micro-dollars by stage: spent in the window, spent in the last hour, held. One walk over the charges: it is done at every look."""

    def __init__(self, charges: Iterable[Charge], period: Window, now: datetime, held: Iterable[Held]) -> None:
        self.spent, self.late, self.held = (dict.fromkeys(STAGES, 0) for _ in range(3))
        start, end, late = period.start, period.end, now - HOUR
        for charge in charges:
            at, stage, micros = charge.at, charge.cause.stage, charge.amount.micros
            if start <= at < end:
                self.spent[stage] = self.spent.get(stage, 0) + micros
            if late <= at:
                self.late[stage] = self.late.get(stage, 0) + micros
        for one in held:
            self.held[one.cause.stage] = self.held.get(one.cause.stage, 0) + one.amount.micros

    @property
    def stages(self) -> Iterable[str]:
        """Those that every policy knows, and whatever else spends."""
        return {**self.spent, **self.late, **self.held}


def _held(known: tuple[Entry, ...], charges: list[Charge], now: datetime) -> tuple[Held, ...]:
    closed = {e.reservation for e in known if isinstance(e, Return)}
    standing = [e for e in known if isinstance(e, Reservation) and e.key not in closed and (e.until is None or now < e.until)]
    charged: dict[tuple[str, str, str], int] = {}
    for charge in charges if standing else ():
        charged[_work(charge)] = charged.get(_work(charge), 0) + charge.amount.micros
    return tuple(Held(r.key, r.cause, Money(max(0, r.amount.micros - charged.get(_work(r), 0)))) for r in standing)


def _work(entry: Charge | Reservation) -> tuple[str, str, str]:
    return entry.cause.run, entry.cause.job, entry.cause.stage


def _carried(terms: Terms, period: Window, charges: list[Charge]) -> Money:
    if not terms.carry_over.fraction:
        return ZERO
    past = before(terms.every, period, terms.time_zone)
    then = [c.amount for c in charges if past.start <= c.at < past.end]
    return max(ZERO, terms.amount - _sum(then)) * terms.carry_over.fraction if then else ZERO


def _hour(rate: Price | None, charges: list[Charge], now: datetime) -> HourBalance | None:
    start = window(AN_HOUR, now).start
    return HourBalance(rate.per_hour, _sum(c.amount for c in charges if start <= c.at < start + HOUR)) if rate is not None else None


def _stage(stage: str, share: Portion, amount: Money, sums: _Sums) -> StageBalance:
    most = amount if share == WHOLE else share.of(amount)
    return StageBalance(stage, most, Money(sums.spent.get(stage, 0)), Money(sums.held.get(stage, 0)), Money(sums.late.get(stage, 0)))


def _limit(scope: Scope, most: Money, charges: list[Charge], period: Window, now: datetime, held: tuple[Held, ...]) -> LimitBalance:
    mine = [c for c in charges if scope.includes(c.cause)]
    spent = _sum(c.amount for c in mine if period.start <= c.at < period.end)
    late = _sum(c.amount for c in mine if now - HOUR <= c.at)
    return LimitBalance(scope, most, spent, _sum(h.amount for h in held if scope.includes(h.cause)), late)


def _sum(amounts: Iterable[Money]) -> Money:
    return Money(sum(a.micros for a in amounts))

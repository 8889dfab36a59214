"""Assembly: a policy, a cluster, traces, a load and jobs -> the scenario that is replayed, and what was assumed to get there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mlray.errors import SpecError
from mlray.govern.snapshot import Watched
from mlray.ledger.entry import Cause
from mlray.market.generate import region
from mlray.market.offer import Offer, offers
from mlray.market.spec import Capacity, Cluster
from mlray.market.trace import EPOCH, Trace
from mlray.market.weather import Weather
from mlray.policy.match import governs
from mlray.policy.spec import Policy, Stage
from mlray.serve.scaling import Pace
from mlray.serve.spec import Scaling, ServeJob
from mlray.simulate.load import SHAPES, Load, shape
from mlray.simulate.scenario import START, Notices, Scenario, Searched, Served, TrialPlan
from mlray.simulate.service import Service
from mlray.tune.spec import TuneJob

# Generated markets: capacity is seen this often. Losses within minutes of one another belong together anyway.
GENERATED_TICK_S = 300.0
# ... and a price stands this long: the liveliest of nine recorded zones changed theirs every six hours, others once in five days.
PRICE_S = 6 * 3600.0
# The busiest hour of a generated load asks for this share of the most replicas there may be.
BUSY = 0.8
# Trials of a search differ in length by this much (standard deviation of the logarithm).
SPREAD = 0.8


@dataclass(frozen=True, slots=True)
class Settings:
    """How a replay is played: its length and ticks, and how machines and replicas behave. Times are in seconds.

    `trial_s` is how long a trial of a search takes on average.
    """

    days: float = 30.0
    tick_s: float = 60.0
    seed: int = 0
    cold_start_s: float = 120.0
    notices: Notices = field(default_factory=Notices)
    service: Service = field(default_factory=Service)
    trial_s: float = 600.0


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What was given. `load` is one that was recorded, or the name of a shape; `rps` its mean (None: what the policy's replicas answer)."""

    cluster: Cluster
    traces: tuple[Trace, ...] = ()
    load: Load | str = "diurnal"
    rps: float | None = None
    jobs: tuple[ServeJob | TuneJob, ...] = ()


def scenario(policy: Policy, parts: Parts, settings: Settings, rng: np.random.Generator) -> Scenario:
    """`rng` makes what is generated. Raises SpecError where the policy governs none of it."""
    bought, (market, load, lengths) = offers(parts.cluster), rng.spawn(3)
    traces, notes = _market(bought, policy, parts.traces, settings, market)
    served = _serving(policy, parts, settings, bought, load)
    searched = tuple(_searched(policy, job, settings, lengths) for job in parts.jobs if isinstance(job, TuneJob))
    limits = tuple((name, kind.max_workers) for name, kind in sorted(parts.cluster.available_node_types.items()))
    return Scenario(
        policies=(policy,),
        offers=bought,
        traces=traces,
        serving=served,
        searching=searched,
        days=settings.days,
        tick_s=settings.tick_s,
        start=max((t.start for t in traces if t.start != EPOCH), default=START),
        cold_start_s=settings.cold_start_s,
        notices=settings.notices,
        seed=settings.seed,
        cluster=parts.cluster.cluster_name,
        most=limits,
        notes=(*notes, *_told(served, searched, parts.load)),
    )


def under(scenario: Scenario, other: Policy) -> Scenario:
    """The same market, load and work, governed by another policy alone."""
    serving = tuple(
        replace(s, watched=replace(s.watched, policy=other, cause=replace(s.watched.cause, policy=other.name))) for s in scenario.serving
    )
    searching = tuple(replace(s, policy=other, cause=replace(s.cause, policy=other.name)) for s in scenario.searching)
    return replace(scenario, policies=(other,), serving=serving, searching=searching)


def _market(
    bought: Sequence[Offer], policy: Policy, given: tuple[Trace, ...], settings: Settings, rng: np.random.Generator
) -> tuple[tuple[Trace, ...], tuple[str, ...]]:
    """The traces that were given, or such as a market might have."""
    spot = [o for o in bought if o.capacity is Capacity.SPOT]
    if given or not spot:
        short = [t for t in given if t.seconds < settings.days * 86400 and t.zone in {o.zone for o in spot}]
        notes = tuple(f"the trace of {t.zone} is {t.seconds / 86400:.1f} days long and begins anew" for t in short)
        return given, (f"traces of {', '.join(sorted({t.zone for t in given}))}", *notes) if given else ("no spot in this cluster",)
    zones = sorted({o.zone for o in spot})
    ticks = int(settings.days * 86400 / GENERATED_TICK_S) + 1
    made = region(zones, ticks, GENERATED_TICK_S, rng, Weather(nodes=max(4, policy.availability.replicas.high), price=1.0))
    price = {o.zone: o.price.per_hour.usd for o in spot}
    priced = tuple(stepped(t, price[t.zone]) for t in made)
    return priced, (f"no trace was given: the market of {', '.join(zones)} is generated, seed {settings.seed}",)


def stepped(trace: Trace, factor: float = 1.0) -> Trace:
    """The trace with its prices scaled, each of them held for PRICE_S."""
    if trace.price is None:
        return trace
    each = max(1, round(PRICE_S / trace.tick_s))
    begins = np.arange(len(trace)) // each * each
    return replace(trace, price=trace.price[begins] * factor)


def _serving(policy: Policy, parts: Parts, settings: Settings, bought: Sequence[Offer], rng: np.random.Generator) -> tuple[Served, ...]:
    jobs = [job for job in parts.jobs if isinstance(job, ServeJob)]
    named: list[tuple[str, dict[str, str], ServeJob | None]] = [(job.deployment, dict(job.tags), job) for job in jobs]
    if not parts.jobs:
        named = [(name, tags, None) for name, tags in _deployments(policy)]
        if not named:
            raise SpecError(
                f"policy {policy.name} governs no deployment, so there is nothing to replay",
                hint="name one under governs.deployments, or give its jobs with --job",
            )
    cpus = min((o.cpus for o in bought), default=1)
    return tuple(_served(policy, name, tags, job, cpus, parts, settings, rng) for name, tags, job in named)


def _deployments(policy: Policy) -> list[tuple[str, dict[str, str]]]:
    """A name for each pattern the policy governs; by team or tag, one deployment that bears it."""
    names = [re.sub(r"\[[^]]*\]|[*?]", "0", pattern) for pattern in policy.governs.deployments]
    found = [(name, dict[str, str]()) for name in dict.fromkeys(names) if governs(policy, Stage.SERVE, name, {})]
    tags = policy.governs.tags | ({"team": policy.governs.teams} if policy.governs.teams else {})
    bearing = {tag: re.sub(r"\[[^]]*\]|[*?]", "0", patterns[0]) for tag, patterns in tags.items() if patterns}
    return found or ([(policy.name, bearing)] if bearing else [])


def _served(
    policy: Policy,
    name: str,
    tags: dict[str, str],
    job: ServeJob | None,
    node_cpus: int,
    parts: Parts,
    settings: Settings,
    rng: np.random.Generator,
) -> Served:
    cpus = float(node_cpus or 1) if job is None else job.replica.cpus
    per_node = 1 if job is None else job.replica.per_node or max(1, int(node_cpus // cpus))
    pace = (
        Pace(2.0, 2.0, 30.0)
        if job is None
        else Pace(job.scaling.target_ongoing, job.scaling.up_after.seconds, job.scaling.down_after.seconds)
    )
    owner = "" if job is None else job.owner
    cause = Cause(Stage.SERVE.value, name, policy.name, f"{name}-replay", "", owner, tuple(sorted(tags.items())))
    market = "any" if job is None else job.replica.market
    busy = BUSY * policy.availability.replicas.high * pace.target / settings.service.service_s
    load = _load(parts, busy if parts.rps is None else parts.rps, settings.days, rng)
    window_s = 10.0 if job is None else job.scaling.window.seconds
    return Served(Watched(name, policy, cpus, market, cause), load, settings.service, pace, window_s, per_node)


def _pace(scaling: Scaling) -> Pace:
    return Pace(scaling.target_ongoing, scaling.up_after.seconds, scaling.down_after.seconds)


def _load(parts: Parts, rps: float, days: float, rng: np.random.Generator) -> Load:
    """A shape's busiest hour of the day is about 1.75 times its mean; what the policy's replicas answer is its peak, not its mean."""
    if isinstance(parts.load, Load):
        return parts.load
    if parts.load not in SHAPES:
        raise SpecError(f"--load {parts.load!r} is no file, and none of the shapes {', '.join(SHAPES)}")
    mean = rps / (1.0 if parts.load == "steady" else 1.75) if parts.rps is None else rps
    return shape(parts.load, mean, days, rng)


def _searched(policy: Policy, job: TuneJob, settings: Settings, rng: np.random.Generator) -> Searched:
    """Trials whose lengths spread as those of searches do, each worth the less for a dollar the longer it takes."""
    lengths = settings.trial_s * np.exp(rng.normal(-(SPREAD**2) / 2, SPREAD, job.trials.most))
    worth = rng.exponential(1.0, job.trials.most) * settings.trial_s / lengths
    trials = tuple(TrialPlan(f"t{i + 1:03d}", float(s), float(v)) for i, (s, v) in enumerate(zip(lengths, worth, strict=True)))
    cause = Cause(Stage.TUNE.value, job.name, policy.name, f"{job.name}-replay", "", job.owner, tuple(sorted(job.tags.items())))
    return Searched(cause, policy, trials, job.budget, job.least, job.trials.parallel, job.trials.cpus, job.trials.market)


def _told(served: Sequence[Served], searched: Sequence[Searched], given: Load | str) -> tuple[str, ...]:
    what = "recorded" if isinstance(given, Load) else "generated"
    loads = (f"{s.name}: {what} load {s.load.name}, {s.load.rates.mean():.1f} requests a second on average" for s in served)
    return (*loads, *(f"{s.cause.job}: the lengths and worths of its {len(s.trials)} trials are made up" for s in searched))

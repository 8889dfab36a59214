"""simulate: a policy replayed over a market and a load, before it is trusted with money."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlray.cli import show
from mlray.cli.options import Json, duration
from mlray.errors import SpecError

if TYPE_CHECKING:
    from mlray.market.spec import Cluster
    from mlray.serve.spec import ServeJob
    from mlray.simulate.assembly import Parts, Settings
    from mlray.simulate.load import Load
    from mlray.simulate.played import Replay
    from mlray.simulate.report import Report
    from mlray.tune.spec import TuneJob
    from mlray.units import Percent

commands = typer.Typer()


@commands.command()
def simulate(
    file: Annotated[Path, typer.Argument(metavar="POLICY", help="A file of policies/.")],
    other: Annotated[Path | None, typer.Option("--compare", help="A second policy, over the same market and load.")] = None,
    trace: Annotated[
        list[Path] | None, typer.Option("--trace", help="Recorded spot market: a file, or a folder. None: one is generated.")
    ] = None,
    load: Annotated[str, typer.Option("--load", help="Recorded load (CSV), or steady, diurnal, weekly, bursty.")] = "diurnal",
    rps: Annotated[float | None, typer.Option("--rps", help="Mean requests a second of a shape; left out: what the replicas bear.")] = None,
    cluster: Annotated[Path, typer.Option("--cluster", help="A file of cluster/.")] = Path("cluster/local.yaml"),
    job: Annotated[list[Path] | None, typer.Option("--job", help="Serve and tune jobs to replay; left out: what the policy names.")] = None,
    days: Annotated[float, typer.Option("--days", help="How long.")] = 30.0,
    tick: Annotated[str, typer.Option("--tick", help="How often the governor looks.")] = "60s",
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same replay.")] = 0,
    cold_start: Annotated[str, typer.Option("--cold-start", help="From buying a node until it is ready.")] = "120s",
    notice: Annotated[str, typer.Option("--notice", help="How long before a loss it is announced; 0s: never.")] = "120s",
    notice_chance: Annotated[str, typer.Option("--notice-chance", help="How many of the losses are announced.")] = "95%",
    service_time: Annotated[str, typer.Option("--service-time", help="How long one request takes.")] = "100ms",
    at_once: Annotated[float, typer.Option("--at-once", help="Requests one replica works on at the same time.")] = 4.0,
    objective: Annotated[str, typer.Option("--objective", help="A request is good if it is answered within this time.")] = "1s",
    timeout: Annotated[str, typer.Option("--timeout", help="A request that would wait longer is refused.")] = "10s",
    trial_time: Annotated[str, typer.Option("--trial-time", help="How long a trial of a search takes on average.")] = "10m",
    png: Annotated[Path | None, typer.Option("--png", help="Draw it into this file.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page with plots and decisions into this file.")] = None,
    decisions: Annotated[bool, typer.Option("--decisions", help="Print every decision with its reason.")] = False,
    as_json: Json = False,
) -> None:
    """Replay a policy over a recorded or generated market: what it costs, what it keeps of its promises, what is lost."""
    from mlray.simulate.assembly import Parts, Settings
    from mlray.simulate.scenario import Notices
    from mlray.simulate.service import Service

    if not 0 < days <= 3660 or seed < 0:
        raise SpecError(f"--days {days:g} --seed {seed}: days above 0, 3660 at most, and a seed from 0 on are wanted")
    settings = Settings(
        days=days,
        tick_s=_above("--tick", tick),
        seed=seed,
        cold_start_s=duration("--cold-start", cold_start).seconds,
        notices=Notices(duration("--notice", notice).seconds, _percent("--notice-chance", notice_chance).fraction),
        service=Service(_above("--service-time", service_time), at_once, _above("--objective", objective), _above("--timeout", timeout)),
        trial_s=_above("--trial-time", trial_time),
    )
    if at_once <= 0 or (rps is not None and rps < 0):
        raise SpecError(f"--at-once {at_once:g} --rps {rps}: requests at once are above 0, and a rate is 0 or more")
    jobs = tuple(_job(path) for path in job or ())
    parts = Parts(_cluster(cluster), _traces(trace or []), _load(load), rps, jobs)
    played = _play([file] if other is None else [file, other], parts, settings)
    written = _written(played, png, html)
    if as_json:
        show.result(_facts(played, decisions) | ({"written": written} if written else {}), as_json)
    else:
        print("\n".join([*_lines(played, decisions), *(f"written to {path}" for path in written)]))


def _play(files: Sequence[Path], parts: Parts, settings: Settings) -> list[tuple[Replay, Report]]:
    import numpy as np

    from mlray.files import load
    from mlray.policy.spec import Policy
    from mlray.simulate.assembly import scenario, under
    from mlray.simulate.replay import replay
    from mlray.simulate.report import report

    policies = [load(path, Policy) for path in files]
    first = scenario(policies[0], parts, settings, np.random.default_rng(settings.seed))
    played = [replay(each) for each in (first, *(under(first, policy) for policy in policies[1:]))]
    return [(one, report(one)) for one in played]


def _facts(played: Sequence[tuple[Replay, Report]], decisions: bool) -> dict[str, Any]:
    from mlray.simulate.compare import compare

    facts = [
        show.plain(report) | ({"decisions": [d._asdict() for d in replay.decisions]} if decisions else {}) for replay, report in played
    ]
    return {"replay": facts[0]} if len(facts) == 1 else {"replays": facts, "difference": compare(*(report for _, report in played))}


def _lines(played: Sequence[tuple[Replay, Report]], decisions: bool) -> list[str]:
    from mlray.simulate.compare import compare
    from mlray.simulate.tables import Table, difference, tables

    reports = [report for _, report in played]
    first = reports[0]
    out = [f"{' and '.join(r.policy for r in reports)}: {first.days:g} days, ticks of {first.tick_s:g} s, seed {first.seed}"]
    out += first.notes
    told: list[Table] = [difference(compare(*reports))] if len(reports) == 2 else []
    for table in (*told, *tables(reports)):
        out += ["", f"{table.name}:", *(f"  {line}" for line in show.columns([table.heading, *table.rows]))]
    for replay, report in played if decisions else ():
        rows = [(f"{d.at:%Y-%m-%d %H:%M:%S}", d.kind, d.subject, d.bound or "-", d.policy or "-", d.reason) for d in replay.decisions]
        heading = ("at", "what", "about", "bound", "policy", "why")
        out += ["", f"decisions under {report.policy}:", *(f"  {line}" for line in show.columns([heading, *rows]))]
    return out


def _written(played: Sequence[tuple[Replay, Report]], png: Path | None, html: Path | None) -> list[Path]:
    if png is not None:
        from mlray.simulate import plot
        from mlray.simulate.series import series

        _write(png, plot.png([(report.policy, series(replay)) for replay, report in played]))
    if html is not None:
        from mlray.simulate.page import page

        _write(html, page(played).encode())
    return [path for path in (png, html) if path is not None]


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        os.replace(draft, path)
    except OSError as error:
        raise SpecError(f"{path} cannot be written: {error.strerror}") from error


def _cluster(path: Path) -> Cluster:
    from mlray.home import Home
    from mlray.market.prices.store import read_cluster, refuse_unknown

    found = read_cluster(Home.locate(), path)
    refuse_unknown(found, path)
    return found


def _traces(paths: Sequence[Path]) -> tuple[Any, ...]:
    from mlray.market.store import read_traces

    return tuple(trace for path in paths for trace in read_traces(path))


def _load(text: str) -> Load | str:
    from mlray.simulate.load import SHAPES
    from mlray.simulate.store import read_load

    return text if text in SHAPES else read_load(Path(text))


def _job(path: Path) -> ServeJob | TuneJob:
    from mlray.files import load
    from mlray.jobs.spec import JOB
    from mlray.serve.spec import ServeJob
    from mlray.tune.spec import TuneJob

    found = load(path, JOB)
    if not isinstance(found, ServeJob | TuneJob):
        raise SpecError(f"{path}: kind {found.kind} is not replayed", hint="give jobs of kind serve or tune")
    return found


def _above(option: str, text: str) -> float:
    seconds = duration(option, text).seconds
    if seconds <= 0:
        raise SpecError(f"{option} {text}: longer than 0s is wanted")
    return seconds


def _percent(option: str, text: str) -> Percent:
    from mlray.units import Percent

    try:
        return Percent.parse(text)
    except ValueError as error:
        raise SpecError(f"{option} {text!r}: {error}") from error

"""demo: the main job on real data, on one screen."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlray.cli import show
from mlray.cli.options import Json
from mlray.cli.progress import working

if TYPE_CHECKING:
    from mlray.jobs.demo import Demo

commands = typer.Typer()


@commands.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="A clone of mlray, where the example's files are.")] = Path(),
    once: Annotated[bool, typer.Option("--once", help="Stop when the summary is printed, instead of serving on.")] = False,
    as_json: Json = False,
) -> None:
    """Raw flights to a governed endpoint: a cluster, ingest, search, deployment, a request, and the bill."""
    from mlray.home import Home
    from mlray.jobs import demo as example

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a demo that is told to end takes its cluster down, too
    home = Home.locate().prepare()
    with ExitStack() as running:
        with working() as tell:
            done = running.enter_context(example.demo(folder, home, tell))
        print(show.to_json(done.facts()) if as_json else "\n".join(summary(done, home.root)))
        sys.stdout.flush()
        if not once:
            _serve_on()
        with working():
            running.close()


def summary(done: Demo, home: Path) -> list[str]:
    """One screen: what came of each stage, a request that can be repeated, and the bill."""
    ingested, searched, asked = done.ingested, done.searched, done.asked
    rejected = ", ".join(f"{count:,} {reason}" for reason, count in ingested.rejected)
    parts = len(ingested.version.manifest.parts)
    best = searched.best
    trees = f"{best.rounds} trees at most, {best.id}" if best else "none"
    facts = [
        ("rows", f"{ingested.rows_read:,} read, {ingested.rows_kept:,} kept; rejected: {rejected}"),
        ("version", f"{ingested.version}{' (there already)' if ingested.reused else ''}"),
        ("sealed", f"all {parts} parts AES-256-GCM, rejected rows too; tail numbers are pseudonyms" if done.encrypted else "NOT SEALED"),
        ("search", f"{len(searched.trials)} trials, {searched.spent} of {done.search_budget}; {searched.ended}"),
        ("model", f"{searched.model}, {trees}"),
        ("auc", f"{searched.metric_validation:.4f} validation, {searched.metric_test:.4f} on the untouched test period"),
        ("endpoint", f"{done.deployed.endpoint}, {done.deployed.replicas} replicas"),
        ("budget", f"{done.receipt.total} spent by this run; the policy allows {done.budget} a day"),
    ]
    bill = [(row.group[0], f"{row.seconds:,.1f}", str(row.amount)) for row in done.receipt.rows]
    answer = (
        f"{asked.prediction:.3f}: the chance of arriving more than 30 minutes late. This one was {'late' if asked.late else 'on time'}."
    )
    return [
        "",
        *show.columns(facts),
        "",
        f"$ export MLRAY_TOKEN=$(cat {home / 'token'})",
        f"$ {asked.curl}",
        answer,
        "",
        *show.columns([("stage", "node seconds", "amount"), *bill, ("total", "", str(done.receipt.total))]),
        f"{done.seconds:.0f} s from nothing to a served prediction",
    ]


def _serve_on() -> None:
    print("serving until Ctrl-C", file=sys.stderr)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()

"""ingest, tune, deploy, run, submit: job files turned into work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mlray.cli import show
from mlray.cli.options import InCluster, JobFile, Json
from mlray.cli.progress import working

commands = typer.Typer()
Follow = Annotated[bool, typer.Option("--follow", help="Go on with a stream as it grows, until Ctrl-C.")]
INTERRUPTED = 130


@commands.command()
def ingest(job: JobFile, cluster: InCluster = None, as_json: Json = False, follow: Follow = False) -> None:
    """Read, check, protect and seal raw rows as a dataset version."""
    if follow:
        _followed(job)
    _do("ingest", job, cluster, as_json, **({"forever": True} if follow else {}))


@commands.command()
def tune(job: JobFile, cluster: InCluster = None, as_json: Json = False) -> None:
    """Search for the best model the budget can pay for."""
    _do("tune", job, cluster, as_json)


@commands.command()
def deploy(job: JobFile, cluster: InCluster = None, as_json: Json = False) -> None:
    """Offer a model to callers, scaled inside its policy."""
    _do("deploy", job, cluster, as_json)


@commands.command()
def run(job: JobFile, cluster: InCluster = None, as_json: Json = False) -> None:
    """Run a job of any kind from here; a pipeline's steps in order."""
    _do("run", job, cluster, as_json)


@commands.command()
def submit(job: JobFile, cluster: InCluster = None, as_json: Json = False) -> None:
    """Run a job on the cluster and end with its exit code."""
    _read(job)
    from mlray.jobs import run as jobs

    log = sys.stderr if as_json else sys.stdout

    with working() as tell:
        code = jobs.submit(job, cluster=cluster, on_line=lambda line: print(line, file=log, flush=True), on_progress=tell)
    if as_json:
        show.result({"exit_code": code}, as_json)
    raise typer.Exit(code)


def _do(verb: str, job: Path, cluster: str | None, as_json: bool, **how: bool) -> None:
    """Does what the verb of `mlray.jobs.run` does; a pipeline has a result for each step. Ctrl-C keeps what was reached."""
    _read(job)
    from mlray.cli import views
    from mlray.jobs import run as jobs

    with working() as tell:
        found = getattr(jobs, verb)(job, cluster=cluster, on_progress=tell, **how)
    done = found if isinstance(found, tuple) else (found,)
    views.done(done, as_json)
    if jobs.interrupted(done):
        raise typer.Exit(INTERRUPTED)


def _read(job: Path) -> None:
    """Mistakes in the files are told at once: loading Ray to do the work takes seconds."""
    from mlray.jobs.read import written

    written(job)


def _followed(job: Path) -> None:
    """What cannot be followed is told before a cluster is looked for."""
    from mlray.errors import SpecError
    from mlray.jobs.read import written

    for step in written(job):
        if not getattr(step.job, "follow", None):
            raise SpecError(f"{step.job.name} reads its sources once", hint="declare a stream as main, and a follow block")

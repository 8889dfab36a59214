"""The front door of work: admit, do, book. The same calls serve the command line, Python and a submitted job.

What does the work is imported by the verb that needs it: all of it together takes four seconds to load.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mlray.clock import SystemClock
from mlray.errors import ClusterError, MlrayError, RefusedError, SpecError
from mlray.govern.register import Register
from mlray.home import Home
from mlray.ingest.report import Ingested
from mlray.ingest.spec import IngestJob
from mlray.jobs import begun
from mlray.jobs.closing import close
from mlray.jobs.desk import Desk, desk
from mlray.jobs.endpoints import Endpoint, endpoints, remember
from mlray.jobs.governor import govern, govern_soon
from mlray.jobs.purse import standing
from mlray.jobs.read import Written, written
from mlray.launch import on_ray as launch
from mlray.launch.on_ray import Connection, connect
from mlray.launch.record import Record
from mlray.ledger.entry import Usage
from mlray.policy.admission import Refused, admit_under
from mlray.policy.allowance import Allowance
from mlray.policy.spec import Policy, Stage
from mlray.progress import OnProgress, Progress, silent
from mlray.serve.deployed import Deployed
from mlray.serve.spec import ServeJob
from mlray.tune.searched import Searched
from mlray.tune.spec import TuneJob
from mlray.units import ZERO

Done = Ingested | Searched | Deployed


def ingest(
    job: IngestJob | Path | str,
    *,
    policy: Policy | None = None,
    home: Home | None = None,
    cluster: Connection | str | None = None,
    on_progress: OnProgress = silent,
    forever: bool = False,
) -> Ingested:
    """Raw rows -> one sealed dataset version. The same input and spec give the version that is there already.

    A job that follows a stream reads what is there now; with `forever`, until Ctrl-C, which ends it between two versions.
    Raises RefusedError when the policy cannot pay for it; then nothing was started.
    """
    from mlray.ingest import follow as following
    from mlray.ingest import on_ray as ingesting

    with desk(job, IngestJob, Stage.INGEST, policy, home, cluster) as at, begun.ingesting(at, ingesting.CPUS, on_progress) as (money, seen):

        def used(key: str, usage: Usage) -> None:
            seen.go_on()
            if money.charge(at.charge(key, usage)) < ZERO:
                raise RefusedError(f"{at.job.name} was stopped: it spent {money.spent}, and {money.limit} was set aside for it")

        if not at.job.follow:
            if forever:
                raise SpecError(f"{at.job.name} reads its sources once", hint="declare a stream as main, and a follow block")
            return ingesting.ingest(at.job, at.base, at.vault, on_progress, used)
        with following.interruptible() as stopped:
            return following.follow(
                at.job,
                at.base,
                at.vault,
                following.on_cluster,
                clock=at.clock,
                forever=forever,
                stopped=stopped,
                on_progress=on_progress,
                on_usage=used,
            )


def tune(
    job: TuneJob | Path | str,
    *,
    policy: Policy | None = None,
    home: Home | None = None,
    cluster: Connection | str | None = None,
    on_progress: OnProgress = silent,
) -> Searched:
    """A dataset version -> the best model the dollars and the time can buy, sealed and signed.

    Raises RefusedError when the policy cannot pay for it; then nothing was started.
    """
    from mlray.tune import on_ray as tuning

    with desk(job, TuneJob, Stage.TUNE, policy, home, cluster) as at, begun.searching(at, on_progress) as (money, oversee):
        return tuning.tune(
            at.job,
            at.vault,
            price_of=at.prices,
            listed=at.listed,
            limit=money.limit,
            deadline=None,
            charge=money.charge,
            cause=at.cause,
            storage=at.home.root / "searches",
            on_progress=on_progress,
            oversee=oversee,
        )


def deploy(
    job: ServeJob | Path | str,
    *,
    policy: Policy | None = None,
    home: Home | None = None,
    cluster: Connection | str | None = None,
    on_progress: OnProgress = silent,
) -> Deployed:
    """A model version -> an endpoint that answers, scaled inside what its policy allows from now on.

    Raises RefusedError when the policy cannot pay for the replicas it promises; then nothing was started.
    """
    from mlray.serve import on_ray as serving

    with desk(job, ServeJob, Stage.SERVE, policy, home, cluster) as at:
        begun.tell(at.cause.stage, at.notes, on_progress)
        _admitted(at)
        room = _governed(at)
        most = at.policy.availability.replicas.high
        done = serving.deploy(at.job, at.base, at.vault, at.home.database, room, most, on_progress)
        certificate = at.job.door.tls.certificate if at.job.door.tls else ""
        ca = str((at.base / certificate).absolute()) if certificate else ""
        remember(at.home, Endpoint(done.deployment, done.endpoint, done.model, at.connection.name, ca))
        return done


def run(
    job: Path | str, *, home: Home | None = None, cluster: Connection | str | None = None, on_progress: OnProgress = silent
) -> tuple[Done, ...]:
    """A job file of any kind. The steps of a pipeline share one connection; the first that fails or is interrupted ends it."""
    steps = written(job)
    home = (home or Home.locate()).prepare()
    if isinstance(cluster, Connection):
        return _steps(steps, home, cluster, on_progress)
    with connect(home, cluster) as connection:
        return _steps(steps, home, connection, on_progress)


def submit(
    job: Path | str,
    *,
    home: Home | None = None,
    cluster: str | None = None,
    on_line: Callable[[str], None] = print,
    on_progress: OnProgress = silent,
) -> int:
    """Runs a job file as a Ray job, hands over its log line by line, and returns its exit code. Ctrl-C stops the job."""
    from mlray.jobs import on_ray as ray_jobs

    home = (home or Home.locate()).prepare()
    with connect(home, cluster) as connection:
        sent = ray_jobs.submit(job, dashboard=connection.dashboard, home=home, cluster=connection.name)
        on_progress(Progress("submit", f"{sent} runs on the head of {connection.name}"))
        try:
            return ray_jobs.follow(sent, dashboard=connection.dashboard, on_line=on_line)
        except KeyboardInterrupt:
            ray_jobs.stop(sent, dashboard=connection.dashboard)
            raise


def interrupted(done: tuple[Done, ...]) -> bool:
    """Whether the last of these was ended by Ctrl-C, with something kept."""
    return bool(done) and isinstance(done[-1], Searched) and done[-1].interrupted


def _steps(steps: tuple[Written, ...], home: Home, cluster: Connection, on_progress: OnProgress) -> tuple[Done, ...]:
    done: tuple[Done, ...] = ()
    for step in steps:
        if not interrupted(done):
            done = (*done, _step(step, home, cluster, on_progress))
    return done


def _step(step: Written, home: Home, cluster: Connection, on_progress: OnProgress) -> Done:
    match step.job:
        case IngestJob():
            return ingest(step.path, home=home, cluster=cluster, on_progress=on_progress)
        case TuneJob():
            return tune(step.path, home=home, cluster=cluster, on_progress=on_progress)
        case ServeJob():
            return deploy(step.path, home=home, cluster=cluster, on_progress=on_progress)


def _admitted(at: Desk[ServeJob]) -> None:
    """Serving sets nothing aside: the governor charges it as it runs, and lowers its allowance as the money goes."""
    ask = at.ask(at.job.replica.market, at.job.replica.cpus, at.policy.availability.min_ready)
    answer = admit_under(ask, standing(at.ledger, at.policies, at.clock, at.held()))
    if isinstance(answer, Refused):
        name = answer.policy or at.policy.name
        raise RefusedError(answer.reason, hint=f"raise the budget of policy {name}, or wait for its next window")


def _governed(at: Desk[ServeJob]) -> Allowance:
    """Under government before the first replica runs, so that no second of it goes uncounted."""
    from mlray.govern import on_ray as governor

    govern(at.home, at.connection.name)
    room = governor.watch(at.job.deployment, at.policy, at.job.replica.cpus, at.cause, at.job.replica.market)
    if room is None:
        raise ClusterError("the governor cannot see the cluster yet", hint="run the same command again in a few seconds")
    return room


def settle() -> None:
    """Charges every running replica up to this instant, so that a bill read now is complete. Needs a connected driver."""
    from mlray.govern import on_ray as governor

    governor.charge_now()


def up(home: Home, file: Path, on_progress: OnProgress = silent) -> launch.Up:
    """Starts the cluster of a file, and its governor soon after; a cluster that is up is left as it is."""
    done = launch.up(home, file, on_progress)
    if done.fresh:
        govern_soon(home, done.status)
    return done


def down(home: Home, cluster: str, on_progress: OnProgress = silent) -> bool:
    """Takes a cluster down and books its last charges; False when there was none.

    Replicas of a cluster that no longer answers cannot be charged to this second: they end at the governor's last look.
    """
    if any(endpoint.cluster == cluster for endpoint in endpoints(home)):
        from mlray.govern import on_ray as governor

        with suppress(ClusterError), connect(home, cluster):
            governor.forget_all()

    def ended(record: Record) -> None:
        with suppress(MlrayError):  # the cluster goes down whatever the ledger says
            Register(home.database, cluster).leave_all()
            close(home, record, SystemClock().now())

    return launch.down(home, cluster, on_progress, ended)

"""A job file run as a Ray job: carried to the cluster, followed, and its outcome brought back as an exit code."""

from __future__ import annotations

import asyncio
import shlex
import tempfile
from collections.abc import Callable
from pathlib import Path

from ray.job_submission import JobStatus, JobSubmissionClient

from mlray.errors import WorkError
from mlray.home import Home
from mlray.jobs.read import Bundle, bundle

# Ray reports a driver that it had to end without an exit code of its own.
NO_EXIT_CODE = 1


def submit(path: Path | str, *, dashboard: str, home: Home, cluster: str) -> str:
    """Hands the job file to Ray Jobs and returns the job's id at once. Its driver runs on the head, as `mlray run`.

    The caller has set the cluster's token in the environment; nothing secret travels with the job.
    """
    carried = bundle(path)
    with tempfile.TemporaryDirectory() as folder:
        carried.copy_to(Path(folder))
        entrypoint = f"python -m mlray run {shlex.quote(str(carried.job))} --cluster {shlex.quote(cluster)}"
        environment = {"env_vars": home.environment(), "working_dir": folder}
        return str(_client(dashboard).submit_job(entrypoint=entrypoint, runtime_env=environment, metadata=_about(carried)))


def follow(job_id: str, *, dashboard: str, on_line: Callable[[str], None]) -> int:
    """Hands over the job's log as it grows, and returns its exit code when it ends."""
    client = _client(dashboard)

    async def tail() -> None:
        async for lines in client.tail_job_logs(job_id):
            for line in lines.splitlines():
                on_line(line)

    asyncio.run(tail())
    return _exit_code(client, job_id)


def stop(job_id: str, *, dashboard: str) -> None:
    """Asks the cluster to end the job; what it committed stays."""
    _client(dashboard).stop_job(job_id)


def _exit_code(client: JobSubmissionClient, job_id: str) -> int:
    info = client.get_job_info(job_id)
    if info.status == JobStatus.SUCCEEDED:
        return 0
    return info.driver_exit_code or NO_EXIT_CODE


def _client(dashboard: str) -> JobSubmissionClient:
    try:
        return JobSubmissionClient(dashboard)
    except (ConnectionError, RuntimeError) as error:
        raise WorkError(f"Ray's job server at {dashboard} does not answer: {error}", hint="see mlray status") from error


def _about(carried: Bundle) -> dict[str, str]:
    return {"mlray/job": str(carried.job)}

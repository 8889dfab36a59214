"""Job files read whole: the job, the policy it names, and for a pipeline every step.

An edge: it reads files. Every mistake in any of the files is told before any work starts.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from mlray import files
from mlray.errors import Mistake, SpecError
from mlray.ingest.spec import IngestJob
from mlray.jobs.spec import JOB, PipelineJob
from mlray.policy.spec import Policy
from mlray.serve.spec import ServeJob
from mlray.sources.files import FileSource
from mlray.tune.spec import TuneJob

OneJob = IngestJob | TuneJob | ServeJob


@dataclass(frozen=True, slots=True)
class Written:
    """A job as its files say it; relative paths in it start from the folder of `path`."""

    job: OneJob
    policy: Policy
    path: Path


@dataclass(frozen=True, slots=True)
class Bundle:
    """A job's own files below their common folder, so that they can be carried elsewhere and still find each other."""

    root: Path
    files: tuple[Path, ...]
    job: Path

    def copy_to(self, target: Path) -> None:
        for file in self.files:
            place = target / file.relative_to(self.root)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)


def written(path: Path | str) -> tuple[Written, ...]:
    """The jobs of a file in the order in which they run: one, or each step of a pipeline."""
    path = Path(path)
    document = files.read(path)
    job = files.validate(document, JOB)
    if not isinstance(job, PipelineJob):
        return (Written(job, _policy(document, job.policy), path),)
    steps: list[Written] = []
    for i, step in enumerate(job.steps):
        inner = files.load(path.parent / step, JOB)
        if isinstance(inner, PipelineJob):
            raise SpecError.listing((_mistake(document, ("steps", i), step, "a pipeline cannot hold a pipeline; list its steps here"),))
        steps.extend(written(path.parent / step))
    return tuple(steps)


def bundle(path: Path | str) -> Bundle:
    """The YAML files of a job. Refuses relative data and key files: only URIs and absolute paths mean the same elsewhere."""
    path = Path(path).absolute()
    jobs = written(path)
    for one in jobs:
        _refuse_local(one)
    needed = {Path(os.path.normpath(file)) for file in _named(path)}
    root = Path(os.path.commonpath([file.parent for file in needed]))
    return Bundle(root, tuple(sorted(needed)), Path(os.path.normpath(path)).relative_to(root))


def _named(path: Path) -> list[Path]:
    job = files.load(path, JOB)
    policy = [path.parent / job.policy] if job.policy else []
    if not isinstance(job, PipelineJob):
        return [path, *policy]
    return [path, *policy, *(file for step in job.steps for file in _named(path.parent / step))]


def _policy(document: files.Document, name: str) -> Policy:
    path = document.path.parent / name
    if not path.is_file():
        raise SpecError.listing((_mistake(document, ("policy",), name, f"there is no file {os.path.normpath(path)}; name a policy file"),))
    return files.load(path, Policy)


def _refuse_local(one: Written) -> None:
    for place in _places(one.job):
        if "://" not in place and not place.startswith("/"):
            raise SpecError(
                f"{one.job.name}: {place}: is relative, and a submitted job runs on the cluster's head",
                hint="write a URI or an absolute path that the cluster can read",
            )


def _places(job: OneJob) -> list[str]:
    if isinstance(job, IngestJob):
        return [source.uri for source in job.sources.values() if isinstance(source, FileSource)]
    if isinstance(job, ServeJob) and job.door.tls:
        return [job.door.tls.certificate, job.door.tls.key]
    return []


def _mistake(document: files.Document, loc: files.Loc, value: str, fix: str) -> Mistake:
    return Mistake(str(document.path), document.line(loc), ".".join(map(str, loc)), repr(value), fix)

"""Pipeline and the union of all kinds of jobs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from mlray.ingest.spec import IngestJob
from mlray.policy.job import JobSpec
from mlray.serve.spec import ServeJob
from mlray.tune.spec import TuneJob


class PipelineJob(JobSpec):
    """Several jobs in order; a step starts when the one before it is done."""

    kind: Literal["pipeline"] = Field(description="Always `pipeline`.")
    policy: str = Field("", description="Unused here: each step is governed by the policy it names.")
    steps: tuple[str, ...] = Field(min_length=1, description="Job files, relative to this one.")


AnyJob = Annotated[IngestJob | TuneJob | ServeJob | PipelineJob, Field(discriminator="kind")]
JOB: TypeAdapter[IngestJob | TuneJob | ServeJob | PipelineJob] = TypeAdapter(AnyJob)

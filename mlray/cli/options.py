"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlray.errors import SpecError
from mlray.units import Duration

Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
InCluster = Annotated[str | None, typer.Option("--cluster", "-c", help="The cluster, where several are up.")]
JobFile = Annotated[Path, typer.Argument(metavar="JOB", help="A file of jobs/.")]


def duration(option: str, text: str) -> Duration:
    """What an option such as --since 1d says. Raises SpecError that names the option."""
    try:
        return Duration.parse(text)
    except ValueError as error:
        raise SpecError(f"{option} {text!r}: {error}") from error

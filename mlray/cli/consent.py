"""Consent: what cannot be taken back is shown first, and done only when somebody says so."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from mlray.errors import SpecError

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]


def consent(will: Sequence[str], yes: bool) -> None:
    """Tells on stderr what will be done. In a terminal it asks; anywhere else --yes must have been written."""
    print("\n".join(will), file=sys.stderr)
    if yes:
        return
    if not sys.stdin.isatty():
        raise SpecError(
            "nothing was done: this cannot be taken back, and nobody is here to ask", hint="read what it would do, then add --yes"
        )
    if not typer.confirm("Do it?", err=True):
        print("nothing was done", file=sys.stderr)
        raise typer.Exit(1)

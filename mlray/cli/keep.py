"""data prune, erase: versions and persons go by destroying their keys. What goes is shown before it does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mlray.cli import show
from mlray.cli.consent import Yes, consent
from mlray.cli.options import Json
from mlray.errors import SpecError

if TYPE_CHECKING:
    from mlray.jobs.erasing import Erased

commands = typer.Typer()


@commands.command()
def prune(
    unused: Annotated[bool, typer.Option("--unused", help="Also versions without a tag, of which no model was made.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Destroy versions that are past their time, `keep:` in their job."""
    from mlray.clock import SystemClock
    from mlray.home import Home
    from mlray.jobs import erasing

    home, now = Home.locate(), SystemClock().now()
    doomed = [fate for fate in erasing.fates(home, now, unused) if fate.destroyed]
    if doomed:
        consent(list(map(str, doomed)), yes)
    done = erasing.prune(home, now, unused, only=[str(fate.standing) for fate in doomed])
    rows = [{"version": str(f.standing), "destroyed": f.destroyed, "why": f.why, "breaks": list(f.breaks)} for f in done]
    show.rows("versions", rows, as_json)


@commands.command()
def erase(
    dataset: Annotated[str, typer.Argument(help="Name of the dataset; all its versions forget the subject.")],
    subject: Annotated[str, typer.Option(help="Who: a value of the job's `subject:` column; - reads it from stdin.")],
    destroy_versions: Annotated[
        bool, typer.Option("--destroy-versions", help="Destroy versions that hold the subject in another way.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Erase one person from a dataset by destroying their key, with a certificate. Ends with 1 when a version still holds them."""
    from mlray.home import Home
    from mlray.jobs import erasing

    who = sys.stdin.read().removesuffix("\n") if subject == "-" else subject
    if not who:
        raise SpecError("--subject is empty", hint="write whose data is to be erased")
    will = [f"destroys the key of one subject of {dataset}: their values in every version are lost for good"]
    also = ["destroys whole versions that hold the subject in another way"] if destroy_versions else []
    # Where stdin held the subject, nobody can answer there.
    consent(will + also, yes)
    done = erasing.erase(Home.locate(), dataset, who, destroy_versions)
    if as_json:
        show.result(_facts(done), as_json)
    else:
        print("\n".join(show.text(_facts(done))))
    if not done.whole:
        raise typer.Exit(1)


def _facts(done: Erased) -> dict[str, object]:
    return {
        "dataset": done.dataset,
        "subject": done.subject,
        "whole": done.whole,
        "again": done.again,
        "certificate": done.certificate,
        "destroyed": list(done.destroyed),
        "models": list(done.models),
        "note": done.note,
        "unreached": done.unreached,
    }

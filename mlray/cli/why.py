"""why: what the governor did, and the reason it had."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlray.cli import show
from mlray.cli.options import InCluster, Json

if TYPE_CHECKING:
    from mlray.govern.journal import Line

commands = typer.Typer()
Subject = Annotated[str, typer.Argument(metavar="SUBJECT", help="A deployment, run, trial (RUN/TRIAL), node, cluster or policy.")]


@commands.command()
def why(
    subject: Subject = "",
    last: Annotated[int, typer.Option(help="How many decisions, the newest.", min=1)] = 20,
    cluster: InCluster = None,
    as_json: Json = False,
) -> None:
    """What the governor decided, oldest first, with the reason and the policy that asked for it."""
    from mlray.errors import SpecError
    from mlray.govern.store import GovernStore, governed_clusters
    from mlray.home import Home

    url = Home.locate().prepare().database
    names = [cluster] if cluster else governed_clusters(url)
    lines = [(name, line) for name in names for line in GovernStore(url, name).about(subject, last)]
    if subject and not lines:
        raise SpecError(f"nothing was ever decided about {subject}", hint="mlray why shows the newest decisions of all")
    newest = sorted(lines, key=lambda found: (found[1].at, found[1].seq))[-last:]
    show.rows("decisions", [_whole(*found) if as_json else _short(found[1]) for found in newest], as_json)


def _short(line: Line) -> dict[str, Any]:
    from mlray.govern.sentence import done

    return {"at": line.at, "subject": line.subject, "what": done(line), "policy": line.policy or None, "why": line.reason}


def _whole(cluster: str, line: Line) -> dict[str, Any]:
    from mlray.govern.sentence import done

    return {
        "at": line.at,
        "cluster": cluster,
        "subject": line.subject,
        "action": line.action,
        "what": done(line),
        "policy": line.policy or None,
        "policies": json.loads(line.policies),
        "facts": json.loads(line.facts),
        "why": line.reason,
        "state": line.state or "begun",
    }

"""policy: what may be spent and what is promised: checked, compared, brought into force, and told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlray.cli import show
from mlray.cli.options import InCluster, Json

if TYPE_CHECKING:
    from mlray.jobs.explaining import Explained
    from mlray.jobs.policies import Policies
    from mlray.policy.change import Standing

commands = typer.Typer(no_args_is_help=True)
PolicyFile = Annotated[Path, typer.Argument(metavar="POLICY", help="A file of policies/.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a policy.")]
Why = Annotated[str, typer.Option("--why", help="The reason, which is kept with the change.")]


@commands.command()
def check(files: Annotated[list[Path], typer.Argument(metavar="POLICY...", help="Files of policies/.")], as_json: Json = False) -> None:
    """Read policy files and tell every mistake in all of them."""
    from mlray.errors import SpecError
    from mlray.files import load
    from mlray.policy.spec import Policy

    good, bad = [], []
    for file in files:
        try:
            good.append({"file": file, "policy": load(file, Policy).name})
        except SpecError as error:
            bad.append(error)
    if bad:
        raise SpecError("\n".join(map(str, bad)), mistakes=tuple(mistake for error in bad for mistake in error.mistakes))
    show.rows("policies", good, as_json)


@commands.command()
def explain(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of policies/, or a job whose policies are wanted.")],
    as_json: Json = False,
) -> None:
    """What a policy has left now; for a job, which policies govern it and which of them sets each bound."""
    from mlray.home import Home
    from mlray.jobs.explaining import explain as explained

    found = explained(Home.locate(), file)
    if as_json:
        show.result(found[0].claims[0].balance if found[0].bounds is None else {"jobs": [_job(one) for one in found]}, as_json)
    else:
        print("\n\n".join("\n".join(one.sentences) for one in found))


@commands.command()
def diff(
    file: PolicyFile, other: Annotated[Path | None, typer.Argument(help="Compare with this file instead.")] = None, as_json: Json = False
) -> None:
    """What a file would change of the policy in force, or of another file."""
    from mlray.files import load
    from mlray.policy.diff import differences
    from mlray.policy.spec import Policy

    policy = load(file, Policy)
    before = load(other, Policy) if other else _standing(policy.name).in_force
    found = differences(before, policy)
    if as_json or found:
        show.rows("differences", [{"field": one.field, "before": one.before, "after": one.after} for one in found], as_json)
    else:
        print(f"{file} says what is in force" if other is None else f"{file} says what {other} says")


@commands.command()
def plan(file: PolicyFile, cluster: InCluster = None, as_json: Json = False) -> None:
    """What would change on a cluster that is up if this policy were in force now; nothing is done."""
    from mlray.files import load
    from mlray.govern.on_ray import draft
    from mlray.govern.sentence import doing
    from mlray.home import Home
    from mlray.launch.on_ray import connect
    from mlray.policy.spec import Policy

    policy = load(file, Policy)
    with connect(Home.locate(), cluster):
        actions = draft(policy).actions
    rows = [{"subject": action.subject, "what": doing(action), "policy": action.policy or None, "why": action.reason} for action in actions]
    if rows or as_json:
        show.rows("actions", rows, as_json)
    else:
        print(f"nothing would change if policy {policy.name} were in force as {file} says")


@commands.command()
def apply(file: PolicyFile, why: Why, as_json: Json = False) -> None:
    """Bring a policy into force: it then governs everything it matches, beside the policies that jobs name."""
    _told(_policies().apply(file, why), as_json)


@commands.command()
def approve(name: Name, why: Why = "", as_json: Json = False) -> None:
    """Approve a change that waits; with the last approval it comes into force."""
    _told(_policies().approve(name, why), as_json)


@commands.command()
def drop(name: Name, why: Why = "", as_json: Json = False) -> None:
    """Take back, or turn down, a change that waits."""
    _told(_policies().drop(name, why), as_json)


@commands.command()
def end(name: Name, why: Why, as_json: Json = False) -> None:
    """Let a policy govern no longer."""
    _told(_policies().end(name, why), as_json)


@commands.command("list")
def list_(as_json: Json = False) -> None:
    """The policies in force, and the changes that wait."""
    show.rows("policies", [_row(now, as_json) for now in _policies().store.standing() if now.in_force or now.proposal], as_json)


@commands.command()
def history(name: Name, as_json: Json = False) -> None:
    """Every step of a policy: what changed, when, who did it and why."""
    from mlray.errors import SpecError

    events = _policies().store.history(name)
    if not events:
        raise SpecError(f"no policy {name} was ever applied here", hint="see mlray policy list")
    rows = [
        {
            "at": event.at,
            "step": event.step,
            "before": _short(event.before, as_json),
            "after": _short(event.after, as_json),
            "who": event.who,
            "why": event.why,
        }
        for event in events
    ]
    show.rows("history", rows, as_json)


def _job(one: Explained) -> dict[str, Any]:
    balances = {claim.policy.name: claim.balance for claim in one.claims}
    return {"job": one.subject, "policies": one.policies, "bounds": one.bounds, "balances": balances, "sentences": one.sentences}


def _policies() -> Policies:
    from mlray.home import Home
    from mlray.jobs.policies import Policies

    return Policies(Home.locate())


def _standing(name: str) -> Standing:
    from mlray.policy.change import standing

    return standing(name, _policies().store.history(name))


def _told(now: Standing, as_json: bool) -> None:
    if as_json:
        show.result(_row(now, as_json), as_json)
    else:
        print(_sentence(now))


def _sentence(now: Standing) -> str:
    if now.proposal:
        one = "1 approval" if now.proposal.missing == 1 else f"{now.proposal.missing} approvals"
        return f"policy {now.name} waits for {one}: mlray policy approve {now.name}"
    if now.in_force is None:
        return f"no policy {now.name} is in force"
    return f"policy {now.name} is in force: {_short(now.digest, False)}"


def _row(now: Standing, whole: bool) -> dict[str, Any]:
    waits = now.proposal
    return {
        "policy": now.name,
        "digest": _short(now.digest, whole),
        "since": now.since,
        "waits": _short(waits.event.after or "end", whole) if waits else None,
        "asked_by": waits.event.who if waits else None,
        "approvals_missing": waits.missing if waits else 0,
    }


def _short(digest: str, whole: bool) -> str | None:
    return (digest if whole else digest[:12]) or None

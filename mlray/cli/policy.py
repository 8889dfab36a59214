"""policy check, explain: what a policy file says, before anything spends under it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlray.cli import show
from mlray.cli.options import Json

commands = typer.Typer(no_args_is_help=True)
PolicyFile = Annotated[Path, typer.Argument(metavar="POLICY", help="A file of policies/.")]


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
def explain(file: PolicyFile, as_json: Json = False) -> None:
    """What a policy has left now, by kind of work."""
    from mlray.clock import SystemClock
    from mlray.files import load
    from mlray.home import Home
    from mlray.jobs.purse import standing
    from mlray.ledger.store import LedgerStore
    from mlray.policy.explain import balance_sentence
    from mlray.policy.spec import Policy

    policy = load(file, Policy)
    now = standing(LedgerStore(Home.locate().prepare().database), policy, SystemClock())
    if as_json:
        show.result(now, as_json)
    else:
        print(balance_sentence(policy.name, now))

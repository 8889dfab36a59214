"""cost, receipt: the bill, and that of one run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlray.cli import bill, show
from mlray.cli.options import Json, duration

if TYPE_CHECKING:
    from mlray.ledger.store import LedgerStore

commands = typer.Typer(invoke_without_command=True)
receipts = typer.Typer()
COLUMNS = "stage, job, run, item, owner, policy, capacity, node-type, node, state, waste, cluster, day, hour (UTC), or any tag."

By = Annotated[str, typer.Option(help=f"Columns: {COLUMNS}")]
OfPolicy = Annotated[str | None, typer.Option(help="Only what counts against this policy.")]
Since = Annotated[str | None, typer.Option(help="Only this far back, such as 7d.")]
From = Annotated[str | None, typer.Option("--from", help="Only from this day or moment on, such as 2026-11-01 (UTC).")]
To = Annotated[str | None, typer.Option("--to", help="Only until this day or moment, which is not counted.")]
Where = Annotated[list[str] | None, typer.Option("--where", help="Only where a column has a value, such as team=travel; again for more.")]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write the rows as CSV.")]
Plot = Annotated[Path | None, typer.Option("--plot", help="Draw the rows: FILE.png, or FILE.html with the numbers.")]
Focus = Annotated[Path | None, typer.Option("--focus", help="Write a FOCUS 1.2 cost and usage file: one row a day and group.")]


@commands.callback()
def cost(
    context: typer.Context,
    by: By = "stage,job,team,capacity",
    policy: OfPolicy = None,
    since: Since = None,
    begin: From = None,
    end: To = None,
    where: Where = None,
    csv: Csv = None,
    plot: Plot = None,
    focus: Focus = None,
    as_json: Json = False,
) -> None:
    """What was spent, from the ledger, with what spot saved and what was wasted."""
    if context.invoked_subcommand:
        return
    span, asked = _span(since, begin, end), _where(where) | ({"policy": policy} if policy else {})
    ledger = _ledger()
    found = ledger.sums(*span, _columns(by), asked)
    if csv:
        bill.write_csv(csv, found)
    if plot:
        bill.draw(plot, found, span)
    if focus:
        from mlray.ledger.focus import BY

        bill.write_focus(focus, ledger.sums(*span, BY, asked))
    bill.tell(found, as_json)


@receipts.command()
def receipt(name: Annotated[str, typer.Argument(metavar="RUN", help="A run, or a job: all of its runs.")], as_json: Json = False) -> None:
    """The receipt of one run or job: its work, what was lost, what spot saved."""
    from mlray.errors import SpecError

    ledger, by = _ledger(), ("stage", "item", "node-type", "capacity", "state")
    found = ledger.sums(by=by, where={"run": name})
    found = found if found.rows else ledger.sums(by=("run", *by), where={"job": name})
    if not found.rows:
        raise SpecError(f"the ledger has no charge of a run or a job {name!r}", hint="mlray cost --by job,run lists them")
    bill.tell(found, as_json, {"receipt": name})
    if not as_json:
        whole = found.whole
        parts = {"work": whole.work, "lost": whole.lost, "idle": whole.idle, "paid": whole.amount, "saved against on demand": whole.savings}
        print("\n" + "\n".join(show.columns([(name, "unknown" if part is None else str(part)) for name, part in parts.items()])))


def _ledger() -> LedgerStore:
    from mlray.home import Home
    from mlray.ledger.store import LedgerStore

    return LedgerStore(Home.locate().prepare().database)


def _span(since: str | None, begin: str | None, end: str | None) -> tuple[datetime | None, datetime | None]:
    """Raises SpecError where a moment cannot be read, or two say when it begins."""
    from datetime import timedelta

    from mlray.clock import SystemClock
    from mlray.errors import SpecError

    if since and begin:
        raise SpecError("--since and --from both say where the bill begins", hint="leave one of them out")
    back = SystemClock().now() - timedelta(seconds=duration("--since", since).seconds) if since else None
    return back or _moment("--from", begin), _moment("--to", end)


def _moment(option: str, text: str | None) -> datetime | None:
    from mlray.errors import SpecError

    try:
        at = datetime.fromisoformat(text) if text else None
    except ValueError as error:
        raise SpecError(f"{option} {text!r}: write a day such as 2026-11-01, or a moment such as 2026-11-01T12:00 (UTC)") from error
    return at.replace(tzinfo=UTC) if at and at.tzinfo is None else at


def _columns(by: str) -> tuple[str, ...]:
    from mlray.errors import SpecError

    names = tuple(dict.fromkeys(name.strip() for name in by.split(",")))
    if not all(names):
        raise SpecError(f"--by {by!r}: a column has no name", hint=f"columns are {COLUMNS}")
    return names


def _where(given: list[str] | None) -> dict[str, str]:
    from mlray.errors import SpecError

    pairs = [text.partition("=") for text in given or ()]
    if bad := next((name for name, sign, _ in pairs if not sign or not name), None):
        raise SpecError(f"--where {bad!r}: write a column and its value, such as team=travel")
    return {name: value for name, _, value in pairs}

"""prices list, show, update, quote: what clouds ask for an hour of a machine."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlray.cli import show
from mlray.cli.options import Json
from mlray.errors import SpecError

if TYPE_CHECKING:
    from mlray.market.prices.form import Rates
    from mlray.market.prices.store import PriceStore
    from mlray.market.prices.table import Listed

commands = typer.Typer(no_args_is_help=True)
Cloud = Annotated[str, typer.Option(help="Only this cloud, or pattern.")]
Region = Annotated[str, typer.Option(help="Only this region or zone, or pattern.")]
Type = Annotated[str, typer.Option("--type", help="Only this machine type, or pattern.")]
HEADING = ("price", "per hour", "cpus", "memory", "gpus", "as of")


@commands.command("list")
def list_prices(
    cloud: Cloud = "*",
    region: Region = "*",
    kind: Type = "*",
    capacity: Annotated[str, typer.Option(help="spot or on-demand.")] = "*",
    as_json: Json = False,
) -> None:
    """Prices that are known, by the names that cluster files may give."""
    rows = _store().table().find(cloud, region, kind, capacity)
    if as_json:
        show.result({"prices": rows}, as_json)
    else:
        print("\n".join(show.columns([HEADING, *map(_line, rows)]) if rows else ["no price of this name is known: mlray prices update"]))


@commands.command("show")
def show_price(name: Annotated[str, typer.Argument(help="Such as aws/us-east-1/m7i.large/on-demand.")], as_json: Json = False) -> None:
    """One price, its date and its source."""
    from mlray.market.prices.name import PriceName

    try:
        asked = PriceName.parse(name)
    except ValueError as error:
        raise SpecError(f"{name}: {error}") from error
    found = _store().table().listed(asked)
    if found is None:
        raise SpecError(f"no price of {name} is known", hint="mlray prices list shows those that are, mlray prices update brings more")
    show.result(found, as_json)


@commands.command()
def update(
    source: Annotated[str, typer.Argument(help="A file, or the address of a cloud's price list.")],
    cloud: Cloud = "*",
    region: Region = "*",
    kind: Type = "*",
    as_of: Annotated[str | None, typer.Option(help="The day of a list that does not say it, such as 2026-02-09.")] = None,
    rate: Annotated[list[str] | None, typer.Option(help="Dollars for one unit of a currency, such as EUR=1.08.")] = None,
    rates_as_of: Annotated[str | None, typer.Option(help="The day of the rates; left out: today.")] = None,
    as_json: Json = False,
) -> None:
    """Read prices; of each the newest counts. A list that cannot be understood changes nothing."""
    from mlray.clock import SystemClock
    from mlray.market.prices.fetch import read_prices
    from mlray.market.prices.table import PriceTable

    today, store = SystemClock().now().date(), _store()
    rates = _rates(rate or [], _day("--rates-as-of", rates_as_of) or today)
    found = read_prices(source, store.table(), rates, _day("--as-of", as_of), today)
    kept = PriceTable.of(found).find(cloud, region, kind)
    if not kept:
        raise SpecError(f"{source}: none of its {len(found)} prices is of cloud {cloud}, region {region}, type {kind}")
    done = store.update(kept)
    if as_json:
        show.result(done, as_json)
    else:
        print(f"{done.added} new, {done.newer} newer than before, {done.older} not newer; kept in {done.file}")


@commands.command()
def quote(file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of cluster/.")], as_json: Json = False) -> None:
    """What a cluster costs for an hour, before it is started."""
    from mlray.home import Home
    from mlray.launch.quote import quote
    from mlray.market.prices.store import read_cluster

    show.result(quote(read_cluster(Home.locate().prepare(), file)), as_json)


def _store() -> PriceStore:
    from mlray.home import Home
    from mlray.market.prices.store import PriceStore

    return PriceStore(Home.locate().prepare())


def _rates(given: list[str], as_of: date) -> Rates:
    from mlray.market.prices.form import Rates, decimal

    try:
        pairs = [text.split("=") for text in given]
        return Rates({currency.strip().upper(): decimal(amount) for currency, amount in pairs}, as_of)
    except ValueError as error:
        raise SpecError(f"--rate {' '.join(given)}: write dollars for one unit, like EUR=1.08") from error


def _day(option: str, text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise SpecError(f"{option} {text!r}: write a day like 2026-02-09") from error


def _line(row: Listed) -> tuple[str, ...]:
    gpus = f"{row.gpus} {row.gpu}".strip() if row.gpus else "-"
    cpus = "-" if row.cpus is None else f"{row.cpus:g}"
    return str(row.name), str(row.price.per_hour), cpus, str(row.memory or "-"), gpus, row.as_of.isoformat()

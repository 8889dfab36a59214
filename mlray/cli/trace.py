"""trace make, import, show: histories of spot markets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlray.cli import show
from mlray.cli.options import Json, duration
from mlray.errors import SpecError

if TYPE_CHECKING:
    from mlray.market.summary import Summary
    from mlray.market.weather import Regime

commands = typer.Typer(no_args_is_help=True)
Source = Annotated[Path, typer.Argument(metavar="TRACES", help="A .csv or .json file, or a folder of them.")]
Target = Annotated[Path, typer.Argument(metavar="FILE", help="The CSV file to write.")]
HEADING = ("zone", "type", "days", "tick", "nodes", "share", "losses/h", "95 %", "stays", "away", "1 h", "4 h", "together", "price")


@commands.command()
def make(
    file: Target,
    zones: Annotated[str, typer.Option(help="Names of the zones.")] = "az-a,az-b,az-c",
    length: Annotated[str, typer.Option(help="How long it is, such as 14d.")] = "14d",
    tick: Annotated[str, typer.Option(help="Length of a tick.")] = "5m",
    nodes: Annotated[int, typer.Option(help="The most nodes a zone gives.")] = 4,
    calm: Annotated[str, typer.Option(help="Mean stay / mean absence / length of the calm regime.")] = "60h/30m/3d",
    rough: Annotated[str, typer.Option(help="The same of the rough regime.")] = "90m/90m/1d",
    together: Annotated[float, typer.Option(help="Correlation of two nodes of a zone, 0 to 1.")] = 0.9,
    shared: Annotated[float, typer.Option(help="Correlation of two zones, 0 to 1.")] = 0.3,
    price: Annotated[str, typer.Option(help="Mean spot price.")] = "$0.97/h",
    node_type: Annotated[str, typer.Option("--type", help="What the node type is called.")] = "",
    seed: Annotated[int, typer.Option(help="The same seed makes the same traces.")] = 0,
    as_json: Json = False,
) -> None:
    """Draw a market that never was, for trying policies where nothing was recorded."""
    import numpy as np

    from mlray.market.generate import region
    from mlray.market.store import write_traces
    from mlray.market.weather import Weather
    from mlray.units import Price

    step = duration("--tick", tick).seconds
    try:
        weather = Weather(_regime("--calm", calm), _regime("--rough", rough), nodes, together, Price.parse(price).per_hour.usd)
        named = tuple(zone.strip() for zone in zones.split(",") if zone.strip())
        ticks = int(duration("--length", length).seconds / step) if step else 0
        made = region(named, ticks, step, np.random.default_rng(seed), weather, shared, node_type)
    except ValueError as error:
        raise SpecError(f"no such market: {error}") from error
    write_traces(file, made)
    show.result({"file": file, "zones": len(made), "ticks": ticks, "share": weather.share, "seed": seed}, as_json)


@commands.command("import")
def import_traces(source: Source, file: Target, as_json: Json = False) -> None:
    """Convert recorded traces, such as a folder of JSON files with prices, to one CSV file."""
    from mlray.market.store import read_traces, write_traces

    found = read_traces(source)
    write_traces(file, found)
    show.result({"file": file, "traces": len(found), "ticks": sum(map(len, found))}, as_json)


@commands.command("show")
def show_traces(
    source: Source,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw them into this PNG file.")] = None,
    as_json: Json = False,
) -> None:
    """How much capacity there was, how it went away, and what that means for work on it."""
    from mlray.market.store import read_traces
    from mlray.market.summary import summary

    traces = read_traces(source)
    found = tuple(summary(trace) for trace in traces)
    if plot is not None:
        from mlray.market.plot import png

        _write(plot, png(traces))
    if as_json:
        show.result({"traces": found} | ({"file": plot} if plot else {}), as_json)
    else:
        print("\n".join([*lines(found), *([f"drawn in {plot}"] if plot else [])]))


def lines(found: Sequence[Summary]) -> list[str]:
    """A row for each trace; below it, what a cluster file may say of a market like this and how often to keep work."""
    told = [f"  {s.zone} {s.node_type}".rstrip() + f": interruptions {s.interruptions}, checkpoint every {s.checkpoint}" for s in found]
    return [*show.columns([HEADING, *map(_row, found)]), "", "for a cluster file, and for work that is kept in 10 s:", *told]


def _row(s: Summary) -> tuple[str, ...]:
    days, bounds = f"{s.ticks * s.tick.seconds / 86400:.1f}", f"{s.low:.3f}..{s.high:.3f}"
    lives = (f"{s.lives_1h:.0%}", f"{s.lives_4h:.0%}")
    together, price = "-" if s.together is None else f"{s.together:.0%}", str(s.price or "-")
    own = (s.zone, s.node_type or "-", days, str(s.tick), str(s.nodes), f"{s.share:.1%}")
    return (*own, f"{s.per_hour:.3f}", bounds, str(s.stays), str(s.away), *lives, together, price)


def _regime(option: str, text: str) -> Regime:
    from mlray.market.weather import Regime

    parts = [duration(option, part.strip()).seconds for part in text.split("/")]
    if len(parts) != 3:
        raise SpecError(f"{option} {text!r}: write mean stay, mean absence and length, like 60h/30m/3d")
    return Regime(*parts)


def _write(file: Path, picture: bytes) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}.draft")
    try:
        draft.write_bytes(picture)
        os.replace(draft, file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise SpecError(f"{file} cannot be written: {error.strerror}") from error

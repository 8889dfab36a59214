"""data diff, lineage: versions beside each other, and what came of what."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mlray.cli import show
from mlray.cli.options import Json
from mlray.cli.vaults import WHICH, OfModels, Version, find, vault

if TYPE_CHECKING:
    from mlray.vault.diff import Diff, Moved

commands = typer.Typer()
Before = Annotated[str, typer.Argument(metavar="BEFORE", help=WHICH)]
After = Annotated[str, typer.Argument(metavar="AFTER", help="The other one; of the same name, only what stands after @ may be written.")]


@commands.command()
def diff(before: Before, after: After, models: OfModels = False, as_json: Json = False) -> None:
    """What differs between two versions: schema, rows, parts, rejections, statistics."""
    from mlray.cli.kept import kept
    from mlray.ingest.splits import aside
    from mlray.vault.diff import diff as compare

    opened = vault()
    old = find(opened, before, models)
    new = find(opened, f"{old.name}{after}" if after.startswith("@") else after, models)
    was, now = kept(opened, old), kept(opened, new)
    found = compare(old.manifest, new.manifest, (was.statistics, now.statistics))
    told = replace(
        found,
        rows=tuple(count for count in found.rows if not aside(count.name)),
        statistics=tuple(_timed(moved) if now.moment(moved.column) else moved for moved in found.statistics),
    )
    if as_json:
        show.result(told, as_json)
    else:
        print("\n".join(lines(told)))


@commands.command()
def lineage(
    version: Version,
    models: OfModels = False,
    dot: Annotated[bool, typer.Option("--dot", help="Print it for Graphviz.")] = False,
    as_json: Json = False,
) -> None:
    """From its sources over the version to models and releases."""
    from mlray.home import Home
    from mlray.jobs.endpoints import endpoints
    from mlray.vault import lineage as graphs

    opened = vault()
    found = find(opened, version, models)
    released = [graphs.Released(e.deployment, e.model, e.cluster, e.url) for e in endpoints(Home.locate())]
    held = [one.manifest for one in opened.datasets()] + [one.manifest for one in opened.models()]
    around = graphs.graph(held, released).around(str(found))
    if as_json:
        show.result({"root": str(found), "nodes": around.nodes, "edges": around.edges}, as_json)
    else:
        print(graphs.dot(around) if dot else "\n".join(graphs.tree(around, str(found))))


def lines(found: Diff) -> list[str]:
    """A block for each kind of difference there is; the parts always."""
    shared = f"{found.parts.shared} shared ({_size(found.parts.shared_bytes)})"
    fresh = f"{found.parts.new} new ({_size(found.parts.new_bytes)}), {found.parts.gone} gone ({_size(found.parts.gone_bytes)})"
    out = show.columns([("before", found.before), ("after", found.after), ("parts", f"{shared}, {fresh}")])
    blocks = {"made from": found.made_from, "schema": found.schema, "rows": found.rows, "rejected": found.rejected}
    for name, records in {**blocks, "statistics that moved": found.statistics}.items():
        if records:
            out += ["", f"{name}:", *(f"  {line}" for line in show.table(records))]
    return out


def _timed(moved: Moved) -> Moved:
    """Moments as people read them; a share of nulls stays a number."""
    from mlray.cli.kept import instant
    from mlray.vault.diff import NULLS

    if moved.statistic == NULLS:
        return moved
    return replace(moved, before=instant(float(moved.before)), after=instant(float(moved.after)))


def _size(count: int) -> str:
    power = min(3, (len(str(count)) - 1) // 3)
    return f"{count / 1000**power:.3g} {('B', 'KB', 'MB', 'GB')[power]}"

"""data report: what a version keeps about itself, on the terminal, as JSON, or as a page with plots."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlray.cli import show
from mlray.cli.options import Json
from mlray.cli.vaults import Version, find, vault
from mlray.errors import SpecError, StoreError

if TYPE_CHECKING:
    from mlray.cli.kept import Kept
    from mlray.vault.version import DatasetVersion

commands = typer.Typer()


@commands.command()
def report(
    version: Version,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write it to this file, as a page for browsers, readable by you alone.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Rows, rejections, checks, and the statistics of each column."""
    from mlray.cli.kept import kept
    from mlray.ingest.summary import summary
    from mlray.vault.version import DatasetVersion

    opened = vault()
    found = find(opened, version)
    assert isinstance(found, DatasetVersion)
    held = kept(opened, found)
    if not held.merged:
        raise StoreError(
            f"{found} has no report that this keyring can open", hint="it was made with report: none, or its keys are not here"
        )
    if html is not None:
        _write(html, found, held)
    told = summary(found, held.merged, held.findings)
    if as_json:
        show.result(told | ({"file": html} if html else {}), as_json)
    else:
        print(f"written to {html}" if html else "\n".join(lines(told)))


def lines(told: Mapping[str, Any]) -> list[str]:
    """A table for each of splits, rejections, checks and columns."""
    facts = [("version", told["version"]), ("created", told["created"]), ("rows read", _text(told["rows_read"]))]
    splits = [(s["split"], f"{s['rows']:,}", _text(s["positives"]), _text(s["first"]), _text(s["last"])) for s in told["splits"]]
    checks = [("holds" if c["held"] else "failed", c["on_fail"], c["said"]) for c in told["checks"]]
    columns = [_column(column) for column in told["columns"]]
    out = show.columns(facts)
    for name, heading, rows in (
        ("splits", ("split", "rows", "label 1", "first", "last"), splits),
        ("rejected", ("reason", "rows"), [(reason, f"{rows:,}") for reason, rows in told["rejected"].items()]),
        ("checks", ("found", "on fail", "what"), checks),
        ("columns", ("column", "type", "class", "protection", "missing", "min", "mean", "max", "values"), columns),
    ):
        if rows:
            out += ["", f"{name}:", *(f"  {line}" for line in show.columns([heading, *rows]))]
    return out


def _column(column: Mapping[str, Any]) -> tuple[str, ...]:
    told = column["all"] or {}
    missing = told.get("missing")
    values = f"{told['distinct']}" if "distinct" in told else "-"
    if told.get("top"):
        values += ": " + ", ".join(f"{value} {count:,}" for value, count in told["top"][:3])
    own = (column["column"], column["type"], _text(column["class"]), _text(column["protection"]))
    return (*own, "-" if missing is None else f"{missing:.1%}", *(_text(told.get(name)) for name in ("min", "mean", "max")), values)


def _text(value: Any) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _write(file: Path, found: DatasetVersion, held: Kept) -> None:
    """Private: what is known of rows that are sealed is written in clear."""
    from mlray.ingest.page import page

    text = page(found, held.merged, held.findings)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as written:
            written.write(text)
        os.replace(draft, file)
    except OSError as error:
        raise SpecError(f"{file} cannot be written: {error.strerror}") from error

"""The columns declared against the columns there: which are taken, under which name and type, or why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlray.errors import SpecError
from mlray.sources.base import Column, ColumnType, OnBad, SourceBase

# Types found that a declared type can be made of without asking what was meant. Text is read as any of them, value by value;
# a column without any value ("null") is of every type.
MADE_OF: dict[str, set[str]] = {
    "int": {"int", "text"},
    "float": {"float", "int", "text"},
    "text": {"text", "int", "float", "bool", "timestamp"},
    "timestamp": {"timestamp", "text"},
    "bool": {"bool", "text"},
    "binary": {"binary", "text"},
}


@dataclass(frozen=True, slots=True)
class Taken:
    """One column as it is read: its name here and there, its type, and what becomes of a value that is not of it."""

    here: str
    there: str
    kind: ColumnType
    on_bad: OnBad = OnBad.REFUSE


def shape(source: SourceBase, columns: Mapping[str, str], where: str) -> tuple[Taken, ...]:
    """The columns a table of this source has, in order: declared ones, then new ones that are kept.

    Raises SpecError where the source is otherwise and its rules refuse that.
    """
    if missing := [there for there in source.renamed if there not in columns]:
        _missing(source, missing, columns, where)
    taken = [
        Taken(here, how.of or here, _kind(source, how.of or here, how, columns, where), how.on_bad) for here, how in source.wanted.items()
    ]
    return (*taken, *_new(source, columns, where))


def _missing(source: SourceBase, missing: list[str], columns: Mapping[str, str], where: str) -> None:
    if source.on_missing_column == "refuse":
        there = f"there are {', '.join(columns)}" if columns else "there are none"
        raise SpecError(f"{where}: no column {', '.join(missing)}", hint=f"{there}; on_missing_column: null reads it as missing")


def _kind(source: SourceBase, there: str, column: Column, columns: Mapping[str, str], where: str) -> ColumnType:
    declared, found = column.type, columns.get(there, column.type)
    if found in (declared, "null") or found in MADE_OF[declared]:
        return declared
    if (declared, found) == ("int", "float"):
        if source.on_wider_column == "keep":
            return "float"
        if column.on_bad is not OnBad.REFUSE:
            return declared  # each value that is broken is bad
        raise SpecError(f"{where}: column {there}: declared int, found float", hint="declare float, or write on_wider_column: keep")
    what = "a type mlray does not read (nested, or one of its own)" if found == "other" else found
    raise SpecError(f"{where}: column {there}: declared {declared}, found {what}", hint=_remedy(found))


def _remedy(found: str) -> str:
    return "take one value out of it by a dotted path, like of: user.id" if found == "other" else f"declare {found}"


def _new(source: SourceBase, columns: Mapping[str, str], where: str) -> list[Taken]:
    new = [name for name in columns if name not in source.renamed and not any(path.startswith(f"{name}.") for path in source.renamed)]
    if new and source.on_new_column == "refuse":
        raise SpecError(f"{where}: new column {', '.join(new)}", hint="declare it, or write on_new_column: keep or drop")
    if source.on_new_column != "keep":
        return []
    if clash := sorted({name for name in new if name in source.columns or name.startswith("_")}):
        raise SpecError(f"{where}: new column {', '.join(clash)} has a name that is taken", hint="declare it under another name with of:")
    # Nested columns cannot be kept as they are: they are left out, and Found.columns tells them as "other".
    return [Taken(name, name, kind) for name in new if (kind := columns[name]) in MADE_OF]  # type: ignore[arg-type]

"""Sources that are not as declared: the job as it is meant for what is there now, and what changed since the version before."""

from __future__ import annotations

from collections.abc import Mapping

from mlray.errors import SpecError
from mlray.ingest.spec import IngestJob
from mlray.sources.base import Column, SourceBase
from mlray.sources.piece import Found
from mlray.sources.shape import shape
from mlray.vault.version import Json, Manifest, short


def settle(job: IngestJob, founds: Mapping[str, Found]) -> IngestJob:
    """The job with the columns that are really there: kept new ones are declared, widened ones are floats.

    Sources that are put together get the same columns, whichever of them brought one. Raises SpecError where a rule refuses.
    """
    shapes = {name: _columns(source, founds[name]) for name, source in job.sources.items()}
    together = _together([shapes[name] for name in job.mains])
    _refuse_clashes(job, together)
    sources = {name: _with(source, shapes[name] | (together if name in job.mains else {})) for name, source in job.sources.items()}
    return job.model_copy(update={"sources": sources})


def evolution(job: IngestJob, founds: Mapping[str, Found], schema: Mapping[str, str], before: Manifest | None) -> dict[str, Json]:
    """What differs, by source from what is declared, and from the version before; `schema` is (column -> Arrow type) as sealed."""
    declared = {name: _differences(source, dict(founds[name].columns)) for name, source in job.sources.items()}
    since = _since(schema, before) if before else None
    return {"declared": {name: value for name, value in declared.items() if value}, "since": since}


def _columns(source: SourceBase, found: Found) -> dict[str, Column]:
    wanted = source.wanted
    taken = shape(source, dict(found.columns), found.where)
    return {
        t.here: wanted[t.here].model_copy(update={"type": t.kind}) if t.here in wanted else Column(type=t.kind, of=t.there) for t in taken
    }


def _together(mains: list[dict[str, Column]]) -> dict[str, Column]:
    """The columns of all main sources; the wider type counts. Raises SpecError when two bring one column in types that do not fit."""
    found: dict[str, Column] = {}
    for name, column in ((name, column) for columns in mains for name, column in columns.items()):
        before = found.setdefault(name, column)
        if before.type != column.type and {before.type, column.type} != {"int", "float"}:
            raise SpecError(f"main: column {name} is {before.type} in one source and {column.type} in another", hint="declare it in both")
        found[name] = before if before.type == "float" else before.model_copy(update={"type": column.type})
    return found


def _refuse_clashes(job: IngestJob, together: Mapping[str, Column]) -> None:
    new = set(together) - set(job.sources[job.mains[0]].columns)
    taken = set(job.columns) | ({job.label.name} if job.label else set())
    if clash := sorted(new & taken):
        raise SpecError(
            f"main: the new column {', '.join(clash)} has the name of one that is joined or made", hint="declare it under another name"
        )


def _with(source: SourceBase, columns: Mapping[str, Column]) -> SourceBase:
    """A column that another source brought is missing here; what this source itself lacks was judged when it was found."""
    own = source.wanted
    merged = {name: own[name].model_copy(update={"type": c.type}) if name in own else c for name, c in columns.items()}
    foreign = {"on_missing_column": "null"} if len(merged) > len(own) else {}
    return source.model_copy(update={"columns": merged, **foreign})


def _differences(source: SourceBase, there: Mapping[str, str]) -> dict[str, Json]:
    new = sorted(name for name in there if name not in source.renamed)
    wider = sorted(n for n, c in source.wanted.items() if c.type == "int" and there.get(c.of or n) == "float")
    missing = sorted(here for name, here in source.renamed.items() if name not in there)
    found = {"added" if source.on_new_column == "keep" else "left_out": new, "widened": wider, "missing": missing}
    return {what: list[Json](names) for what, names in found.items() if names}


def _since(schema: Mapping[str, str], before: Manifest) -> dict[str, Json]:
    old = dict(before.schema)
    changed: dict[str, Json] = {name: [old[name], kind] for name, kind in schema.items() if name in old and old[name] != kind}
    added, dropped = (sorted(a.keys() - b.keys()) for a, b in ((schema, old), (old, schema)))
    return {"version": short(before.name, before.digest), "added": list[Json](added), "dropped": list[Json](dropped), "changed": changed}

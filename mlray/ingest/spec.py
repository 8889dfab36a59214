"""IngestJob: sources, joins, checks, protection and splits of one dataset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from mlray.ingest import personal, protection, rules, splits, stream
from mlray.ingest.blend import Duplicates, Join, Late
from mlray.ingest.protection import Class, Protect, Protection
from mlray.ingest.rules import Check
from mlray.ingest.splits import Leakage, Split, TimeSplit
from mlray.ingest.stream import Follow
from mlray.policy.job import NAME, JobSpec
from mlray.sources.spec import ColumnType, Source
from mlray.sources.streams import StreamSource
from mlray.spec import Misplaced, Spec
from mlray.units import Duration, Memory


class Label(Spec):
    """What is to be predicted: whether a number is above a bound."""

    name: str = Field(description="Name of the new column: 1 above the bound, else 0.")
    column: str = Field(description="The numeric column it is made from.")
    above: float = Field(description="The bound.")


class IngestJob(JobSpec):
    """Raw rows to one sealed dataset version."""

    kind: Literal["ingest"] = Field(description="Always `ingest`.")
    dataset: str = Field(pattern=NAME, description="Name of the dataset.")
    sources: dict[str, Source] = Field(min_length=1, description="The tables to read, by name.")
    main: str | tuple[str, ...] = Field(
        min_length=1, description="The source whose rows become the dataset's, or several with the same columns, one after the other."
    )
    joins: tuple[Join, ...] = Field((), description="What is added to each row, in order.")
    duplicates: Duplicates | None = Field(None, description="What happens to rows of the main sources that repeat a key.")
    late: Late | None = Field(None, description="What happens to rows older than what the version before had seen.")
    follow: Follow | None = Field(None, description="Reads the main source, a stream, in batches; each becomes a version.")
    checks: tuple[Check, ...] = Field((), description="Rules on each row and on the whole version, in order.")
    label: Label | None = Field(None, description="What is to be predicted.")
    outcome: tuple[str, ...] = Field(
        (), description="Columns known only after the fact: checks and label may use them; they are never sealed."
    )
    classes: dict[str, Class] = Field({}, description="What columns are: public, internal, personal (encrypted) or secret (encrypted).")
    looks_personal: Literal["refuse", "warn", "ignore"] = Field(
        "refuse", description="What happens when a column that is neither classified nor protected looks as if it told about people."
    )
    subject: str | None = Field(None, description="Column that says whose data a row is, for `mlray data erase`.")
    keep: Duration | None = Field(None, description="How long a version may be kept; `mlray data prune` destroys its keys after that.")
    protect: dict[str, Protect] = Field({}, description="What happens to a column, where its class does not say it.")
    split: Split = Field(description="How rows are divided into splits.")
    leakage: Leakage | None = Field(None, description="What must not be on both sides of the split, nor give the label away.")
    report: Literal["full", "none"] = Field("full", description="Whether statistics of the sealed columns are kept with the version.")
    rows_per_part: int = Field(65536, ge=1024, description="Rows of the main source read, refined and sealed as one block.")
    compression: Literal["zstd", "lz4", "snappy", "none"] = Field("zstd", description="How the columns of sealed parts are packed.")
    broadcast_most: Memory = Field(
        Memory.parse("1GiB"), description="A joined source up to this size goes to every node whole; a larger one is shuffled."
    )

    @property
    def mains(self) -> tuple[str, ...]:
        """The sources whose rows become the dataset's, in order."""
        return (self.main,) if isinstance(self.main, str) else self.main

    @property
    def columns(self) -> dict[str, ColumnType]:
        """Every column a row has after the joins, with its type, in order."""
        found = dict(self.sources[self.mains[0]].types)
        for join in self.joins:
            found |= {here: self.sources[join.source].types[there] for there, here in join.taken.items()}
        return found

    @property
    def protection(self) -> dict[str, Protection]:
        """What happens to each sealed column that is not sealed as it is."""
        wanted = protection.resolve(self.classes, self.protect)
        return {column: how for column, how in wanted.items() if column not in self.outcome}

    @property
    def unclear(self) -> tuple[str, ...]:
        """Sealed columns that nobody classified or protected."""
        known = {*self.outcome, *self.classes, *self.protect}
        return tuple(column for column in self.columns if column not in known)

    @property
    def sealed(self) -> dict[str, str]:
        """The type of each column of a sealed split as it was before protection, with the label."""
        protected = self.protection
        kept: dict[str, str] = {
            c: kind for c, kind in self.columns.items() if c not in self.outcome and not isinstance(protected.get(c), protection.Drop)
        }
        return kept | ({self.label.name: "bool"} if self.label else {})

    @model_validator(mode="after")
    def _sources_are_there(self) -> IngestJob:
        if missing := [name for name in self.mains if name not in self.sources]:
            raise ValueError(f"main {', '.join(missing)!r} is none of the sources {', '.join(self.sources)}")
        known = dict(self.sources[self.mains[0]].types)
        for name in self.mains[1:]:
            if dict(self.sources[name].types) != known:
                raise ValueError(f"main: {name} and {self.mains[0]} are put together, so they must declare the same columns and types")
        if len(set(self.mains)) < len(self.mains):
            raise ValueError(f"main: {', '.join(self.mains)}: a source is named twice")
        for join in self.joins:
            if join.source not in self.sources or join.source in self.mains:
                raise ValueError(f"joins: {join.source!r} is no other source; sources are {', '.join(self.sources)}")
            there = dict(self.sources[join.source].types)
            _refuse([c for c in (*join.whole_key, *join.taken) if c not in there], f"joins: {join.source} does not declare")
            _refuse([c for c in join.whole_key.values() if c not in known], f"joins: {join.source} is joined before there is")
            _refuse([c for c in join.taken.values() if c in known], f"joins: {join.source} would overwrite")
            _refuse([a for a, b in join.whole_key.items() if there[a] != known[b]], f"joins: {join.source} has another type of")
            if join.as_of:
                _refuse(
                    [c for c in (join.as_of.there,) if there[c] != "timestamp"], f"joins: as_of of {join.source} needs a timestamp, not"
                )
            known |= {here: there[name] for name, here in join.taken.items()}
        return self

    @model_validator(mode="after")
    def _blend_fits(self) -> IngestJob:
        own = dict(self.sources[self.mains[0]].types)
        if self.duplicates:
            _refuse([c for c in self.duplicates.key if c not in own], "duplicates: the main source does not declare")
        if self.late and own.get(self.late.column) != "timestamp":
            raise ValueError(f"late.column {self.late.column!r} is no timestamp column of the main source")
        return self

    def _uses(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Every column that a field names, and where it names it."""
        yield from ((("checks", number, "column"), column) for number, check in enumerate(self.checks) for column in check.uses)
        yield from ((("outcome", number), column) for number, column in enumerate(self.outcome))
        yield from (
            ((field, column), column) for field, named in (("protect", self.protect), ("classes", self.classes)) for column in named
        )
        if self.label:
            yield ("label", "column"), self.label.column
        if self.subject:
            yield ("subject",), self.subject
        if self.leakage:
            yield from ((("leakage",), column) for column in (*self.leakage.key, *self.leakage.features))
        yield from ((("split",), column) for column in self.split.uses if not (self.label and column == self.label.name))

    @model_validator(mode="after")
    def _columns_are_there(self) -> IngestJob:
        known = self.columns
        for at, column in self._uses():
            if column not in known:
                raise Misplaced(f"no source brings the column {column}; there are {', '.join(sorted(known))}", *at)
        _refuse([c for c in known if c.startswith("_")], "names that begin with _ are mlray's own:")
        return self

    @model_validator(mode="after")
    def _checks_fit(self) -> IngestJob:
        known = self.columns
        if self.label and (known[self.label.column] not in rules.NUMBERS or self.label.name in known):
            raise ValueError(f"label: {self.label.name!r} must be a new name, and {self.label.column!r} a number")
        for why in filter(None, (rules.misfit(check, known) for check in self.checks)):
            raise ValueError(f"checks: {why}")
        drifting = [check.column for check in self.checks if isinstance(check, rules.Drift)]
        _refuse([c for c in drifting if c not in self.sealed or c in self.protection], "checks: drift needs a column sealed as it is, not")
        _refuse(
            [c.column for c in self.checks if isinstance(c, rules.Fresh) and c.column in self.protection],
            "checks: fresh keeps the newest value, so not of",
        )
        if drifting and self.report == "none":
            raise ValueError("checks: drift compares reports of versions, so report must be full")
        return self

    @model_validator(mode="after")
    def _protection_fits(self) -> IngestJob:
        known, protected = self.columns, self.protection
        _refuse([c for c in self.protect if c in self.outcome], "outcome columns are never sealed, so need no protection:")
        for why in filter(None, (protection.misfit(column, how, known[column]) for column, how in protected.items())):
            raise ValueError(why)
        hidden = (protection.Encrypt, protection.Pseudonymise, protection.Drop)
        if self.subject and self.subject not in self.outcome and not isinstance(protected.get(self.subject), hidden):
            raise ValueError(f"subject {self.subject!r} names people, so it must be encrypted, pseudonymised or dropped under protect")
        if self.subject and not any(isinstance(how, protection.Encrypt) for how in protected.values()):
            raise ValueError("subject: no column is encrypted, so an erasure would destroy nothing; write classes or protect")
        if self.looks_personal == "refuse" and (found := [c for c in self.unclear if personal.by_name(c, known[c])]):
            there = [("sources", name, "columns", found[0]) for name in self.sources if found[0] in self.sources[name].types]
            at = next(iter(there), ("joins",))
            raise Misplaced(f"{personal.complaint(found)}; {personal.HINT % found[0]}", *at)
        return self

    @model_validator(mode="after")
    def _split_fits(self) -> IngestJob:
        kinds = dict(self.columns) | ({self.label.name: "bool"} if self.label else {})
        if why := splits.misfit(self.split, kinds):
            raise ValueError(why)
        if isinstance(self.split, TimeSplit) and self.split.column in (*self.outcome, *self.protection):
            raise ValueError(f"split.column {self.split.column!r} is an outcome or protected, so it would not be kept as it is")
        if self.leakage and self.split.by == "none" and (self.leakage.key or self.leakage.near):
            raise ValueError("leakage: with split none there is only one side")
        return self

    @model_validator(mode="after")
    def _follow_fits(self) -> IngestJob:
        if not self.follow:
            return self
        main = self.sources[self.mains[0]]
        if len(self.mains) > 1 or not isinstance(main, StreamSource):
            raise ValueError("follow: main must be one source of format kafka or kinesis")
        if main.fresh_within:
            raise ValueError(f"follow: a stream is read as it comes; drop fresh_within from {self.mains[0]}")
        rows = [name for name, there in {"duplicates": self.duplicates, "late": self.late, "leakage": self.leakage}.items() if there]
        _refuse(rows, "follow: batches are judged one by one, so write follow.watermark and checks of rows instead of")
        _refuse(
            [check.rule for check in rules.by_version(self.checks)], "follow: a rule on a whole version cannot be judged batch by batch:"
        )
        told = (protection.Pseudonymise, protection.Generalise)  # what may be seen by anybody who reads the rest
        hidden = {column: not isinstance(how, told) for column, how in self.protection.items()}
        if why := stream.misfit(self.follow, dict(main.types), _as_sealed(self), hidden):
            raise ValueError(f"follow: {why}")
        return self


def _as_sealed(job: IngestJob) -> dict[str, str]:
    """Column -> type after protection: what is pseudonymised is text, and what is generalised may have become it."""
    changed = {column for column, how in job.protection.items() if isinstance(how, protection.Pseudonymise | protection.Generalise)}
    return {column: "text" if column in changed else kind for column, kind in job.sealed.items()}


def _refuse(columns: list[str], why: str) -> None:
    if columns:
        raise ValueError(f"{why} {', '.join(columns)}")

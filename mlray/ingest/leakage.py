"""What a model would be told that it could not know: rows on both sides of a split, and columns that give the label away.

Each block gives keyed hashes and small counts; only these travel. Of more than a million hashes in a split, those are kept
whose lowest bits are zero: the same ones on every side, so what is on both is still found, and counted by the share that was
kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlray.ingest import histogram
from mlray.ingest.hashes import GOLDEN, Hashes, hashed, hashes, mix, pack, secret_key, unpack, whole
from mlray.ingest.histogram import Histogram
from mlray.ingest.rules import fraction
from mlray.ingest.spec import IngestJob
from mlray.ingest.splits import Leakage
from mlray.vault.keyring import DataKey

KEY, NEAR, PREDICTS = "key", "near", "predicts"
SAID = {KEY: "keys", NEAR: "nearly equal rows"}
MOST = 1 << 20  # hashes of a split that are kept
SAMPLE = 8192  # rows of a block by which a column is judged
BUCKETS = 256  # into which texts are counted
FEWEST = 20  # rows of each label below which nothing is said about a column
DIGITS = 1024.0  # steps of a number between two powers of two: about three digits
Counts = NDArray[np.float64]


def of(rows: pa.Table, splits: Mapping[str, Any], job: IngestJob, rule: Leakage, key: DataKey) -> dict[str, Any]:
    """Of one block: `rows` as the checks saw them, `splits` which of them (a mask) are in which split."""
    found: dict[str, Any] = {}
    if rule.key:
        columns = [rows[column] for column in rule.key]
        found[KEY] = _sides(hashes(columns, secret_key(key, KEY)), whole(columns), splits)
    wanted = features(job, rule)
    if rule.near and wanted:
        columns = [rows[column] for column in wanted]
        there = ~np.logical_and.reduce([column.is_null().to_numpy() for column in columns])
        found[NEAR] = _sides(near_hashes(columns, secret_key(key, NEAR)), there, splits)
    if job.label:
        step = -(-rows.num_rows // SAMPLE)
        sample = rows.take(pa.array(np.arange(0, rows.num_rows, step or 1)))
        plain = [column for column in wanted if column not in job.protection]  # of a protected one no histogram may be kept
        found[PREDICTS] = {column: _told(sample[column], sample[job.label.name], secret_key(key, column)) for column in plain}
    return found


def features(job: IngestJob, rule: Leakage) -> tuple[str, ...]:
    """Those named; else every column that is sealed as it is and says more than when."""
    if rule.features:
        return rule.features
    label = job.label.name if job.label else ""
    open_ = [column for column in job.sealed if column not in job.protection and column not in (label, *rule.key)]
    return tuple(column for column in open_ if job.sealed[column] in ("int", "float", "text", "bool"))


def near_hashes(columns: list[pa.ChunkedArray], key: str) -> Hashes:
    """One hash a row, the same for rows whose numbers agree in about three digits and whose texts differ by case and spaces alone."""
    found = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        found = mix(found + GOLDEN) ^ hashed(_rounded(column), key)
    return found


@dataclass
class Marks:
    """Hashes by split, as they come; never more than twice `MOST` of one."""

    level: int = 0  # of the hashes seen, those are kept whose lowest bits, so many, are zero
    held: dict[str, list[Hashes]] = field(default_factory=dict)
    size: dict[str, int] = field(default_factory=dict)

    def add(self, found: Mapping[str, str]) -> None:
        for split, text in found.items():
            new = self._kept(unpack(text))
            self.held.setdefault(split, []).append(new)
            self.size[split] = self.size.get(split, 0) + len(new)
            if self.size[split] > 2 * MOST:
                self._settle(split)

    def sides(self) -> dict[str, Hashes]:
        for split in self.held:
            self._settle(split)
        return {split: self._kept(found[0]) for split, found in self.held.items()}

    def _kept(self, found: Hashes) -> Hashes:
        return found[found & np.uint64((1 << self.level) - 1) == 0] if self.level else found

    def _settle(self, split: str) -> None:
        found = self._kept(np.unique(np.concatenate(self.held[split])))
        while len(found) > MOST:
            self.level += 1
            found = self._kept(found)
        self.held[split], self.size[split] = [found], len(found)


@dataclass
class Leaks:
    """What all blocks came to."""

    marks: dict[str, Marks] = field(default_factory=lambda: {KEY: Marks(), NEAR: Marks()})
    told: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, found: Mapping[str, Any]) -> None:
        for kind in self.marks:
            self.marks[kind].add(found.get(kind, {}))
        for column, counts in found.get(PREDICTS, {}).items():
            self.told[column] = _merged(self.told[column], counts) if column in self.told else counts


def leaks(rule: Leakage, found: Leaks) -> Iterator[str]:
    """One sentence for each leak."""
    for kind, marks in found.marks.items():
        what = f"{SAID[kind]} ({', '.join(rule.key)})" if kind == KEY else SAID[kind]
        yield from _both_sides(what, marks, fraction(rule.most))
    for column, counts in found.told.items():
        if (strength := tells(counts)) > rule.predicts:
            yield f"leakage: {column} alone tells the label ({strength:.3f} of 1, at most {rule.predicts:g})"


def tells(counts: Mapping[str, Any]) -> float:
    """How well a column alone tells the label, 0 to 1: the larger of its AUC (numbers) and its share of the label's information."""
    nulls = np.array(counts["nulls"], float)
    if counts["kind"] == "number":
        no, yes = histogram.align(*(Histogram.from_json(side) for side in counts["sides"]))
    else:
        no, yes = np.array(counts["sides"], float)
    if min(no.sum() + nulls[0], yes.sum() + nulls[1]) < FEWEST:
        return 0.0
    informed = information(np.append(no, nulls[0]), np.append(yes, nulls[1]))
    enough = counts["kind"] == "number" and min(no.sum(), yes.sum()) >= FEWEST
    return max(informed, area(no, yes)) if enough else informed


def area(no: Counts, yes: Counts) -> float:
    """Area under the ROC curve of the bins in their order or its reverse, whichever is larger; a bin shared counts half."""
    below = np.cumsum(no) - no
    share = float((yes * (below + no / 2)).sum() / (no.sum() * yes.sum()))
    return max(share, 1 - share)


def information(no: Counts, yes: Counts) -> float:
    """Mutual information of bin and label over the label's entropy, less what as many bins tell by chance (Miller and Madow)."""
    table = np.stack([no, yes])
    table = table[:, table.sum(axis=0) > 0]
    total = table.sum()
    share, expected = table / total, np.outer(table.sum(axis=1), table.sum(axis=0)) / total**2
    told = float((share * np.log(np.where(share > 0, share / expected, 1))).sum())
    label = table.sum(axis=1) / total
    entropy = float(-(label * np.log(label)).sum())
    return max(0.0, told - float((table.shape[1] - 1) / (2 * total))) / entropy


def _both_sides(what: str, marks: Marks, most: float) -> Iterator[str]:
    """The pair of splits that shares the most, if that is too much."""
    sides = marks.sides()
    pairs = [(one, two, len(np.intersect1d(sides[one], sides[two], assume_unique=True))) for one, two in combinations(sides, 2)]
    shares = [(shared / min(len(sides[one]), len(sides[two])), one, two, shared) for one, two, shared in pairs if shared]
    if shares and max(shares)[0] > most:
        share, one, two, shared = max(shares)
        about = "about " if marks.level else ""
        yield f"leakage: {about}{shared << marks.level:,} {what} are in both {one} and {two} ({share:.2%}, at most {most:.2%})"


def _sides(found: Hashes, there: NDArray[np.bool_], splits: Mapping[str, Any]) -> dict[str, str]:
    return {split: pack(np.unique(found[mask & there])) for split, mask in splits.items()}


def _rounded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_string(column.type):
        coded = column.combine_chunks().dictionary_encode()
        plain = pc.replace_substring_regex(pc.utf8_lower(pc.utf8_trim_whitespace(coded.dictionary)), r"\s+", " ")
        return pa.chunked_array([plain.take(coded.indices)])
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return column
    parts, powers = np.frexp(pc.fill_null(column.cast(pa.float64(), safe=False), 0.0).to_numpy())
    return pa.chunked_array([np.ldexp(np.round(parts * DIGITS), powers)])


def _told(column: pa.ChunkedArray, label: pa.ChunkedArray, key: str) -> dict[str, Any]:
    """The column's values by label: two histograms, or counts in buckets of their hashes, and the missing ones of each."""
    yes = pc.fill_null(label, -1).to_numpy()
    there = column.is_valid().to_numpy()
    nulls = [int(((yes == side) & ~there).sum()) for side in (0, 1)]
    if pa.types.is_string(column.type) or pa.types.is_boolean(column.type):
        bucket = (hashed(column, key) % np.uint64(BUCKETS)).astype(np.int64)
        sides: Any = [np.bincount(bucket[(yes == side) & there], minlength=BUCKETS).tolist() for side in (0, 1)]
        return {"kind": "text", "nulls": nulls, "sides": sides}
    plain = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    numbers = pc.fill_null(plain.cast(pa.float64(), safe=False), 0.0).to_numpy()
    finite = there & np.isfinite(numbers)
    sides = [histogram.of(numbers[(yes == side) & finite]).to_json() for side in (0, 1)]
    return {"kind": "number", "nulls": nulls, "sides": sides}


def _merged(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    nulls = [a + b for a, b in zip(left["nulls"], right["nulls"], strict=True)]
    pairs = zip(left["sides"], right["sides"], strict=True)
    if left["kind"] == "number":
        sides: Any = [histogram.merge([Histogram.from_json(side) for side in pair]).to_json() for pair in pairs]
    else:
        sides = [[a + b for a, b in zip(*pair, strict=True)] for pair in pairs]
    return {"kind": left["kind"], "nulls": nulls, "sides": sides}

"""A dataset about people: what its job calls personal or secret is in clear nowhere, and no statistic of it is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlray.vault.store import VaultAddress
from tests.scenarios.plaintext import Watch, files, needles, search
from tests.scenarios.shell import Shell

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
ROWS = 3000
PERSON, EMAIL, ILLNESS, TOWN = "Qzvperson", "qzvmail", "Qzvillness", "Qzvtown"  # each value begins with one of these words
HIDDEN = needles(PERSON, EMAIL, ILLNESS)
JOB = """kind: ingest
name: flights-people
policy: ../../policies/flights.yaml
budget: $0.05
dataset: people
sources:
  visits:
    uri: ../../visits.csv
    format: csv
    columns: {at: timestamp, who: text, email: text, illness: text, town: text, amount: float}
main: visits
checks:
  - {rule: not_null, column: amount, reason: no amount}
  - {rule: matches, column: email, pattern: "[a-z0-9]+@.*", reason: no address, on_fail: warn}
  - {rule: null_share, column: illness, most: 10%}
classes: {at: internal, who: personal, email: personal, illness: secret, town: public, amount: internal}
subject: who
split: {by: group, key: who}
rows_per_part: 1024
"""


@dataclass(frozen=True)
class Sealed:
    """The version that was made, and what its report says. `seen` are plain values that were on disk meanwhile."""

    facts: dict[str, Any]
    seen: dict[str, set[str]]


def lines() -> Iterator[str]:
    """Visits of 300 people; every hundredth has no amount, and one has no address."""
    yield "at,who,email,illness,town,amount"
    for i in range(ROWS):
        at, email = datetime(2025, 1, 1) + timedelta(hours=i), f"{EMAIL}{i % 300}@example.org" if i != 77 else EMAIL.upper()
        yield f"{at:%Y-%m-%dT%H:%M:%SZ},{PERSON}{i % 300},{email},{ILLNESS}{i % 9},{TOWN}{i % 4},{i % 90 if i % 100 else ''}"


@pytest.fixture(scope="module")
def people(shell: Shell, cluster: dict[str, str]) -> Sealed:
    (shell.folder / "visits.csv").write_text("\n".join(lines()) + "\n")
    (shell.folder / "jobs" / "flights" / "people.yaml").write_text(JOB)
    with Watch(shell.roots, HIDDEN) as watch:
        facts = shell.json("ingest", "jobs/flights/people.yaml")
    return Sealed(facts, watch.hits)


def test_every_row_is_sealed_or_rejected(people: Sealed):
    assert (people.facts["rows_read"], people.facts["rows_kept"]) == (ROWS, ROWS - ROWS // 100)


def test_no_hidden_value_is_on_disk_while_or_after_it_is_ingested(people: Sealed, shell: Shell):
    assert search(shell.folder, wanted=HIDDEN).keys() == {str(shell.folder / "visits.csv")}, (
        "the search finds what was ingested, and nothing else"
    )
    assert people.seen == {} and search(*shell.roots, wanted=HIDDEN) == {}
    looked = {path.suffix for path in files(*shell.roots)}
    assert {".parquet", ".json", ".log", ".out"} <= looked


def test_who_holds_the_keys_reads_them(people: Sealed, shell: Shell):
    vault = VaultAddress(shell.home.store, str(shell.home.keyring)).open()
    version = vault.find_dataset("people")
    for split in version.manifest.splits:
        if split in ("train", "validation", "test", "rejected"):
            row = vault.read(version, split, ["who", "email", "illness", "town"]).slice(0, 1).to_pylist()[0]
            assert [row[name].rstrip("0123456789") for name in ("who", "illness", "town")] == [PERSON, ILLNESS, TOWN]
            assert row["email"].startswith(EMAIL)


@pytest.mark.parametrize("words", [("show",), ("report",), ("report", "--json"), ("verify",), ("lineage",), ("list",)], ids=" ".join)
def test_what_is_told_of_the_version_names_no_hidden_value(words: tuple[str, ...], people: Sealed, shell: Shell):
    said = shell.mlray("data", words[0], *(("people",) if words[0] != "list" else ()), *words[1:])
    assert said.code == 0 and not any(word in said.out + said.err for word in (PERSON, EMAIL, ILLNESS)), said
    assert words != ("report",) or TOWN in said.out, "a public column's values are told"


def test_its_page_for_browsers_names_none_either(people: Sealed, shell: Shell, tmp_path: Path):
    assert shell.mlray("data", "report", "people", "--html", str(tmp_path / "report.html")).code == 0
    page = (tmp_path / "report.html").read_text()
    assert TOWN in page and "illness" in page and not any(word in page for word in (PERSON, EMAIL, ILLNESS))

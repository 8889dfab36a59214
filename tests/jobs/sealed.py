"""A home with versions whose persons can be erased, versions whose cannot, a model, a secret and an unfinished draft."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from mlray.home import Home
from mlray.jobs.certificates import vault_of
from mlray.vault.by_subject import Subjects
from mlray.vault.secrets import Secrets
from mlray.vault.store import Vault
from mlray.vault.version import DatasetVersion, Json, Lineage

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PEOPLE = ["ada", "bob", "eve", "ada", "kim", None]
TABLE = pa.table({"person": PEOPLE, "diagnosis": [f"case-{i}" for i in range(6)], "age": pa.array(range(30, 36), pa.int64())})
BY_SUBJECT: dict[str, Json] = {"subject": {"column": "person", "sealed": ["person", "diagnosis"]}}


def patients(home: Home, digest: str = "aa", by_subject: bool = True, keep: str | None = None, name: str = "patients") -> DatasetVersion:
    """One version; its persons' columns are sealed by subject, or as they are."""
    vault = first(home)
    draft = vault.draft_dataset(name, digest * 32)
    if by_subject:
        whose = Subjects(pa.chunked_array([PEOPLE], pa.string()), vault.subject_keys(name))
        part = vault.write_part(draft, "train-0", "train", TABLE, {"person": "personal", "diagnosis": "personal"}, whose)
    else:
        part = vault.write_part(draft, "train-0", "train", TABLE)
    about: dict[str, Json] = {**(BY_SUBJECT if by_subject else {}), "keep": keep}
    return vault.commit_dataset(draft, [part], schema=TABLE.schema, lineage=(("spec", digest),), about=about)


def everything(home: Home) -> Vault:
    """Something of each kind that a master key wraps."""
    version = patients(home)
    lineage: Lineage = ((f"dataset:{version.name}", version.digest),)
    vault_of(home).commit_model("risk", {"card.json": b"{}", "model.ubj": b"trees" * 1000}, {}, lineage)
    vault_of(home).draft_dataset("patients", "dd" * 32)
    Secrets(vault_of(home)).set("warehouse", "p4ss")
    return vault_of(home)


def first(home: Home) -> Vault:
    vault = vault_of(home.prepare())
    vault.make_keyring()
    return vault

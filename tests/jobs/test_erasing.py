"""A person who was erased cannot be read again, nobody else is touched, and what could not be reached is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mlray.access.audit_store import AuditStore
from mlray.errors import KeyringError, StoreError
from mlray.home import Home
from mlray.ingest.protect import pseudonyms
from mlray.jobs import erasing
from mlray.jobs.certificates import vault_of
from mlray.vault.version import DatasetVersion
from tests.jobs.sealed import NOON, PEOPLE, TABLE, first, patients

ROOT = Path(__file__).parents[2]


def diagnoses(home: Home, version: DatasetVersion) -> list[str | None]:
    found: list[str | None] = vault_of(home).read(version, "train", ["diagnosis"])["diagnosis"].to_pylist()
    return found


def deeds(home: Home, did: str) -> list[dict[str, object]]:
    AuditStore(home.database).verify()
    return [dict(entry.deed.facts) for entry in AuditStore(home.database).entries() if entry.deed.did == did]


def test_one_person_goes_from_every_version_and_the_others_stay(home: Home):
    versions = [patients(home, "aa"), patients(home, "bb")]
    done = erasing.erase(home, "patients", "ada")
    assert done.whole and not done.again and done.unreached == ()
    for version in versions:
        assert diagnoses(home, version) == [None, "case-1", "case-2", None, "case-4", "case-5"]
        vault_of(home).verify(version)


def test_the_certificate_names_the_state_and_not_the_person(home: Home):
    patients(home)
    done = erasing.erase(home, "patients", "kim")
    (facts,) = deeds(home, "erase")
    assert facts["subject"] == done.subject == vault_of(home).subject_keys("patients").pseudonym("kim")
    assert facts["before"] != facts["after"] and len(str(facts["before"])) == len(str(facts["after"])) == 64
    entry = AuditStore(home.database).entries()[-1]
    assert done.certificate == str(entry.head) and "kim" not in entry.body and entry.deed.who


def test_erasing_twice_changes_nothing_and_is_certified_once(home: Home):
    version = patients(home)
    one, two = erasing.erase(home, "patients", "ada"), erasing.erase(home, "patients", "ada")
    assert (one.certificate, one.again, two.certificate, two.again) == (one.certificate, False, one.certificate, True)
    assert len(deeds(home, "erase")) == 1 and diagnoses(home, version)[1] == "case-1"


def test_the_older_state_is_gone_from_the_store(home: Home):
    patients(home)
    (before,) = (home.root / "store/datasets/patients/subjects").iterdir()
    held = before.read_bytes()
    erasing.erase(home, "patients", "ada")
    assert not before.exists()
    assert not [file for file in home.root.rglob("*") if file.is_file() and held[:200] in file.read_bytes()]


def test_an_older_state_put_back_is_noticed(home: Home):
    version = patients(home)
    (before,) = (home.root / "store/datasets/patients/subjects").iterdir()
    held = before.read_bytes()
    erasing.erase(home, "patients", "ada")
    for file in (home.root / "store/datasets/patients/subjects").iterdir():
        file.unlink()
    before.write_bytes(held)
    with pytest.raises(Exception, match="rolled back"):
        diagnoses(home, version)


def test_versions_that_hold_the_person_in_another_way_are_named(home: Home):
    patients(home, "aa")
    plain = patients(home, "bb", by_subject=False)
    done = erasing.erase(home, "patients", "ada")
    assert not done.whole and [(found.version, found.rows) for found in done.unreached] == [(str(plain), 2)]
    assert deeds(home, "erase")[0]["unreached"] == [str(plain)]
    assert erasing.erase(home, "patients", "nobody").whole


def test_a_pseudonym_of_the_person_is_found_too(home: Home):
    patients(home, "aa")
    vault = first(home)
    column = pseudonyms(TABLE["person"], vault.keyring.pseudonym_key("patients/person"))
    table = TABLE.set_column(0, "person", column)
    draft = vault.draft_dataset("patients", "bb" * 32)
    about = {"protection": {"person": {"how": "pseudonymise"}}}
    vault.commit_dataset(draft, [vault.write_part(draft, "train-0", "train", table)], schema=table.schema, lineage=(), about=about)  # type: ignore[arg-type]
    assert [found.rows for found in erasing.erase(home, "patients", "ada").unreached] == [2]


def test_without_a_known_column_every_version_is_named(home: Home):
    version = patients(home, by_subject=False)
    (found,) = erasing.erase(home, "patients", "ada").unreached
    assert (found.version, found.rows, found.why) == (str(version), None, "it does not say whose rows are whose")


def test_versions_that_cannot_forget_are_destroyed_when_asked(home: Home):
    sealed, plain = patients(home, "aa"), patients(home, "bb", by_subject=False)
    done = erasing.erase(home, "patients", "ada", also_destroy_versions=True)
    assert done.whole and done.destroyed == (str(plain),)
    with pytest.raises(StoreError, match="no such dataset version"):
        vault_of(home).find_dataset("patients", "bb")
    assert diagnoses(home, sealed)[1] == "case-1"
    assert [facts["why"] for facts in deeds(home, "destroy")] == [f"it holds the erased subject {done.subject}"]


def test_models_that_were_trained_on_the_dataset_are_named(home: Home):
    version = patients(home)
    model = vault_of(home).commit_model("risk", {"a": b""}, {}, ((f"dataset:{version.name}", version.digest),))
    assert erasing.erase(home, "patients", "ada").models == (str(model),)


def test_an_erased_person_who_comes_again_is_not_sealed(home: Home):
    patients(home, "aa")
    erasing.erase(home, "patients", "ada")
    assert diagnoses(home, patients(home, "bb"))[0] is None


def test_an_unknown_dataset_is_refused_and_no_state_is_made(home: Home):
    patients(home)
    with pytest.raises(StoreError, match="no dataset named 'flights'") as refused:
        erasing.erase(home, "flights", "ada")
    assert refused.value.hint == "there are patients" and not (home.root / "store/datasets/flights").exists()


ERASE = """
import os, signal, sys
from mlray.home import Home
from mlray.jobs import erasing
from mlray.access import audit
if sys.argv[1] == "before the certificate":
    audit.follow = lambda *given: os.kill(os.getpid(), signal.SIGKILL)
erasing.erase(Home.locate(), "patients", "ada")
"""


def test_an_erasure_killed_before_its_certificate_is_certified_by_the_next(home: Home):
    version = patients(home)
    command = [sys.executable, "-c", ERASE, "before the certificate"]
    assert subprocess.run(command, cwd=ROOT, env=os.environ | home.environment(), timeout=120).returncode == -signal.SIGKILL
    assert diagnoses(home, version)[0] is None or diagnoses(home, version)[0] == "case-0"
    assert deeds(home, "erase") == []
    erasing.erase(home, "patients", "ada")
    assert len(deeds(home, "erase")) == 1 and diagnoses(home, version) == [None, "case-1", "case-2", None, "case-4", "case-5"]


def test_erasures_at_once_all_hold(home: Home):
    version = patients(home)
    script = (
        "import sys; from mlray.home import Home; from mlray.jobs import erasing; erasing.erase(Home.locate(), 'patients', sys.argv[1])"
    )
    names = sorted({name for name in PEOPLE if name})
    running = [subprocess.Popen([sys.executable, "-c", script, name], cwd=ROOT, env=os.environ | home.environment()) for name in names]
    assert [process.wait(120) for process in running] == [0] * len(names)
    assert diagnoses(home, version) == [None] * 5 + ["case-5"]
    assert len(deeds(home, "erase")) == len(names)


def later(days: float) -> datetime:
    return datetime.now(NOON.tzinfo) + timedelta(days=days)


def test_a_version_past_its_time_loses_its_keys_and_its_files(home: Home):
    old, other = patients(home, "aa", keep="90d"), patients(home, "bb")
    assert not [fate for fate in erasing.prune(home, later(89)) if fate.destroyed]
    key = (home.root / f"store/datasets/patients/{old.digest}/key.json").read_bytes()
    fates = erasing.prune(home, later(91))
    assert [(str(fate.standing), fate.destroyed) for fate in fates] == [(str(old), True), (str(other), False)]
    assert not (home.root / f"store/datasets/patients/{old.digest}").exists()
    assert not [file for file in home.root.rglob("*") if file.is_file() and key[:200] in file.read_bytes()]
    assert diagnoses(home, other)[0] == "case-0"
    (facts,) = deeds(home, "destroy")
    assert (facts["why"], facts["rows"], facts["breaks"]) == ("it was to be kept 90d and is 91.0 days old", 6, [])


def test_retention_wins_over_a_tag_and_certifies_what_it_broke(home: Home):
    version = patients(home, keep="1d")
    vault_of(home).tag(version, "good")
    vault_of(home).commit_model("risk", {"a": b""}, {}, ((f"dataset:{version.name}", version.digest),))
    told = erasing.fates(home, later(2))
    assert [fate.destroyed for fate in told] == [True] and diagnoses(home, version)  # telling does nothing
    erasing.prune(home, later(2))
    broken = deeds(home, "destroy")[0]["breaks"]
    assert isinstance(broken, list) and broken[:2] == ["tag good", "latest"] and str(broken[2]).startswith("model risk@")
    with pytest.raises(StoreError, match="is no longer here"):
        vault_of(home).find_dataset("patients", "good")


def test_what_nothing_uses_goes_and_what_is_used_stays(home: Home):
    unused, used, latest = patients(home, "aa"), patients(home, "bb"), patients(home, "cc")
    vault_of(home).commit_model("risk", {"a": b""}, {}, ((f"dataset:{used.name}", used.digest),))
    erasing.prune(home, later(0), unused=True)
    assert [str(version) for version in vault_of(home).datasets()] == [str(used), str(latest)]
    assert len(deeds(home, "destroy")) == 1 and str(unused) not in map(str, vault_of(home).datasets())


def test_files_that_another_version_shares_stay_readable(home: Home):
    old = patients(home, "aa", keep="1d")
    vault = vault_of(home)
    draft = vault.draft_dataset("patients", "bb" * 32)
    shared = vault.share_part(draft, old.manifest.parts[0], old)
    young = vault.commit_dataset(draft, [shared], schema=TABLE.schema, lineage=(("spec", "bb"),))
    erasing.prune(home, later(2))
    assert diagnoses(home, young)[1] == "case-1"
    assert deeds(home, "destroy")[0]["shared"] == 1


PRUNE = """
import os, signal
from datetime import UTC, datetime, timedelta
from mlray.home import Home
from mlray.jobs import erasing
erasing._sweep = lambda *given: os.kill(os.getpid(), signal.SIGKILL)
erasing.prune(Home.locate(), datetime.now(UTC) + timedelta(days=2))
"""


def test_a_prune_killed_after_the_keys_were_destroyed_is_finished_by_the_next(home: Home):
    version, folder = patients(home, keep="1d"), home.root / "store/datasets/patients"
    killed = subprocess.run([sys.executable, "-c", PRUNE], cwd=ROOT, env=os.environ | home.environment(), timeout=120)
    assert killed.returncode == -signal.SIGKILL and list((folder / version.digest).rglob("*.parquet"))
    with pytest.raises(KeyringError, match="is gone"):
        diagnoses(home, version)
    erasing.prune(home, later(2))
    assert not (folder / version.digest).exists() and len(deeds(home, "destroy")) == 1

"""A thousand ways to harm a store, by seed: each is refused by name, and none is read as if nothing were.

What is harmed belongs to a version that was made twice: between the two it was pruned, so there are older parts, keys, manifests
and pointers, all of them signed, to put back. The reader has seen the newer ones.
"""

from __future__ import annotations

import io
import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlray.errors import MlrayError
from mlray.vault.by_subject import Subjects
from mlray.vault.store import Draft, Vault, VaultAddress
from mlray.vault.version import DatasetVersion, dataset_digest

MUTATIONS = 1000
TABLE = pa.table({"who": [f"p{i % 9}" for i in range(60)], "late": pa.array([0, 1] * 30, pa.int8())})
SPLITS = (("train-00000", "train"), ("train-00001", "train"), ("test-00000", "test"))
Files = dict[str, bytes]


@dataclass
class World:
    """A store, what lies in it now, and what lay in it before."""

    address: VaultAddress
    root: Path
    version: DatasetVersion
    other: DatasetVersion
    draft: Draft
    now: Files
    before: Files

    def put(self, files: Files) -> None:
        """Makes the store hold exactly these."""
        for path in self.root.rglob("*"):
            if path.is_file() and str(path.relative_to(self.root)) not in files:
                path.unlink()
        for name, data in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_bytes() != data:
                path.write_bytes(data)

    def parts(self, version: DatasetVersion | None = None) -> list[str]:
        return [f"datasets/flights/{part.file}" for part in (version or self.version).manifest.parts]

    def top(self, version: DatasetVersion | None = None) -> str:
        return f"datasets/flights/{(version or self.version).digest}"


def commit(vault: Vault, spec: str) -> DatasetVersion:
    lineage = (("spec", spec),)
    draft = vault.draft_dataset("flights", dataset_digest("flights", lineage))
    subjects = Subjects(TABLE["who"], vault.subject_keys("flights"))
    parts = [vault.write_part(draft, part, split, TABLE, {"who": "personal"}, subjects) for part, split in SPLITS]
    return vault.commit_dataset(draft, parts, schema=TABLE.schema, lineage=lineage, tags=["prod"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    home = tmp_path_factory.mktemp("home")
    address, root = VaultAddress(f"file://{home}/store", f"{home}/keyring.json"), home / "store"
    vault = address.open()
    vault.make_keyring()
    old = commit(vault, "s1")
    before = files(root)
    other = commit(vault, "s2")
    vault.prune(old)
    vault.subjects.change("flights", lambda state: state.erase("p8"))
    version = commit(vault, "s1")
    draft = vault.draft_dataset("flights", "d" * 64)
    for work in ("w1", "w2"):
        vault.receipt(draft, work, work.encode())
    assert version.digest == old.digest
    shutil.rmtree(root / "datasets" / "flights" / "removing", ignore_errors=True)
    return World(address, root, version, other, draft, files(root), before)


def files(root: Path) -> Files:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def use(world: World) -> None:
    """Everything a reader does, as a new process would."""
    vault = world.address.open()
    for found in (vault.find_dataset("flights"), vault.find_dataset("flights", "prod"), vault.find_dataset("flights", world.other.digest)):
        assert found.digest in (world.version.digest, world.other.digest)
        for split in ("train", "test"):
            vault.read(found, split)
    assert vault.receipts(vault.draft_dataset("flights", world.draft.digest)) == {"w1": b"w1", "w2": b"w2"}


Harm = Callable[[World, random.Random, Files], str]  # changes the files; returns what the refusal has to name


def live(world: World, dice: random.Random) -> tuple[str, str]:
    """A file that a reader uses, and what a refusal of it names."""
    latest = max(name for name in world.now if "/latest/" in name)
    tag = max(name for name in world.now if "/tags/prod/" in name)
    state = max(name for name in world.now if "/subjects/" in name)
    draft = f"datasets/flights/{world.draft.digest}"
    named = {
        latest: "flights@latest",
        tag: "flights@prod",
        state: "keys of its subjects",
        f"{world.top()}/manifest.json": "its manifest",
        f"{world.top(world.other)}/manifest.json": "its manifest",
        f"{world.top()}/key.json": r"its key\.json",
        f"{draft}/key.json": r"its key\.json",
        f"{draft}/done/w1.sealed": r"done/w1",
        f"{draft}/done/w2.sealed": r"done/w2",
    }
    named |= {path: f"part {Path(path).name[:-25]}" for path in (*world.parts(), *world.parts(world.other))}
    name = dice.choice(sorted(named))
    return name, named[name]


def flip(world: World, dice: random.Random, at: Files) -> str:
    name, told = live(world, dice)
    bent = bytearray(at[name])
    bent[dice.randrange(len(bent))] ^= 1 << dice.randrange(8)
    at[name] = bytes(bent)
    return told


def truncate(world: World, dice: random.Random, at: Files) -> str:
    name, told = live(world, dice)
    at[name] = at[name][: dice.randrange(len(at[name]))]
    return told


def extend(world: World, dice: random.Random, at: Files) -> str:
    name, told = live(world, dice)
    at[name] += dice.choice([b"\0", b"\n", b" ", at[name], dice.randbytes(40)])
    return told


def drop(world: World, dice: random.Random, at: Files) -> str:
    name = dice.choice([*world.parts(), *world.parts(world.other)])
    del at[name]
    return f"part {Path(name).name[:-25]}"


def swap(world: World, dice: random.Random, at: Files) -> str:
    one, two = dice.sample([*world.parts(), *world.parts(world.other)], 2)
    at[one], at[two] = at[two], at[one]
    return "part "


def replay(world: World, dice: random.Random, at: Files) -> str:
    """A part of the same name and version, sealed when the version was first made."""
    name = dice.choice(world.parts())
    part = Path(name).name[:-25]
    at[name] = next(data for path, data in world.before.items() if Path(path).name.startswith(part))
    return f"part {part}"


def plain(world: World, dice: random.Random, at: Files) -> str:
    name, out = dice.choice(world.parts()), io.BytesIO()
    pq.write_table(TABLE.slice(dice.randrange(30)), out)
    at[name] = out.getvalue()
    return f"part {Path(name).name[:-25]}"


def edit(world: World, dice: random.Random, at: Files) -> str:
    """A field of a signed line, written as carefully as it was."""
    name = dice.choice([f"{world.top()}/manifest.json", f"{world.top()}/key.json"])
    line, below = at[name].split(b"\n")[:2]
    value = json.loads(line)
    if name.endswith("key.json"):
        value["keys"]["data"]["ciphertext"] = dice.randbytes(48).hex()
    else:
        part = dice.choice(value["parts"])
        field, new = dice.choice([("rows", 61), ("digest", "0" * 64), ("split", "best"), ("bytes", 1), ("keys", []), ("name", "x")])
        part[field] = new
    at[name] = json.dumps(value, sort_keys=True).encode() + b"\n" + below + b"\n"
    return r"its (manifest|key\.json)"


def old_manifest(world: World, dice: random.Random, at: Files) -> str:
    """The manifest of the version's first life, alone or with all that belonged to it."""
    top, wanted = world.top(), dice.choice([("manifest.json",), ("manifest.json", "key.json"), ("manifest.json", "key.json", "parts/")])
    at.update({name: data for name, data in world.before.items() if name.startswith(tuple(f"{top}/{one}" for one in wanted))})
    return "its manifest"


def old_pointer(world: World, dice: random.Random, at: Files) -> str:
    """A pointer as it was before, under its own number or under the newest."""
    folder, told = dice.choice([("latest", "flights@latest"), ("tags/prod", "flights@prod")])
    top = f"datasets/flights/{folder}/"
    newest, was = max(name for name in at if name.startswith(top)), max(name for name in world.before if name.startswith(top))
    if dice.random() < 0.5:
        at[newest] = world.before[was]
    else:
        for name in [name for name in at if name.startswith(top)]:
            del at[name]
        at[was] = world.before[was]
    return told


def no_pointer(world: World, dice: random.Random, at: Files) -> str:
    for name in [name for name in at if "/latest/" in name]:
        del at[name]
    return "flights@latest"


def swapped_pointers(world: World, dice: random.Random, at: Files) -> str:
    latest, tag = (max(name for name in at if f"/{folder}/" in name) for folder in ("latest", "tags/prod"))
    at[latest], at[tag] = at[tag], at[latest]
    return "flights@latest"


def whole_rollback(world: World, dice: random.Random, at: Files) -> str:
    """The store as it was, to the last byte."""
    at.clear()
    at.update(world.before)
    return r"flights@latest|its manifest"


def other_keys(world: World, dice: random.Random, at: Files) -> str:
    """Keys of another version, of a draft, of the version's first life; or none."""
    own = f"{world.top()}/key.json"
    found = dice.choice(
        [at[f"{world.top(world.other)}/key.json"], at[f"datasets/flights/{world.draft.digest}/key.json"], world.before[own], b""]
    )
    at[own] = found
    if not found:
        del at[own]
    return r"its key\.json|part train-00000: its key"


def old_subjects(world: World, dice: random.Random, at: Files) -> str:
    """The state in which an erased subject still has a key."""
    for name in [name for name in at if "/subjects/" in name]:
        del at[name]
    if dice.random() < 0.7:
        at.update({name: data for name, data in world.before.items() if "/subjects/" in name})
    return "keys of its subjects"


def receipts(world: World, dice: random.Random, at: Files) -> str:
    one, two = (f"datasets/flights/{world.draft.digest}/done/{work}.sealed" for work in ("w1", "w2"))
    if dice.random() < 0.5:
        at[one], at[two] = at[two], at[one]
    else:
        at[one.replace("w1", f"w{dice.randrange(3, 99)}")] = at[one]
    return "done/w"


HARMS: tuple[Harm, ...] = (
    *(flip, flip, flip, truncate, truncate, extend, drop, swap, replay, plain, edit),
    *(old_manifest, old_pointer, no_pointer, swapped_pointers, whole_rollback, other_keys, old_subjects, receipts),
)


def test_a_store_that_was_not_harmed_is_read(world: World):
    use(world)


def test_of_a_thousand_harms_none_is_accepted_and_each_is_named(world: World):
    told, wrong = Counter[str](), []
    for seed in range(MUTATIONS):
        dice, at = random.Random(seed), dict(world.now)
        harm = HARMS[seed % len(HARMS)]
        named = harm(world, dice, at)
        assert at != world.now, f"{harm.__name__} {seed} changed nothing"
        world.put(at)
        try:
            use(world)
            wrong.append(f"{harm.__name__} {seed}: accepted")
        except MlrayError as refused:
            told[harm.__name__] += 1
            if not re.search(named, refused.message):
                wrong.append(f"{harm.__name__} {seed}: {refused.message!r} does not name {named!r}")
    world.put(world.now)
    use(world)
    assert not wrong, "\n".join([f"{len(wrong)} of {MUTATIONS}", *wrong[:30]])
    assert told.total() == MUTATIONS

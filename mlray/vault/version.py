"""DatasetVersion, ModelVersion, Manifest, Part: immutable results, named by digest.

A dataset version is named before the work is done: by its name and the digests of all it is made from (spec, code, sources).
The same input is therefore recognised and never computed twice, and two machines with different keys agree on the name. A
model version is named by its content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from mlray.errors import TamperError
from mlray.vault.keyring import KeyId, Scope, Signature, WrappedKey

FORMAT = 2
SHORT = 12  # hex characters people see

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Kind = Literal["dataset", "model"]
Lineage = tuple[tuple[str, str], ...]  # what it was made from -> its digest, such as ("source:flights", "9c41...")
VersionKeys = dict[Scope, WrappedKey]  # the key of a version in each scope; they open the keys of its files
FileKeys = tuple[tuple[Scope, str], ...]  # a file's own key in each scope, sealed under the version's key, as hex


@dataclass(frozen=True, slots=True)
class Part:
    """One sealed file. `digest` is the SHA-256 of the stored bytes, `rows` 0 unless a table, `work` what it was made from.

    `file` is relative to the folder of the dataset and begins with the version it was first sealed under: a later version may
    name it too, and then holds the file's keys under keys of its own.
    """

    name: str
    file: str
    split: str
    rows: int
    bytes: int
    digest: str
    keys: FileKeys = ()
    work: str = ""

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Part:
        """From what `asdict` and JSON made of one."""
        return cls(**(value | {"keys": tuple((scope, sealed) for scope, sealed in value["keys"])}))


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that is known of a version without opening it. Holds no row; it is signed, not encrypted.

    `schema` is (column, Arrow type) in order; `rejected` is (reason, rows); `about` holds small facts for people and programs.
    The version's keys lie beside it, in key.json: rotation rewrites those, and this never.
    """

    kind: Kind
    name: str
    digest: str
    created: datetime
    parts: tuple[Part, ...]
    schema: tuple[tuple[str, str], ...]
    rejected: tuple[tuple[str, int], ...]
    lineage: Lineage
    about: dict[str, Json]

    def of(self, split: str) -> tuple[Part, ...]:
        return tuple(sorted((part for part in self.parts if part.split == split), key=lambda part: part.name))

    def rows(self, split: str) -> int:
        return sum(part.rows for part in self.of(split))

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(sorted({part.split for part in self.parts}))


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """A sealed dataset; prints as `flights@3f2a9c01d2e4`."""

    name: str
    digest: str
    manifest: Manifest

    def __str__(self) -> str:
        return short(self.name, self.digest)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A sealed model; prints as `flights-late@5b1c0a77e2f0`."""

    name: str
    digest: str
    manifest: Manifest

    def __str__(self) -> str:
        return short(self.name, self.digest)


def short(name: str, digest: str) -> str:
    return f"{name}@{digest[:SHORT]}"


def dataset_digest(name: str, lineage: Lineage) -> str:
    """The name of a dataset version, from what it is made of; the order of the lineage does not matter."""
    return digest_json({"dataset": name, "lineage": sorted(map(list, lineage))})


def model_digest(name: str, files: Mapping[str, bytes]) -> str:
    """The name of a model version, from what is in it."""
    return digest_json({"model": name, "files": {file: digest_bytes(data) for file, data in files.items()}})


def digest_bytes(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def digest_json(value: object) -> str:
    """SHA-256 over JSON with sorted keys and no spaces."""
    return digest_bytes(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def encode(manifest: Manifest) -> bytes:
    """One line of JSON; a signature is made over exactly these bytes, so that nothing has to be put into a canonical form."""
    value = asdict(manifest) | {"format": FORMAT, "created": manifest.created.isoformat()}
    return json.dumps(value, sort_keys=True).encode()


def decode(line: bytes) -> Manifest:
    """The manifest in a line whose signature was checked."""
    value = json.loads(line)
    if value.pop("format") != FORMAT:
        raise ValueError("unknown format")
    value["created"] = datetime.fromisoformat(value["created"])
    value["parts"] = tuple(map(Part.from_json, value["parts"]))
    for field in ("schema", "rejected", "lineage"):
        value[field] = tuple(tuple(pair) for pair in value[field])
    return Manifest(**value)


def encode_keys(kind: Kind, name: str, digest: str, keys: VersionKeys) -> bytes:
    """One line of JSON, which says whose keys these are: signed, it is good for this version alone."""
    value = {"format": FORMAT, "of": [kind, name, digest], "keys": {scope: wrapped.to_json() for scope, wrapped in keys.items()}}
    return json.dumps(value, sort_keys=True).encode()


def decode_keys(line: bytes) -> tuple[tuple[str, str, str], VersionKeys]:
    """Whose keys, and the keys, from a line whose signature was checked."""
    value = json.loads(line)
    if value["format"] != FORMAT:
        raise ValueError("unknown format")
    kind, name, digest = value["of"]
    keys = [WrappedKey.from_json(wrapped) for wrapped in value["keys"].values()]
    return (kind, name, digest), {wrapped.scope: wrapped for wrapped in keys}


def join_signature(line: bytes, signature: Signature) -> bytes:
    """A signed file: the line, and below it who signed."""
    return line + b"\n" + json.dumps({"key": signature.key, "signature": signature.value.hex()}).encode() + b"\n"


def split_signature(data: bytes, what: str) -> tuple[bytes, Signature]:
    """The line and its signature, nothing of the line being read yet. Raises TamperError beginning with `what`."""
    try:
        line, below, rest = data.split(b"\n")
        value = json.loads(below)
        signature = Signature(KeyId(value["key"]), bytes.fromhex(value["signature"]))
        if rest or join_signature(line, signature) != data:  # hexadecimal may be written in two ways, and only one is ours
            raise ValueError("not as it was written")
        return line, signature
    except (ValueError, KeyError, TypeError) as broken:
        raise TamperError(f"{what} is not a signed line") from broken

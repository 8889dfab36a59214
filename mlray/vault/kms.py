"""The keyring file: which master keys a home has, and where each lives.

    masters      by scope; the last of a scope wraps. A local one holds its secret here, one in a service only its name.
    signing      the public half, and the private half wrapped by the current master of scope data
    pseudonyms   wrapped by the current master of scope personal

So with its masters in a service the file holds no secret at all. It is mode 0600, made on first use, and replaced whole.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from mlray.errors import KeyringError
from mlray.home import private_folder
from mlray.vault import aws, transit
from mlray.vault.keyring import KEY_BYTES, SCOPES, DataKey, KeyId, Keyring, Master, Scope, WrappedKey
from mlray.vault.masters import LocalMaster
from mlray.vault.signing import SigningKey, public_half

FORMAT = 2
SIGNING, PSEUDONYMS = "mlray signing key", "mlray pseudonym key"
HOLDS: dict[str, tuple[Scope, str]] = {"signing": ("data", SIGNING), "pseudonyms": ("personal", PSEUDONYMS)}
T = TypeVar("T")
File = dict[str, Any]  # the keyring file as JSON; it may hold secrets, so it is never shown


def open_keyring(path: Path, create: bool = True) -> Keyring:
    """The keyring in a file. `create` makes one where none is; two processes that try at once end up with the same.

    Raises KeyringError when it is missing, readable by others, not ours, or not a keyring.
    """
    if create and not path.exists():
        _create(path)
    return _reading(path, lambda: keyring_of(path, _value(path)))


def keyring_of(path: Path, value: File) -> Keyring:
    """The keyring that a file's JSON describes; nothing is asked of a service before it is needed."""
    masters = _masters(path, value)
    signing, pseudonyms = value["signing"], value["pseudonyms"]
    signer = SigningKey(bytes.fromhex(signing["public"]), _held(masters, signing.get("wrapped"), SIGNING))
    opened = _held(masters, pseudonyms.get("wrapped"), PSEUDONYMS)
    return Keyring(masters, signer, opened or _no_pseudonyms, os.urandom, lambda: _masters(path, read_file(path)))


def open_master(path: Path, entry: File) -> Master:
    """A master from its entry. One in a service is not called yet; the id of a local one is derived from its secret."""
    (scope,) = (known for known in SCOPES if known == entry["scope"])
    master: Master
    match entry["kind"]:
        case "local":
            master = LocalMaster(DataKey(bytes.fromhex(entry["secret"])), scope, os.urandom)
        case aws.KIND:
            master = aws.AwsMaster.of(entry, scope)
        case transit.KIND:
            master = transit.TransitMaster.of(entry, scope)
        case other:
            raise KeyringError(f"{path}: master key {entry['id']} is of kind {other}, unknown to this mlray", hint="upgrade mlray")
    if master.id != entry["id"]:
        raise KeyringError(f"{path}: key {entry['id']} is damaged", hint="restore the keyring from your backup")
    return master


def read_file(path: Path) -> File:
    """The file as JSON, checked as `open_keyring` checks it."""
    return _reading(path, lambda: _value(path))


@contextmanager
def changing(path: Path) -> Iterator[File]:
    """The file as JSON, written back whole when the block ends without an error; one change at a time."""
    with open(path.with_name(f".{path.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        value = read_file(path)
        yield value
        _write(path, json.dumps(value, indent=1), os.replace)


def local_entry(scope: Scope) -> File:
    secret = os.urandom(KEY_BYTES)
    return {"kind": "local", "scope": scope, "id": DataKey(secret).id, "secret": secret.hex()}


def add_master(path: Path, entry: File) -> None:
    """Makes it the one that wraps in its scope; what is wrapped already stays as it is."""
    with changing(path) as value:
        value["masters"] = [known for known in value["masters"] if known["id"] != entry["id"]] + [entry]


def drop_master(path: Path, id: KeyId) -> None:
    """Forgets it, for good if it is local. Who calls has made sure that it wraps nothing."""
    with changing(path) as value:
        value["masters"] = [known for known in value["masters"] if known["id"] != id]


def rewrap_own(path: Path) -> None:
    """The signing and pseudonym keys under the current masters of their scopes."""
    with changing(path) as value:
        current = {master.scope: master for master in _masters(path, value)}
        for name, (scope, purpose) in HOLDS.items():
            held = _held(_masters(path, value), value[name].get("wrapped"), purpose)
            if held and value[name]["wrapped"]["key"] != current[scope].id:
                value[name]["wrapped"] = current[scope].wrap(held().secret(), purpose).to_json()


def own_keys(value: File) -> dict[str, WrappedKey]:
    """What the file itself holds wrapped, by name."""
    return {name: WrappedKey.from_json(value[name]["wrapped"]) for name in HOLDS if "wrapped" in value[name]}


def for_reading(value: File, scopes: Collection[Scope]) -> File:
    """The file of a reader: masters of these scopes alone, and nothing that signs. Pseudonyms go with scope personal."""
    masters = [entry for entry in value["masters"] if entry["scope"] in scopes]
    pseudonyms = value["pseudonyms"] if "personal" in scopes else {}
    return {"format": FORMAT, "masters": masters, "signing": {"public": value["signing"]["public"]}, "pseudonyms": pseudonyms}


def write_new(path: Path, value: File) -> None:
    """Raises KeyringError when there is a file already. A folder that is there stays as it is: it may be shared; the file is 0600."""
    try:
        if not path.parent.exists():
            private_folder(path.parent)
        _write(path, json.dumps(value, indent=1), os.link)
    except FileExistsError:
        raise KeyringError(f"{path}: there is a keyring already", hint="name a file that is not there yet") from None
    except OSError as error:
        raise KeyringError(f"{path}: cannot be written: {error.strerror}", hint="name a file in a folder of yours") from None


def _masters(path: Path, value: File) -> list[Master]:
    return [open_master(path, entry) for entry in value["masters"]]


def _create(path: Path) -> None:
    """Writes a whole file beside it first, then takes the name only if nobody has: `link` fails where `rename` replaces."""
    private_folder(path.parent)
    with suppress(FileExistsError):  # another process was first, and its keys are as good
        _write(path, json.dumps(_fresh(path), indent=1), os.link)


def _fresh(path: Path) -> File:
    entries = [local_entry(scope) for scope in SCOPES]
    masters = {entry["scope"]: open_master(path, entry) for entry in entries}
    held = {name: DataKey(os.urandom(KEY_BYTES)) for name in HOLDS}
    wrapped: File = {
        name: {"wrapped": masters[scope].wrap(held[name].secret(), purpose).to_json()} for name, (scope, purpose) in HOLDS.items()
    }
    wrapped["signing"]["public"] = public_half(held["signing"]).hex()
    return {"format": FORMAT, "masters": entries, **wrapped}


def _held(masters: list[Master], wrapped: dict[str, str] | None, purpose: str) -> Callable[[], DataKey] | None:
    """How to get a key that the file holds wrapped; None when it was exported without."""
    if wrapped is None:
        return None
    sealed = WrappedKey.from_json(wrapped)
    (master,) = (found for found in masters if found.id == sealed.key)
    return lambda: DataKey(master.unwrap(sealed, purpose))


def _no_pseudonyms() -> DataKey:
    raise KeyringError("this keyring holds no pseudonym key", hint="use a keyring that may read personal columns")


def _reading(path: Path, take: Callable[[], T]) -> T:
    try:
        return take()
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as broken:
        # The cause may quote the text of the file, so it is not chained.
        raise KeyringError(f"{path}: not a keyring ({type(broken).__name__})", hint="restore it from your backup") from None


def _value(path: Path) -> File:
    value: File = json.loads(_read(path))
    if value["format"] != FORMAT:
        raise KeyringError(f"{path}: keyring format {value['format']}, but this mlray reads {FORMAT}", hint="upgrade mlray")
    if not value["masters"]:
        raise ValueError("no masters")
    return value


def _write(path: Path, text: str, take_name: Callable[[Path, Path], None]) -> None:
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        take_name(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _read(path: Path) -> str:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as missing:
        raise KeyringError(f"{path}: no keyring", hint="restore it from your backup; what it sealed cannot be read without") from missing
    except OSError as error:
        raise KeyringError(f"{path}: cannot be opened: {error.strerror}") from error
    with os.fdopen(handle, "rb") as file:
        info = os.fstat(file.fileno())
        if info.st_uid != os.getuid():
            raise KeyringError(f"{path}: belongs to another user", hint="use a keyring of your own")
        if stat.S_IMODE(info.st_mode) & 0o077:
            raise KeyringError(f"{path}: others can read it (mode {stat.S_IMODE(info.st_mode):04o})", hint=f"chmod 600 {path}")
        return file.read().decode(errors="replace")


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

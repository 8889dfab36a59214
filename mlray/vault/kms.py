"""Where master keys live: a local key file, readable by its owner alone, made on first use."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from mlray.errors import KeyringError
from mlray.home import private_folder
from mlray.vault.keyring import KEY_BYTES, DataKey, Keyring

FORMAT = 1


def open_keyring(path: Path, create: bool = True) -> Keyring:
    """The keyring in a file. `create` makes one where none is; two processes that try at once end up with the same.

    Raises KeyringError when it is missing, readable by others, not ours, or not a keyring.
    """
    if create and not path.exists():
        _create(path)
    text = _read(path)
    try:
        value = json.loads(text)
        if value["format"] != FORMAT:
            raise KeyringError(f"{path}: keyring format {value['format']}, but this mlray reads {FORMAT}", hint="upgrade mlray")
        masters = tuple(_key(path, entry) for entry in value["masters"])
        return Keyring(masters, _key(path, value["signing"]), _key(path, value["pseudonyms"]), os.urandom)
    except (ValueError, KeyError, TypeError, IndexError) as broken:
        # The cause may quote the text of the file, so it is not chained.
        raise KeyringError(f"{path}: not a keyring ({type(broken).__name__})", hint="restore it from your backup") from None


def _create(path: Path) -> None:
    """Writes a whole file beside it first, then takes the name only if nobody has: `link` fails where `rename` replaces."""
    private_folder(path.parent)
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(_fresh(), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first, and its keys are as good
    finally:
        draft.unlink()
    _flush_folder(path.parent)


def _fresh() -> dict[str, object]:
    return {"format": FORMAT, "masters": [_entry()], "signing": _entry(), "pseudonyms": _entry()}


def _entry() -> dict[str, str]:
    secret = os.urandom(KEY_BYTES)
    return {"id": DataKey(secret).id, "secret": secret.hex()}


def _key(path: Path, entry: dict[str, str]) -> DataKey:
    """The id is derived from the secret, so a damaged secret is found before anything is sealed with it."""
    key = DataKey(bytes.fromhex(entry["secret"]))
    if key.id != entry["id"]:
        raise KeyringError(f"{path}: key {entry['id']} is damaged", hint="restore the keyring from your backup")
    return key


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

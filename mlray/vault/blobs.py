"""Blobs: named bytes below any filesystem URI. A write is whole and durable, or it did not happen."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pyarrow as pa
from pyarrow import fs

from mlray.errors import StoreError
from mlray.home import private_folder
from mlray.vault.objects import Objects

TRIES = 5  # on a disk, where another process changes the same folder
SAFE = "/:%@?&=+,;~#"  # what may stand in a URI as it is, percent signs included; a space in a path may not


class Entry(NamedTuple):
    """What lies directly in a folder."""

    name: str
    type: fs.FileType
    size: int


class Blobs:
    """Bytes by relative path. On a local disk files are mode 0600 in folders of mode 0700, and flushed before they take their name."""

    def __init__(self, uri: str) -> None:
        try:
            self._fs, self._root = fs.FileSystem.from_uri(quote(uri, safe=SAFE))
        except (ValueError, OSError) as error:
            raise StoreError(f"{uri}: not a place mlray can store in: {error}", hint="write file:///path or s3://bucket/path") from error
        self._local = isinstance(self._fs, fs.LocalFileSystem)
        self._objects = Objects(uri, self._fs)

    def read(self, path: str) -> bytes | None:
        """The bytes, or None when nothing has that name."""
        try:
            at = self._at(path)
            return _read(at) if self._local else self._objects.read(at)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _cannot("read", path, error) from error

    def write(self, path: str, data: bytes | pa.Buffer) -> None:
        """Puts the bytes under the name, in place of what was there."""
        try:
            at = self._at(path)
            return self._write_file(Path(at), data, replace=True) if self._local else self._objects.write(at, data)
        except OSError as error:
            raise _cannot("write", path, error) from error

    def claim(self, path: str, data: bytes | pa.Buffer) -> bool:
        """Puts the bytes under the name if nobody has it; False when somebody does.

        Exact on a local or shared disk, and in S3 with the extra `aws`. In another object store two that come within one round
        trip both get True, and the later stays: each names its own files, so both results are whole.
        """
        try:
            at = self._at(path)
            if not self._local:
                return self._objects.claim(at, data)
            self._write_file(Path(at), data, replace=False)
            return True
        except FileExistsError:
            return False
        except OSError as error:
            raise _cannot("write", path, error) from error

    def files(self, folder: str) -> tuple[str, ...]:
        """The names of the files directly in a folder, sorted; none when there is no such folder."""
        return self._names(folder, fs.FileType.File)

    def sizes(self, folder: str) -> dict[str, int]:
        """The files directly in a folder, and how many bytes each has."""
        return {entry.name: entry.size for entry in self._listed(folder) if entry.type == fs.FileType.File}

    def weight(self, folder: str = "") -> int:
        """Bytes of all files in a folder and below it."""
        entries = self._listed(folder)
        below = (entry.name for entry in entries if entry.type == fs.FileType.Directory)
        files = sum(entry.size for entry in entries if entry.type == fs.FileType.File)
        return files + sum(self.weight(f"{folder}/{name}" if folder else name) for name in below)

    def changed(self, path: str) -> datetime | None:
        """When a file was last written, by the store's clock; None when there is none."""
        try:
            info = self._objects.info(self._at(path))
        except OSError as error:
            raise _cannot("read", path, error) from error
        return None if info.type != fs.FileType.File or info.mtime is None else info.mtime.astimezone(UTC)

    def folders(self, folder: str) -> tuple[str, ...]:
        return self._names(folder, fs.FileType.Directory)

    def remove(self, folder: str) -> None:
        """Removes a folder and all below it; one that is gone already is fine, and so is one in which somebody writes meanwhile."""
        for _ in range(TRIES - 1 if self._local else 0):
            with suppress(StoreError):
                return self._delete(self._objects.remove, folder)
        return self._delete(self._objects.remove, folder)

    def remove_file(self, path: str) -> None:
        self._delete(self._objects.remove_file, path)

    def destroy_file(self, path: str) -> None:
        """Removes a file of keys; on a local disk its bytes are overwritten, which is all that can be done about them from here.

        A disk that writes elsewhere each time, a snapshot, or a bucket that keeps versions may have them still.
        """
        if self._local:
            self._delete(_overwrite, path)
        else:
            self.remove_file(path)

    def _delete(self, delete: Callable[[str], None], path: str) -> None:
        try:
            delete(self._at(path))
        except FileNotFoundError:
            return
        except OSError as error:
            raise _cannot("remove", path, error) from error

    def _names(self, folder: str, kind: fs.FileType) -> tuple[str, ...]:
        return tuple(sorted(entry.name for entry in self._listed(folder) if entry.type == kind and not entry.name.startswith(".")))

    def _listed(self, folder: str) -> list[Entry]:
        try:
            at = self._at(folder)
            return _scanned(at) if self._local else [Entry(i.base_name, i.type, i.size) for i in self._objects.listed(at)]
        except OSError as error:
            raise _cannot("list", folder, error) from error

    def _at(self, path: str) -> str:
        if ".." in path.split("/"):
            raise StoreError(f"{path}: leads out of the store")
        return f"{self._root}/{path}"

    def _write_file(self, path: Path, data: bytes | pa.Buffer, replace: bool) -> None:
        """Another process may remove the folder, empty to it, in between: then it is made again."""
        for _ in range(TRIES - 1):
            with suppress(FileNotFoundError):
                return self._write_once(path, data, replace)
        return self._write_once(path, data, replace)

    def _write_once(self, path: Path, data: bytes | pa.Buffer, replace: bool) -> None:
        private_folder(path.parent)
        draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                os.replace(draft, path)
            else:
                os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        _flush_folder(path.parent)


def _read(at: str) -> bytes:
    """A file that lost its name while it was read may be overwritten already: then what has the name now is read."""
    while True:
        with open(at, "rb") as file:
            data = file.read()
            if os.fstat(file.fileno()).st_nlink:
                return data


def _overwrite(at: str) -> None:
    """The name goes first: who opens the file from now on finds it gone, and who has it open sees that in its count of names."""
    with open(at, "r+b") as file:
        os.unlink(at)
        file.write(bytes(os.fstat(file.fileno()).st_size))
        file.flush()
        os.fsync(file.fileno())
    _flush_folder(Path(at).parent)


def _scanned(folder: str) -> list[Entry]:
    """PyArrow's own listing fails when a file goes while it lists."""
    found = []
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                kind = fs.FileType.Directory if entry.is_dir() else fs.FileType.File
                found.append(Entry(entry.name, kind, entry.stat().st_size))
    return found


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot(verb: str, path: str, error: OSError) -> StoreError:
    return StoreError(f"cannot {verb} {path}: {error.strerror or error}", hint="is the store mounted, reachable, and not full?")

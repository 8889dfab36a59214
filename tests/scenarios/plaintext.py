"""Plaintext: known words of the data, and a search for them in every file below some folders, however they are packed."""

from __future__ import annotations

import io
import threading
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

# Ten values of the example's tables. None is in the code or the YAML files, so where one is found, data is.
VALUES = (
    "N725MQ",
    "N722MQ",
    "N711MQ",
    "N713MQ",
    "ExpressJet Airlines Inc.",
    "AirTran Airways Corporation",
    "Endeavor Air Inc.",
    "AMERICAN AIRCRAFT INC",
    "MCDONNELL DOUGLAS AIRCRAFT CO",
    "AIRBUS INDUSTRIE",
)
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")
Needles = tuple[tuple[str, bytes], ...]
STREAMS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"BZh": "bz2"}
PAUSE_S = 1.0

Hits = dict[str, set[str]]  # file -> values found in it


def needles(*values: str) -> Needles:
    """What to look for: each value as text is written, in any of the ways."""
    return tuple((value, value.encode(encoding)) for value in values for encoding in ENCODINGS)


EXAMPLE = needles(*VALUES)


def search(*roots: Path, wanted: Needles = EXAMPLE) -> Hits:
    """Every regular file below the roots. Files that go away meanwhile are left out."""
    return {str(path): found for path in files(*roots) if (found := values_in(path, wanted))}


def files(*roots: Path) -> Iterator[Path]:
    for root in roots:
        yield from (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())


def values_in(path: Path, wanted: Needles = EXAMPLE) -> set[str]:
    try:
        data = path.read_bytes()
    except OSError:
        return set()
    return {value for view in views(data) for value, needle in wanted if needle in view}


def views(data: bytes) -> Iterator[bytes]:
    """The bytes as they are, and what any reader gets who unpacks them: streams, archives, Parquet and Arrow files."""
    yield data
    with suppress(pa.ArrowException, OSError, ValueError, zlib.error, zipfile.BadZipFile, RuntimeError):
        for magic, codec in STREAMS.items():
            if data.startswith(magic):
                yield from views(pa.input_stream(io.BytesIO(data), compression=codec).read())
        if data.startswith(b"\x78"):
            yield from views(zlib.decompress(data))
        if data.startswith(b"PK\x03\x04"):
            archive = zipfile.ZipFile(io.BytesIO(data))
            yield from (view for name in archive.namelist() for view in views(archive.read(name)))
        if data.startswith(b"PAR1"):
            yield _text(pq.read_table(io.BytesIO(data)))
        if data.startswith(b"ARROW1"):
            yield _text(pa.ipc.open_file(data).read_all())


def _text(table: pa.Table) -> bytes:
    distinct = (column.unique().to_pylist() for column in table.columns)
    return "\n".join(str(value) for column in distinct for value in column).encode()


class Watch:
    """Searches the roots again and again while it is entered, files that changed alone: `hits` holds all there ever was."""

    def __init__(self, roots: Iterable[Path], wanted: Needles = EXAMPLE) -> None:
        self._wanted, self._roots, self._over, self._seen = wanted, tuple(roots), threading.Event(), dict[Path, tuple[int, int]]()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.hits: Hits = {}
        self.looked = 0

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(PAUSE_S):
            with suppress(OSError):  # a folder went away while it was listed: the rest comes the next time
                for path in files(*self._roots):
                    self._one(path)

    def _one(self, path: Path) -> None:
        with suppress(OSError):
            info = path.stat()
            if self._seen.get(path) != (info.st_mtime_ns, info.st_size):
                self._seen[path] = (info.st_mtime_ns, info.st_size)
                self.looked += 1
                if found := values_in(path, self._wanted):
                    self.hits.setdefault(str(path), set()).update(found)

"""Where raw rows come from: a path, a filesystem URI, or a file of an installed package; .gz and .zip are unpacked on the way."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import zipfile
import zlib
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import fs

from mlray.errors import SpecError, WorkError
from mlray.ingest import parse
from mlray.ingest.parse import Input
from mlray.ingest.spec import Source
from mlray.vault import sealing

PACKAGE = "package://"
CHUNK = 1 << 20
HEAD = 1 << 16


def find(name: str, source: Source, base: Path) -> Input:
    """Raises SpecError when the file is missing, cannot be read, or has no such columns. Relative paths start at `base`."""
    uri = absolute(source.uri, base)
    where = f"source {name} ({Path(_shown(uri)).name})"
    try:
        size, found = _size(uri), digest(uri)
        with closing(chunks(uri)) as stream:
            head = next(stream, b"")
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, WorkError) as error:
        raise SpecError(f"source {name}: {_shown(uri)}: {_why(error)}", hint=_hint(uri)) from error
    names = parse.header(head.split(b"\n", 1)[0].rstrip(b"\r"), where)
    parse.require(names, source, where)
    sample = head[:HEAD]
    return Input(uri, where, names, found, int(size * max(1, sample.count(b"\n")) / max(1, len(sample))))


def absolute(uri: str, base: Path) -> str:
    """The URI that finds the same file on every node: packages are looked up where they are read, paths become whole."""
    if uri.startswith(PACKAGE) or "://" in uri:
        return uri
    return (base / uri).resolve().as_uri()


def digest(uri: str) -> str:
    """SHA-256 of the file as it lies there, packed or not."""
    system, path = _locate(uri)
    total = hashlib.sha256()
    with system.open_input_stream(path, compression=None) as stream:
        while chunk := stream.read(CHUNK):
            total.update(chunk)
    return total.hexdigest()


def code_digest() -> str:
    """SHA-256 over the source of this folder and the format of sealed files: what turns the same rows into the same version."""
    total = hashlib.sha256(f"sealing {sealing.FORMAT}".encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        total.update(file.name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()


def chunks(uri: str) -> Generator[bytes, None, None]:
    """The unpacked bytes in order, about 1 MiB at a time. Raises WorkError when a packed file is broken."""
    system, path = _locate(uri)
    try:
        if not path.endswith(".zip"):
            with system.open_input_stream(path) as stream:  # .gz is seen by its name
                yield from iter(lambda: bytes(stream.read(CHUNK)), b"")
            return
        with system.open_input_file(path) as file, zipfile.ZipFile(file) as packed, packed.open(_only(packed, uri)) as member:
            yield from iter(lambda: member.read(CHUNK), b"")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise WorkError(f"{_shown(uri)}: {_why(error)}", hint="copy the file again") from error


def body(uri: str) -> Generator[bytes, None, None]:
    """The unpacked bytes after the header line."""
    before = b""
    stream = chunks(uri)
    for chunk in stream:
        before += chunk
        if b"\n" in before:
            yield before.split(b"\n", 1)[1]
            break
    yield from stream


def read_all(found: Input, source: Source) -> pa.Table:
    """The whole of a small source, as one table."""
    return parse.parse(b"".join(body(found.uri)), found.names, source, found.where, first_line=2)


def _locate(uri: str) -> tuple[fs.FileSystem, str]:
    """Looks a package up without importing it: its code is not ours to run."""
    if not uri.startswith(PACKAGE):
        return fs.FileSystem.from_uri(uri)  # type: ignore[no-any-return]
    package, _, path = uri.removeprefix(PACKAGE).partition("/")
    found = importlib.util.find_spec(package) if package.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(f"the package {package} is not installed here")
    return fs.LocalFileSystem(), str(Path(next(iter(found.submodule_search_locations))) / path)


def _size(uri: str) -> int:
    """Bytes once unpacked; for .gz four times the file is a usual guess."""
    system, path = _locate(uri)
    if path.endswith(".zip"):
        with system.open_input_file(path) as file, zipfile.ZipFile(file) as packed:
            return packed.getinfo(_only(packed, uri)).file_size
    size = system.get_file_info(path).size
    if size is None:
        raise FileNotFoundError("no such file")
    return int(size) * (4 if path.endswith(".gz") else 1)


def _only(packed: zipfile.ZipFile, uri: str) -> str:
    names = [name for name in packed.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
    if len(names) != 1:
        raise WorkError(f"{_shown(uri)}: holds {len(names)} files, not one", hint="pack one table into one file")
    return names[0]


def _why(error: Exception) -> str:
    if isinstance(error, WorkError):
        return error.message.rpartition(": ")[2]
    if isinstance(error, FileNotFoundError):
        return str(error) if "package" in str(error) else "no such file"
    return f"cannot be unpacked ({error})" if isinstance(error, zipfile.BadZipFile | zlib.error | EOFError) else f"cannot be read ({error})"


def _shown(uri: str) -> str:
    """A URI as people write it: a local file by its path."""
    return unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri


def _hint(uri: str) -> str:
    if uri.startswith(PACKAGE):
        return f"pip install {uri.removeprefix(PACKAGE).partition('/')[0]}"
    path = Path(_shown(uri))
    near = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else [], n=1)
    return f"did you mean {near[0]}?" if near else ""

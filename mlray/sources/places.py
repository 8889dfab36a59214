"""Places: the files behind a URI, on whatever file system they lie; listed, opened, unpacked and named by their bytes.

An edge. Packages are looked up without importing them: their code is not ours to run.
"""

from __future__ import annotations

import difflib
import fnmatch
import hashlib
import importlib.util
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

import pyarrow as pa
from pyarrow import fs

from mlray.errors import MlrayError, SpecError, WorkError
from mlray.sources.files import Credentials, FileSource, StoredSource
from mlray.sources.piece import Found

Secrets = Callable[[str], str]
PACKAGE = "package://"
PACKED = (".gz", ".zip", ".zst", ".bz2")
CHUNK = 1 << 20
MAGIC = "*?["
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, pa.ArrowException, NotImplementedError)


def none(name: str) -> str:
    raise SpecError(f"the secret {name} cannot be read here", hint="pass the secrets of the vault")


@dataclass(frozen=True, slots=True)
class Place:
    """A file or folder: its URI, and where that is on its file system."""

    uri: str
    system: fs.FileSystem
    path: str

    def info(self) -> fs.FileInfo:
        return self.system.get_file_info(self.path)

    @property
    def packed(self) -> bool:
        return self.path.endswith(PACKED)


def absolute(uri: str, base: Path) -> str:
    """The URI that finds the same file on every node: packages are looked up where they are read, paths become whole."""
    if uri.startswith(PACKAGE) or "://" in uri:
        return uri
    whole = (base / uri).resolve()
    return f"file://{quote(str(whole), safe='/*?[]')}" if any(c in uri for c in MAGIC) else whole.as_uri()


def place(uri: str, source: StoredSource, secrets: Secrets = none) -> Place:
    """Where a URI is. Raises OSError or ValueError when nobody knows such a place."""
    if uri.startswith(PACKAGE):
        return Place(uri, fs.LocalFileSystem(), _in_package(uri))
    if source.credentials:
        return Place(uri, *_with_keys(uri, source.credentials, secrets))
    if uri.startswith("file://"):
        return Place(uri, fs.LocalFileSystem(), unquote(uri.removeprefix("file://")))
    if "://" not in uri:
        return Place(uri, fs.LocalFileSystem(), uri)
    try:
        return Place(uri, *fs.FileSystem.from_uri(uri))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return Place(uri, *_fsspec(uri))


def listed(uri: str, source: StoredSource, secrets: Secrets = none) -> tuple[Place, ...]:
    """The file of a URI; or the files of a folder or pattern, sorted by name. Hidden ones (_ and .) are left out."""
    start, pattern = _fixed(uri)
    there = place(start, source, secrets)
    info = there.info()
    if info.type == fs.FileType.NotFound:
        raise FileNotFoundError("no such file")
    if info.type == fs.FileType.File:
        return (there,)
    found = there.system.get_file_info(fs.FileSelector(there.path, recursive=True))
    names = sorted(i.path for i in found if i.type == fs.FileType.File and _shows(i.path, there.path))
    kept = [path for path in names if not pattern or fnmatch.fnmatchcase(path, f"{there.path.rstrip('/')}/{pattern}")]
    if not kept:
        raise FileNotFoundError("no file has such a name" if pattern else "the folder holds no file")
    return tuple(Place(beside(start, there.path, path), there.system, path) for path in kept)


def found_in(name: str, source: FileSource, base: Path, secrets: Secrets = none) -> tuple[Place, ...]:
    """The files of a source. Raises SpecError in one sentence, with what was probably meant."""
    uri = absolute(source.uri, base)
    with telling(f"source {name}: {shown(uri)}", uri):
        return listed(uri, source, secrets)


@contextmanager
def telling(where: str, uri: str = "") -> Iterator[None]:
    """Errors of file systems and of packed files become one sentence."""
    try:
        yield
    except MlrayError as error:
        raise SpecError(_prefixed(where, error.message), hint=error.hint) from error
    except (*BROKEN, ValueError) as error:
        raise SpecError(f"{where}: {why(error)}", hint=_hint(uri, error)) from error


def called(name: str, places: tuple[Place, ...]) -> str:
    """What a source is called in messages."""
    first = unquote(places[0].path.rstrip("/").rpartition("/")[2])
    return f"source {name} ({first})" if len(places) == 1 else f"source {name} ({len(places)} files)"


def changed(places: tuple[Place, ...]) -> datetime | None:
    """When the newest file was changed."""
    moments = [ns for info in infos(places) if (ns := info.mtime_ns)]
    return datetime.fromtimestamp(max(moments) / 1e9, UTC) if moments else None


def state(places: tuple[Place, ...]) -> str:
    """Names how files lie there, without reading them: size and time of change."""
    return hashlib.sha256(repr([(i.path, i.type.name, i.size, i.mtime_ns) for i in infos(places)]).encode()).hexdigest()


def unchanged(found: Found, source: StoredSource, secrets: Secrets = none) -> None:
    """Raises WorkError when a file changed while it was read: its rows would be none that the digest stands for."""
    if state(tuple(place(uri, source, secrets) for uri in found.units)) != found.fact("state"):
        raise WorkError(f"{found.where} changed while it was read", hint="run the ingest again when nobody writes to it")


def chunks(there: Place, size: int = CHUNK) -> Generator[bytes, None, None]:
    """The unpacked bytes in order. Raises WorkError when a packed file is broken."""
    try:
        if not there.path.endswith(".zip"):
            with there.system.open_input_stream(there.path) as stream:  # packing is seen by the name
                yield from iter(lambda: stream.read(size), b"")
            return
        with there.system.open_input_file(there.path) as file, zipfile.ZipFile(file) as packed, packed.open(_only(packed)) as member:
            yield from iter(lambda: member.read(size), b"")
    except FileNotFoundError:
        raise
    except BROKEN as error:
        raise WorkError(f"{shown(there.uri)}: {why(error, there.packed)}", hint="copy the file again") from error


def folder_of(uri: str, files: tuple[Place, ...]) -> str:
    """The folder that a file, folder or pattern names: what the paths of its files are told from."""
    start = _fixed(uri)[0].partition("?")[0]
    return start.rpartition("/")[0] if [file.uri for file in files] == [uri] else start


def digest(there: Place) -> str:
    """SHA-256 of the file as it lies there."""
    total, buffer = hashlib.sha256(), memoryview(bytearray(CHUNK))
    with there.system.open_input_file(there.path) as file:
        while count := file.readinto(buffer):
            total.update(buffer[:count])
    return total.hexdigest()


def name_of(there: Place) -> str:
    """What names the bytes of a file: the store's own entity tag where it has one, so that nothing is fetched twice; else its digest."""
    if not isinstance(there.system, fs.LocalFileSystem):
        with there.system.open_input_stream(there.path, compression=None) as stream:
            tags = stream.metadata() or {}
        if tag := tags.get(b"ETag"):
            return f"etag {tag.decode()} of {there.info().size} bytes"
    return digest(there)


def shown(uri: str) -> str:
    """A URI as people write it: a local file by its path."""
    return unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri.partition("?")[0]


def why(error: BaseException, packed: bool = False) -> str:
    """An error of a file system or archive in words. Only its first line: others may quote what was read."""
    if isinstance(error, FileNotFoundError):
        return str(error) if any(word in str(error) for word in ("package", "folder", "file has")) else "no such file"
    said = (str(error) or "it ends too early").split("\n")[0]
    if packed or isinstance(error, zipfile.BadZipFile | zlib.error | EOFError):
        return f"cannot be unpacked ({said})"
    return f"cannot be read ({said})"


def infos(places: tuple[Place, ...]) -> list[fs.FileInfo]:
    return places[0].system.get_file_info([place.path for place in places]) if places else []


def _prefixed(where: str, message: str) -> str:
    """`source NAME: PATH: what`, whichever of it a message has already."""
    source, _, path = where.partition(": ")
    if message.startswith(source):
        return message
    return f"{source}: {message}" if message.startswith(path) else f"{where}: {message}"


def _in_package(uri: str) -> str:
    package, _, path = uri.removeprefix(PACKAGE).partition("/")
    found = importlib.util.find_spec(package) if package.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(f"the package {package} is not installed here")
    return str(Path(next(iter(found.submodule_search_locations))) / path)


def _with_keys(uri: str, credentials: Credentials, secrets: Secrets) -> tuple[fs.FileSystem, str]:
    parts = urlsplit(uri)
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    access, secret = secrets(credentials.access_key.secret), secrets(credentials.secret_key.secret)
    if parts.scheme != "s3":
        path = f"{parts.username or parts.netloc}{unquote(parts.path)}"
        return fs.AzureFileSystem(account_name=access, account_key=secret, **options), path
    token = secrets(credentials.session_token.secret) if credentials.session_token else None
    system = fs.S3FileSystem(access_key=access, secret_key=secret, session_token=token, **options)
    return system, f"{parts.netloc}{unquote(parts.path)}"


def _fsspec(uri: str) -> tuple[fs.FileSystem, str]:
    """Any file system fsspec knows: HTTP, SFTP, memory, and what packages add to it."""
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(uri)
    except ImportError as missing:
        raise ValueError(f"needs a package that is not installed: {missing}") from missing
    return fs.PyFileSystem(fs.FSSpecHandler(system)), path


def _fixed(uri: str) -> tuple[str, str]:
    """(the folder before a pattern, the pattern); a URI without one is whole. In local paths that exist, signs mean themselves."""
    head, mark, query = uri.partition("?") if "://" in uri and not uri.startswith(("file://", PACKAGE)) else (uri, "", "")
    if not any(c in head for c in MAGIC) or (uri.startswith("file://") and Path(unquote(uri.removeprefix("file://"))).exists()):
        return uri, ""
    steps = head.split("/")
    first = next(i for i, step in enumerate(steps) if any(c in step for c in MAGIC))
    return "/".join(steps[:first]) + mark + query, "/".join(steps[first:])


def _shows(path: str, folder: str) -> bool:
    return not any(step.startswith(("_", ".")) and "=" not in step for step in path.removeprefix(folder).split("/"))


def beside(start: str, folder: str, path: str) -> str:
    """The URI of a file in a folder whose URI is known."""
    rest = path.removeprefix(folder).lstrip("/")
    if start.startswith(("file://", PACKAGE)):
        return f"{start.rstrip('/')}/{quote(rest) if start.startswith('file://') else rest}"
    parts = urlsplit(start)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{quote(rest)}"))


def _only(packed: zipfile.ZipFile) -> str:
    names = [name for name in packed.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
    if len(names) != 1:
        raise WorkError(f"holds {len(names)} files, not one", hint="pack one table into one file")
    return names[0]


def _hint(uri: str, error: BaseException) -> str:
    if uri.startswith(PACKAGE):
        return f"pip install {uri.removeprefix(PACKAGE).partition('/')[0]}"
    path = Path(shown(uri))
    near = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else [], n=1)
    return f"did you mean {near[0]}?" if near and not path.exists() else ""

"""Places: the files behind a URI, on whatever file system they lie. An edge: it lists them."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pyarrow import fs

from mlray.sources.files import FileSource, StoredSource
from mlray.sources.stores import Secrets as Secrets
from mlray.sources.stores import none as none
from mlray.sources.stores import store
from mlray.sources.troubles import PACKAGE, shown, told

PACKED = (".gz", ".zip", ".zst", ".bz2")
MAGIC = "*?["


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
    return Place(uri, *store(uri, source, secrets))


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
    with told(f"source {name}: {shown(uri)}", uri):
        return listed(uri, source, secrets)


def called(name: str, places: tuple[Place, ...]) -> str:
    """What a source is called in messages."""
    first = unquote(places[0].path.rstrip("/").rpartition("/")[2])
    return f"source {name} ({first})" if len(places) == 1 else f"source {name} ({len(places)} files)"


def folder_of(uri: str, files: tuple[Place, ...]) -> str:
    """The folder that a file, folder or pattern names: what the paths of its files are told from."""
    start = _fixed(uri)[0].partition("?")[0]
    return start.rpartition("/")[0] if [file.uri for file in files] == [uri] else start


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

"""Contents: the bytes of a file, unpacked; what names them; and whether they changed. An edge."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Generator
from datetime import UTC, datetime

from pyarrow import fs

from mlray.errors import WorkError
from mlray.sources.files import StoredSource
from mlray.sources.piece import Found
from mlray.sources.places import Place, place
from mlray.sources.stores import Secrets, none
from mlray.sources.troubles import BROKEN, out_of_reach, shown, why

CHUNK = 1 << 20


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
        if out_of_reach(error) and not there.packed:
            raise
        raise WorkError(f"{shown(there.uri)}: {why(error, there.packed)}", hint="copy the file again") from error


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


def infos(places: tuple[Place, ...]) -> list[fs.FileInfo]:
    return places[0].system.get_file_info([place.path for place in places]) if places else []


def _only(packed: zipfile.ZipFile) -> str:
    names = [name for name in packed.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
    if len(names) != 1:
        raise WorkError(f"holds {len(names)} files, not one", hint="pack one table into one file")
    return names[0]

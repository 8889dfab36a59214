"""Files as they are, a row a file: images, sound, documents. Pillow is asked only for what it alone knows."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa

from mlray.errors import WorkError
from mlray.sources import contents, filed, places, troubles, typed
from mlray.sources.base import OnBad
from mlray.sources.files import FILE_COLUMNS, IMAGE_COLUMNS, BinarySource, ImageSource
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Place, Secrets, none
from mlray.sources.shape import Taken, shape
from mlray.sources.units import named

AnyFiles = BinarySource | ImageSource
OF_IMAGES = ("width", "height", "format")
MOST_BYTES = 64 << 20  # of one piece, where bytes are wanted: they are all in memory at once
unchanged = contents.unchanged


@dataclass(frozen=True, slots=True)
class Image:
    """What Pillow tells of an image without unpacking it."""

    width: int
    height: int
    format: str


def find(name: str, source: AnyFiles, base: Path, rows_per_piece: int, secrets: Secrets = none) -> Found:
    """Every file under the URI. A row is named by the file's bytes and its path, so pieces are named by those of their files."""
    files = places.found_in(name, source, base, secrets)
    where = places.called(name, files)
    columns = IMAGE_COLUMNS if isinstance(source, ImageSource) else FILE_COLUMNS
    taken = shape(source, columns, where)
    folder = places.folder_of(places.absolute(source.uri, base), files)
    infos, state = contents.infos(files), contents.state(files)
    with troubles.told(f"source {name}: {troubles.shown(files[0].uri)}"), ThreadPoolExecutor(filed.AT_ONCE) as pool:
        names = list(pool.map(contents.name_of, files))
    # The row of a file is made of nothing else, so a file that moves with its folder is the same row.
    rows = [
        named(bytes_are, _path(there.uri, folder), info.mtime_ns if _wants(taken, "modified") else None)
        for bytes_are, there, info in zip(names, files, infos, strict=True)
    ]
    pieces = tuple(
        Piece(number, start, start, stop, named(*rows[start:stop]), start + 1)
        for number, (start, stop) in enumerate(_cuts([info.size for info in infos], rows_per_piece, taken))
    )
    facts = (("state", state), ("folder", folder))
    return Found(
        name, where, tuple(f.uri for f in files), named(*rows), tuple(columns.items()), pieces, len(files), contents.changed(files), facts
    )


def read(found: Found, source: AnyFiles, pieces: Sequence[Piece], secrets: Secrets = none) -> Iterator[tuple[Piece, pa.Table]]:
    taken = shape(source, dict(found.columns), found.where)
    for piece in pieces:
        files = [places.place(uri, source, secrets) for uri in found.units[piece.start : piece.stop]]
        yield piece, typed.numbered(rows(files, taken, found), piece.first)


def rows(files: Sequence[Place], taken: tuple[Taken, ...], found: Found) -> pa.Table:
    infos = [there.info() for there in files]
    data = [_bytes(there, found) for there in files] if _wants(taken, "bytes", *OF_IMAGES) else []
    images = [_image(raw) for raw in data] if _wants(taken, *OF_IMAGES) else []
    _refuse_others(files, images, taken, found)
    values: dict[str, list[object]] = {
        "bytes": list(data),
        "path": [_path(there.uri, found.fact("folder")) for there in files],
        "size": [info.size for info in infos],
        "modified": [datetime.fromtimestamp(info.mtime_ns / 1e9, UTC) if info.mtime_ns else None for info in infos],
        **{name: [getattr(image, name, None) for image in images] for name in OF_IMAGES},
    }
    table = pa.table({column.here: pa.array(values[column.there], typed.ARROW[column.kind]) for column in taken})
    if typed.rejecting(taken):
        rejects = any(column.on_bad is OnBad.REJECT and column.there in OF_IMAGES for column in taken)
        reasons = ["not an image" if rejects and image is None else None for image in images] or [None] * len(files)
        table = table.append_column(typed.UNREADABLE, pa.array(reasons, pa.string()))
    return table


def _refuse_others(files: Sequence[Place], images: Sequence[Image | None], taken: tuple[Taken, ...], found: Found) -> None:
    strict = any(column.there in OF_IMAGES and column.on_bad is OnBad.REFUSE for column in taken)
    if strict and None in images:
        raise WorkError(f"{found.where}: file {found.units.index(files[images.index(None)].uri) + 1} is not an image", hint=typed.CORRECT)


def _image(raw: bytes) -> Image | None:
    from PIL import Image as pillow
    from PIL import UnidentifiedImageError

    try:
        with pillow.open(io.BytesIO(raw)) as image:
            return Image(*image.size, (image.format or "").lower())
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, pillow.DecompressionBombError):
        return None


def _bytes(there: Place, found: Found) -> bytes:
    try:
        with there.system.open_input_stream(there.path, compression=None) as stream:
            return bytes(stream.read())
    except OSError as error:
        raise WorkError(f"{found.where}: a file of it {troubles.why(error)}", hint="run the ingest again") from error


def _cuts(sizes: Sequence[int], most: int, taken: tuple[Taken, ...]) -> Iterator[tuple[int, int]]:
    whole = _wants(taken, "bytes", *OF_IMAGES)
    start = held = 0
    for at, size in enumerate(sizes):
        if at > start and (at - start >= most or (whole and held + size > MOST_BYTES)):
            yield start, at
            start, held = at, 0
        held += size or 0
    if sizes:
        yield start, len(sizes)


def _path(uri: str, folder: str) -> str:
    """Where a file is, below the folder that was declared."""
    return unquote(uri.removeprefix(folder).lstrip("/").partition("?")[0])


def _wants(taken: tuple[Taken, ...], *names: str) -> bool:
    return any(column.there in names for column in taken)

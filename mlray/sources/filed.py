"""What all formats of files share: find the files, look into each, and put them together. An edge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

from mlray.sources import contents, places, troubles
from mlray.sources.files import FileSource, StoredSource
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Place, Secrets
from mlray.sources.units import Unit, together

AT_ONCE = 8  # files looked into at the same time: an object store answers late, and hashing uses no lock


def find(name: str, source: FileSource, base: Path, secrets: Secrets, look: Callable[[Place], Unit], *facts: tuple[str, str]) -> Found:
    """Raises SpecError naming the file that is missing, broken or has other columns."""

    files = places.found_in(name, source, base, secrets)
    state = contents.state(files)  # before they are looked into, so that no change falls between
    units = looked(name, files, look)
    return together(name, places.called(name, files), source, units, contents.changed(files), (("state", state), *facts))


def looked(name: str, files: Sequence[Place], look: Callable[[Place], Unit]) -> list[Unit]:
    """What each file holds, several looked into at a time."""

    def told(there: Place) -> Unit:
        with troubles.told(f"source {name}: {troubles.shown(there.uri)}", there.uri):
            return look(there)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(told, files))


def by_file(found: Found, source: StoredSource, pieces: Sequence[Piece], secrets: Secrets) -> Iterator[tuple[int, Place, list[Piece]]]:
    """(unit, its file, its pieces) in order."""
    for unit, group in groupby(pieces, key=lambda piece: piece.unit):
        yield unit, places.place(found.units[unit], source, secrets), list(group)

"""Troubles: what file systems, archives and Arrow say when something is wrong, as one sentence. An edge: it looks what was meant."""

from __future__ import annotations

import difflib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa

from mlray.errors import MlrayError, SpecError

PACKAGE = "package://"
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, pa.ArrowException, NotImplementedError)


@contextmanager
def told(where: str, uri: str = "") -> Iterator[None]:
    """Errors of file systems and of packed files become one sentence."""
    try:
        yield
    except MlrayError as error:
        raise SpecError(_prefixed(where, error.message), hint=error.hint) from error
    except (*BROKEN, ValueError) as error:
        raise SpecError(f"{where}: {why(error)}", hint=_hint(uri, error)) from error


def shown(uri: str) -> str:
    """A URI as people write it: a local file by its path."""
    return unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri.partition("?")[0]


def why(error: BaseException, packed: bool = False) -> str:
    """An error of a file system or archive in words. Only its first line: others may quote what was read."""
    if isinstance(error, FileNotFoundError):
        return str(error) if any(word in str(error) for word in ("package", "folder", "file has")) else "no such file"
    if isinstance(error, UnicodeError | pa.ArrowException) and not isinstance(error, OSError):
        return f"cannot be read ({type(error).__name__})"  # what they say may quote a value
    said = (str(error) or "it ends too early").split("\n")[0]
    if packed or isinstance(error, zipfile.BadZipFile | zlib.error | EOFError):
        return f"cannot be unpacked ({said})"
    return f"cannot be read ({said})"


def out_of_reach(error: BaseException) -> bool:
    """Whether a store did not answer, or a disk: what was read is not known to be broken, and may be had later."""
    said = str(error)
    return isinstance(error, OSError) and (error.errno is not None or any(word in said for word in ("AWS Error", "google::cloud", "Azure")))


def _prefixed(where: str, message: str) -> str:
    """`source NAME: PATH: what`, whichever of it a message has already."""
    source, _, path = where.partition(": ")
    if message.startswith(source):
        return message
    return f"{source}: {message}" if message.startswith(path) else f"{where}: {message}"


def _hint(uri: str, error: BaseException) -> str:
    if uri.startswith(PACKAGE):
        return f"pip install {uri.removeprefix(PACKAGE).partition('/')[0]}"
    path = Path(shown(uri))
    near = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else [], n=1)
    return f"did you mean {near[0]}?" if near and not path.exists() else ""

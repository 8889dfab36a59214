"""Stores: the file system a URI speaks of, opened with the keys that are declared or those of the environment.

An edge. Packages are looked up without importing them: their code is not ours to run.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

from mlray.errors import SpecError
from mlray.sources.files import Credentials, StoredSource
from mlray.sources.troubles import PACKAGE

Secrets = Callable[[str], str]


def none(name: str) -> str:
    raise SpecError(f"the secret {name} cannot be read here", hint="pass the secrets of the vault")


def store(uri: str, source: StoredSource, secrets: Secrets) -> tuple[fs.FileSystem, str]:
    """(file system, path on it). Raises OSError or ValueError when nobody knows such a place."""
    if uri.startswith(PACKAGE):
        return fs.LocalFileSystem(), _in_package(uri)
    if source.credentials:
        return _with_keys(uri, source.credentials, secrets)
    if uri.startswith("file://"):
        return fs.LocalFileSystem(), unquote(uri.removeprefix("file://"))
    if "://" not in uri:
        return fs.LocalFileSystem(), uri
    try:
        return fs.FileSystem.from_uri(uri)  # type: ignore[no-any-return]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _fsspec(uri)


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

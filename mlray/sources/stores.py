"""Stores: the file system a URI speaks of, opened with the keys that are declared or those of the environment.

An edge. Packages are looked up without importing them: their code is not ours to run.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

from mlray.errors import SpecError
from mlray.sources.files import Credentials, StoredSource
from mlray.sources.troubles import PACKAGE

Secrets = Callable[[str], str]
ATTEMPTS = 8  # of a call to S3, each waiting longer: a store that fails one call in ten fails one in a hundred million so


def none(name: str) -> str:
    raise SpecError(f"the secret {name} cannot be read here", hint="pass the secrets of the vault")


def store(uri: str, source: StoredSource, secrets: Secrets) -> tuple[fs.FileSystem, str]:
    """(file system, path on it). Raises OSError or ValueError when nobody knows such a place."""
    if uri.startswith(PACKAGE):
        return fs.LocalFileSystem(), _in_package(uri)
    if uri.startswith("s3://"):
        return _s3(uri, source.credentials, secrets)
    if source.credentials:
        return _azure(uri, source.credentials, secrets)
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


def _azure(uri: str, credentials: Credentials, secrets: Secrets) -> tuple[fs.FileSystem, str]:
    parts = urlsplit(uri)
    account, key = secrets(credentials.access_key.secret), secrets(credentials.secret_key.secret)
    return fs.AzureFileSystem(account_name=account, account_key=key, **dict(parse_qsl(parts.query))), (
        f"{parts.username or parts.netloc}{unquote(parts.path)}"
    )


def _s3(uri: str, credentials: Credentials | None, secrets: Secrets) -> tuple[fs.FileSystem, str]:
    parts = urlsplit(uri)
    keys: dict[str, str] = {}
    if credentials:
        named = {"access_key": credentials.access_key, "secret_key": credentials.secret_key, "session_token": credentials.session_token}
        keys = {name: secrets(secret.secret) for name, secret in named.items() if secret}
    return _bucket(parts.netloc, parts.query, tuple(keys.items())), f"{parts.netloc}{unquote(parts.path)}"


@lru_cache(64)  # a source may be thousands of files, and to ask where a bucket lies takes a call
def _bucket(name: str, query: str, keys: tuple[tuple[str, str], ...]) -> fs.FileSystem:
    options: dict[str, Any] = dict(parse_qsl(query)) | dict(keys)
    if options.pop("anonymous", "") == "true":
        options["anonymous"] = True
    if not {"region", "endpoint_override"} & options.keys():
        options["region"] = fs.resolve_s3_region(name)
    # Not the standard strategy: it has a budget of retries, which a store that fails one call in five uses up.
    return fs.S3FileSystem(retry_strategy=fs.AwsDefaultS3RetryStrategy(max_attempts=ATTEMPTS), **options)


def _fsspec(uri: str) -> tuple[fs.FileSystem, str]:
    """Any file system fsspec knows: HTTP, SFTP, memory, and what packages add to it."""
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(uri)
    except ImportError as missing:
        raise ValueError(f"needs a package that is not installed: {missing}") from missing
    return fs.PyFileSystem(fs.FSSpecHandler(system)), path

"""Objects: named bytes in an object store, through PyArrow's filesystem and, where a name is claimed in S3, boto3.

A store that answers some calls with an error is asked again; one that goes on failing ends as one OSError. A write is one object:
readers see the old bytes or the new ones.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

T = TypeVar("T")
TRIES = 3  # each of several tries by the library below, which take it about seven seconds
PAUSE_S = 0.1  # doubled each time, and up to as much again by chance: many writers do not come back at once
ONE_REQUEST = 1 << 30
FOR_GOOD = ("ACCESS_DENIED", "NO_SUCH_BUCKET", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH")  # asking again changes nothing
TAKEN = ("PreconditionFailed", "412")


class Objects:
    """Bytes by full path, `root` included."""

    def __init__(self, uri: str, system: fs.FileSystem) -> None:
        self._uri, self._fs = uri, system
        self._tries = 1 if isinstance(system, fs.LocalFileSystem) else TRIES

    @property
    def exact(self) -> bool:
        """Whether of two that claim a name at the same moment one is told that it lost."""
        return self._s3 is not None

    def read(self, path: str) -> bytes:
        def act() -> bytes:
            with self._fs.open_input_stream(path) as stream:
                return bytes(stream.read())

        return self._again(act)

    def write(self, path: str, data: bytes | pa.Buffer) -> None:
        """One request where it can be: PyArrow's is a multipart upload of four."""

        def act() -> None:
            with self._fs.open_output_stream(path) as stream:
                stream.write(data)

        self._again(act if self._s3 is None or len(data) > ONE_REQUEST else lambda: self._put(path, bytes(data)))

    def claim(self, path: str, data: bytes | pa.Buffer) -> bool:
        """False when the name is taken, by other bytes than these: a try whose answer was lost may have been the one that took it."""
        if self._s3 is not None:
            return self._again(lambda: self._put(path, bytes(data), IfNoneMatch="*")) or self._holds(path, data)
        if self._again(lambda: self._fs.get_file_info([path])[0].type) != fs.FileType.NotFound:
            return self._holds(path, data)
        self.write(path, data)
        return True

    def listed(self, folder: str) -> list[fs.FileInfo]:
        return self._again(lambda: list(self._fs.get_file_info(fs.FileSelector(folder, allow_not_found=True))))

    def info(self, path: str) -> fs.FileInfo:
        return self._again(lambda: self._fs.get_file_info([path])[0])

    def remove(self, folder: str) -> None:
        self._again(lambda: self._fs.delete_dir(folder))

    def remove_file(self, path: str) -> None:
        self._again(lambda: self._fs.delete_file(path))

    def _holds(self, path: str, data: bytes | pa.Buffer) -> bool:
        try:
            return self.read(path) == bytes(data)
        except FileNotFoundError:
            return False

    def _put(self, path: str, data: bytes, **condition: str) -> bool:
        """Whether the object was written; with IfNoneMatch, not when there is one."""
        from botocore.exceptions import BotoCoreError, ClientError

        bucket, _, key = path.partition("/")
        try:
            self._s3.put_object(Bucket=bucket, Key=key, Body=data, **condition)
            return True
        except ClientError as error:
            if error.response["Error"]["Code"] in TAKEN:
                return False
            raise OSError(str(error)) from error
        except BotoCoreError as error:
            raise OSError(str(error)) from error

    def _again(self, act: Callable[[], T]) -> T:
        """What the call gives, after a few tries if need be. FileNotFoundError is an answer, not a failure."""
        for number in range(self._tries):
            try:
                return act()
            except FileNotFoundError:
                raise
            except OSError as error:
                if number == self._tries - 1 or any(word in str(error) for word in FOR_GOOD):
                    raise
                time.sleep(PAUSE_S * 2**number * (1 + random.random()))
        raise AssertionError("unreachable")

    @cached_property
    def _s3(self) -> Any:
        """boto3's client for the same place; None for other stores, or without the extra `aws`."""
        parts = urlsplit(self._uri)
        if parts.scheme != "s3":
            return None
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            return None
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        endpoint = query.get("endpoint_override")
        return boto3.client(
            "s3",
            endpoint_url=f"{query.get('scheme', 'https')}://{endpoint}" if endpoint else None,
            region_name=query.get("region") or getattr(self._fs, "region", None),
            aws_access_key_id=unquote(parts.username) if parts.username else None,
            aws_secret_access_key=unquote(parts.password) if parts.password else None,
            config=Config(retries={"max_attempts": 3, "mode": "standard"}),
        )

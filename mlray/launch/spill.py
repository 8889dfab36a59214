"""Sealed spill: what Ray moves from memory to disk is encrypted on the way, with a key that ends with the cluster.

Ray 2.60 lets a cluster choose among its own spill classes and not bring one, so `shim/sitecustomize.py` puts SealedStorage in
the place of Ray's `smart_open` class, in the processes that spill. That class keeps Ray's raylets from reading the files
themselves, which they do for type `filesystem`. Its parameters are the lock: Ray's own class does not know `sealed_in`, so
where the shim is not in effect, the head does not start and a worker that should spill ends, and nothing is in clear.

One object is a run of AES-256-GCM segments of 1 MiB. The key is derived from the cluster's and the file's name; the nonce
is the segment's place in the file and whether it is the object's last: none can be moved, dropped or added.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from ray._private import external_storage, services

from mlray.errors import TamperError
from mlray.vault.keyring import DataKey

SEGMENT, TAG = 1 << 20, 16


class SealedStorage(external_storage.ExternalStorage):
    """Ray's spill interface over sealed files in one folder that every node of the cluster reaches."""

    def __init__(self, node_id: str, sealed_in: str, key_file: str) -> None:
        super().__init__()
        self._folder, self._node = Path(sealed_in), node_id
        self._key = DataKey(bytes.fromhex(Path(key_file).read_text()))

    def spill_objects(self, object_refs: list[Any], owner_addresses: list[bytes]) -> list[bytes]:
        """The URLs of the objects, all in one file."""
        path = self._folder / f"{self._node}-{uuid.uuid4().hex}"
        cipher, objects = self._cipher(path), zip(self._get_objects_from_store(object_refs), owner_addresses, strict=True)
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                places = [_write(file, cipher, data, metadata, owner) for (data, metadata, _), owner in objects]
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return [external_storage.create_url_with_offset(url=path, offset=at, size=size).encode() for at, size in places]

    def restore_spilled_objects(self, object_refs: list[Any], url_with_offset_list: list[bytes]) -> int:
        """Puts the objects back into the store; the number of their bytes."""
        return sum(self._restore(ref, url.decode()) for ref, url in zip(object_refs, url_with_offset_list, strict=True))

    def delete_spilled_objects(self, urls: list[bytes]) -> None:
        """Ray asks once all objects of a file are out of use; a second time is harmless."""
        for url in urls:
            Path(external_storage.parse_url_with_offset(url.decode()).base_url).unlink(missing_ok=True)

    def destroy_external_storage(self) -> None:
        """Nothing: the folder goes with the cluster."""

    def _restore(self, ref: Any, url: str) -> int:
        place = external_storage.parse_url_with_offset(url)
        with open(place.base_url, "rb") as file:
            plain = SealedReader(file, self._cipher(Path(place.base_url)), place.offset, place.size)
            owner_bytes, metadata_bytes, data_bytes = (int.from_bytes(plain.take(8), "little") for _ in range(3))
            owner, metadata = plain.take(owner_bytes), plain.take(metadata_bytes)
            self._put_object_to_store(metadata, data_bytes, plain, ref, owner)
        return data_bytes

    def _cipher(self, path: Path) -> AESGCM:
        return AESGCM(self._key.derive(f"spill {path.name}").secret())


class SealedReader:
    """The plain bytes of one object, opened a segment at a time. Raises TamperError before it gives a changed byte."""

    def __init__(self, file: BinaryIO, cipher: AESGCM, start: int, size: int) -> None:
        self._file, self._cipher, self._at, self._end = file, cipher, start, start + size
        self._plain = memoryview(b"")

    def readinto(self, into: memoryview) -> int:
        """Fills some of `into`. Never 0: whoever wants more than there is would ask forever."""
        if not self._plain:
            self._plain = memoryview(self._open_next())
        count = min(len(into), len(self._plain))
        into[:count], self._plain = self._plain[:count], self._plain[count:]
        return count

    def take(self, count: int) -> bytes:
        """Exactly that many bytes."""
        out, got = bytearray(count), 0
        while got < count:
            got += self.readinto(memoryview(out)[got:])
        return bytes(out)

    def _open_next(self) -> bytes:
        self._file.seek(self._at)
        sealed = self._file.read(min(SEGMENT + TAG, self._end - self._at))
        try:
            plain = self._cipher.decrypt(_nonce(self._at, self._at + len(sealed) == self._end), sealed, None)
        except (InvalidTag, ValueError) as changed:
            raise TamperError(f"a spilled object was changed on disk, near byte {self._at} of its file") from changed
        self._at += len(sealed)
        return plain


def write_sealed(file: BinaryIO, cipher: AESGCM, head: bytes, data: memoryview) -> tuple[int, int]:
    """`head` and `data` as one run of segments; where it starts and its size. Holds one segment in memory at a time."""
    start = file.tell()
    for segment, last in _segments(head, data):
        file.write(cipher.encrypt(_nonce(file.tell(), last), segment, None))
    return start, file.tell() - start


def install(memory: str) -> None:
    """Makes this process, a `ray start` or one that spills, use SealedStorage, and `memory` for what the store cannot hold.

    Objects that fit neither the store nor, at that moment, the spill go to files in the session folder otherwise: in clear,
    on disk. `memory` is a folder in /dev/shm.
    """
    external_storage.ExternalStorageSmartOpenImpl = SealedStorage
    original = services.determine_plasma_store_config
    services.determine_plasma_store_config = lambda *given, **named: original(*given, **{**named, "fallback_directory": memory})


def _write(file: BinaryIO, cipher: AESGCM, data: Any, metadata: bytes, owner: bytes) -> tuple[int, int]:
    if data is None and not metadata:
        raise ValueError("an object to be spilled is not in the store")
    return write_sealed(file, cipher, _head(owner, metadata, data), memoryview(b"" if data is None else data))


def _segments(head: bytes, data: memoryview) -> Iterator[tuple[bytes | memoryview, bool]]:
    """The bytes in pieces of SEGMENT, and whether each is the last. The first holds all of `head`: Ray's are below 1 KiB."""
    rest = SEGMENT - len(head)
    if rest < 0:
        raise ValueError(f"{len(head)} bytes of owner and metadata before an object, more than a segment")
    yield head + bytes(data[:rest]), len(data) <= rest
    for at in range(rest, len(data), SEGMENT):
        yield data[at : at + SEGMENT], at + SEGMENT >= len(data)


def _nonce(at: int, last: bool) -> bytes:
    return at.to_bytes(11, "big") + bytes([last])


def _head(owner: bytes, metadata: bytes, data: Any) -> bytes:
    """What Ray writes before an object: three lengths, then its owner's address and its metadata."""
    sizes = (len(owner), len(metadata), 0 if data is None else len(data))
    return b"".join((*(size.to_bytes(8, "little") for size in sizes), owner, metadata))

"""How bytes are encrypted, and bound to the one place they belong to.

`context` says what the bytes are: kind, name and file. It goes into the derived key, so a valid file in another place does
not open. Wrong key, wrong place and changed bytes cannot be told apart, and none of them opens: all are TamperError. Tables
are in tables.py.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mlray.errors import TamperError
from mlray.vault.keyring import DataKey

FORMAT = 2
MAGIC = b"MLRAYS1\n"
MAGICS = (MAGIC, b"PARE")  # how sealed files begin: ours, and Parquet with an encrypted footer
SEGMENT = 1 << 20  # at 64 MiB a segment, AES-GCM fell from 3993 to 720 MB/s on copying alone
TAG, MAC = 16, 32


def seal_bytes(key: DataKey, data: bytes, context: str) -> bytes:
    """MAGIC, 32 bytes of MAC over the plain bytes, then AES-256-GCM segments of 1 MiB.

    The file's key is derived from that MAC (as in SIV, RFC 5297). So no nonce can meet two different messages, no randomness
    is needed, sealing twice gives the same bytes, and the MAC commits to the key, which GCM alone does not.
    """
    bound = key.derive(f"sealed {context}")
    mac = bound.derive("mac").mac(data)
    cipher = AESGCM(bound.derive(f"file {mac.hex()}").secret())
    last = _last_segment(len(data))
    segments = (cipher.encrypt(_nonce(i, i == last), data[i * SEGMENT : (i + 1) * SEGMENT], MAGIC) for i in range(last + 1))
    return b"".join((MAGIC, mac, *segments))


def open_bytes(key: DataKey, sealed: bytes, context: str) -> bytes:
    """The plain bytes. Raises TamperError naming the context; nothing of a changed file is returned."""
    bound = key.derive(f"sealed {context}")
    mac, body = sealed[len(MAGIC) : len(MAGIC) + MAC], sealed[len(MAGIC) + MAC :]
    if not sealed.startswith(MAGIC) or len(body) < TAG:
        raise TamperError(f"{context}: not sealed bytes")
    try:
        data = b"".join(_opened(AESGCM(bound.derive(f"file {mac.hex()}").secret()), body))
    except InvalidTag as changed:
        raise refusal(context) from changed
    if not hmac.compare_digest(mac, bound.derive("mac").mac(data)):
        raise refusal(context)
    return data


def seal_key(key: DataKey, inner: DataKey, context: str) -> str:
    """A file's key under the version's, as hex.

    The nonce comes from the inner key, which is random and sealed once: none can meet two messages, and no randomness is needed.
    """
    outer = key.derive("keys of files")
    bound = f"mlray file key of {context}".encode()
    nonce = outer.mac(inner.secret() + bound)[:12]
    return (nonce + AESGCM(outer.secret()).encrypt(nonce, inner.secret(), bound)).hex()


def open_key(key: DataKey, sealed: str, what: str, context: str) -> DataKey:
    """Raises TamperError beginning with `what`."""
    try:
        data, bound = bytes.fromhex(sealed), f"mlray file key of {context}".encode()
        return DataKey(AESGCM(key.derive("keys of files").secret()).decrypt(data[:12], data[12:], bound))
    except (InvalidTag, ValueError) as changed:
        raise TamperError(f"{what}: its key does not open with the key of its version") from changed


def _opened(cipher: AESGCM, body: bytes) -> Iterator[bytes]:
    """Each segment is opened under its number, and the last one as the last: none can be moved, dropped or added."""
    step = SEGMENT + TAG
    last = (len(body) - 1) // step
    for i in range(last + 1):
        yield cipher.decrypt(_nonce(i, i == last), body[i * step : (i + 1) * step], MAGIC)


def _last_segment(size: int) -> int:
    return max(0, (size - 1) // SEGMENT)


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def refusal(context: str) -> TamperError:
    return TamperError(f"{context}: the bytes were changed, moved here from elsewhere, or sealed with another key")

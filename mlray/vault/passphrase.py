"""Bytes sealed under a passphrase, for a keyring that leaves its home.

A first line says how the key is made from the passphrase (scrypt, RFC 7914), AES-256-GCM seals the rest with that line bound in.
The cost is OWASP's for scrypt: 128 MiB and about half a second for each guess.
"""

from __future__ import annotations

import json

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from mlray.errors import KeyringError, SpecError
from mlray.vault.keyring import KEY_BYTES, Entropy
from mlray.vault.masters import NONCE_BYTES

COST, BLOCK, LANES = 2**17, 8, 1
MOST_COST = 2**20  # a forged first line must not take all memory
SHORTEST = 12


def seal(data: bytes, passphrase: str, entropy: Entropy) -> bytes:
    """Raises SpecError for a passphrase that is too short to be one."""
    if len(passphrase) < SHORTEST:
        raise SpecError(f"the passphrase has fewer than {SHORTEST} characters", hint="four random words are a good one")
    salt, nonce = entropy(16), entropy(NONCE_BYTES)
    line = json.dumps({"kdf": "scrypt", "n": COST, "r": BLOCK, "p": LANES, "salt": salt.hex(), "nonce": nonce.hex()}).encode()
    return line + b"\n" + AESGCM(_key(passphrase, salt, COST, BLOCK, LANES)).encrypt(nonce, data, line)


def unseal(sealed: bytes, passphrase: str) -> bytes:
    """Raises KeyringError for another passphrase, or changed bytes: which of the two cannot be known."""
    line, _, body = sealed.partition(b"\n")
    try:
        how = json.loads(line)
        if how["kdf"] != "scrypt" or how["n"] > MOST_COST or how["r"] > 2 * BLOCK or how["p"] > 4:
            raise ValueError("not made by mlray")
        key = _key(passphrase, bytes.fromhex(how["salt"]), how["n"], how["r"], how["p"])
        return AESGCM(key).decrypt(bytes.fromhex(how["nonce"]), body, line)
    except (InvalidTag, ValueError, KeyError, TypeError) as wrong:
        raise KeyringError("the keyring in the backup does not open: another passphrase, or it was changed") from wrong


def _key(passphrase: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    return Scrypt(salt, KEY_BYTES, cost, block, lanes).derive(passphrase.encode())

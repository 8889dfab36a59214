"""What is sealed under a passphrase opens with it alone."""

from __future__ import annotations

import json
import os

import pytest

from mlray.errors import KeyringError, SpecError
from mlray.vault.passphrase import seal, unseal

PASSPHRASE = "correct horse battery staple"
SEALED = seal(b"the keyring", PASSPHRASE, os.urandom)


def test_the_bytes_come_back_with_the_passphrase_and_hide_without():
    assert unseal(SEALED, PASSPHRASE) == b"the keyring" and b"keyring" not in SEALED
    assert seal(b"the keyring", PASSPHRASE, os.urandom) != SEALED


def test_another_passphrase_or_a_changed_byte_opens_nothing():
    for wrong in (PASSPHRASE + " ", ""):
        with pytest.raises(KeyringError, match="another passphrase, or it was changed"):
            unseal(SEALED, wrong)
    for at in (20, len(SEALED) - 1):
        with pytest.raises(KeyringError):
            unseal(SEALED[:at] + bytes([SEALED[at] ^ 1]) + SEALED[at + 1 :], PASSPHRASE)
    for cut in (b"", SEALED[:40], b"{}\nabc", b"\xff\xfe"):
        with pytest.raises(KeyringError):
            unseal(cut, PASSPHRASE)


def test_a_first_line_that_asks_for_all_memory_is_refused():
    line, _, body = SEALED.partition(b"\n")
    with pytest.raises(KeyringError):
        unseal(json.dumps(json.loads(line) | {"n": 2**30}).encode() + b"\n" + body, PASSPHRASE)


def test_a_short_passphrase_is_refused_and_not_repeated():
    with pytest.raises(SpecError, match="fewer than 12 characters") as refused:
        seal(b"x", "hunter2", os.urandom)
    assert "hunter2" not in str(refused.value)

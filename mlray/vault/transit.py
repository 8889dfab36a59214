"""TransitMaster: a master key in the transit engine of HashiCorp Vault or OpenBao; the key never leaves the service.

What a wrapped key is for goes along as associated data, and as the context of a key made with derivation: whichever the key
has binds it. The token comes from VAULT_TOKEN or BAO_TOKEN, as for every tool of theirs.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from mlray.errors import KeyringError, SpecError
from mlray.vault.keyring import KeyId, Scope, Stays, WrappedKey
from mlray.vault.masters import cannot_open
from mlray.vault.remote import RECENT, TIMEOUT_S, Place, Recent

KIND = "transit"


class TransitMaster(Stays):
    """One version of a transit key. It wraps with exactly this version, so its id says what is needed to open."""

    def __init__(
        self, address: str, mount: str, key: str, scope: Scope, version: int, timeout_s: float = TIMEOUT_S, recent: Recent = RECENT
    ) -> None:
        self.scope, self._version, self._timeout_s, self._recent = scope, version, timeout_s, recent
        self._address, self._mount, self._key = address, mount, key
        self.id = KeyId(f"{scope}:{KIND}:{mount}/{key}#{version}")

    @classmethod
    def of(cls, entry: dict[str, Any], scope: Scope) -> TransitMaster:
        return cls(entry["address"], entry["mount"], entry["key"], scope, int(entry["version"]))

    def entry(self, version: int) -> dict[str, Any]:
        """What the keyring file says of it; no secret."""
        return {
            "kind": KIND,
            "scope": self.scope,
            "id": TransitMaster(self._address, self._mount, self._key, self.scope, version).id,
            "address": self._address,
            "mount": self._mount,
            "key": self._key,
            "version": version,
        }

    def wrap(self, secret: bytes, purpose: str) -> WrappedKey:
        _ = self._seen  # Vault makes an absent key when asked to encrypt with it; ours must be there already
        with self._told(purpose):
            answer = self._transit.encrypt_data(
                self._key, _base64(secret), **self._bound(purpose), key_version=self._version, mount_point=self._mount
            )
        sealed = str(answer["data"]["ciphertext"]).encode()
        self._recent.put(self.id, sealed, purpose, secret)
        return WrappedKey(self.id, sealed, scope=self.scope)

    def unwrap(self, wrapped: WrappedKey, purpose: str) -> bytes:
        known = self._recent.get(self.id, wrapped.ciphertext, purpose)
        if known is not None:
            return known
        with self._told(purpose):
            text = wrapped.ciphertext.decode(errors="replace")
            answer = self._transit.decrypt_data(self._key, text, **self._bound(purpose), mount_point=self._mount)
            secret = base64.b64decode(answer["data"]["plaintext"], validate=True)
        self._recent.put(self.id, wrapped.ciphertext, purpose, secret)
        return secret

    def check(self) -> None:
        oldest = int(self._read()["min_decryption_version"])
        if oldest > self._version:
            raise self._place.unusable(f"no longer opens: the service decrypts from version {oldest} on")

    @property
    def latest(self) -> int:
        """The newest version the service has."""
        return int(self._read()["latest_version"])

    def rotate(self) -> None:
        with self._told("rotation"):
            self._transit.rotate_key(self._key, mount_point=self._mount)

    def _read(self) -> dict[str, Any]:
        with self._told("a look at the key"):
            found: dict[str, Any] = self._transit.read_key(self._key, mount_point=self._mount)["data"]
        return found

    @cached_property
    def _seen(self) -> bool:
        self.check()
        return True

    def _bound(self, purpose: str) -> dict[str, str]:
        bound = _base64(f"{self.scope} {purpose}".encode())
        return {"context": bound, "associated_data": bound}

    @cached_property
    def _transit(self) -> Any:
        token = os.environ.get("VAULT_TOKEN") or os.environ.get("BAO_TOKEN")
        if not token:
            raise KeyringError(f"master key {self.id}: no token for {self._address}", hint="set VAULT_TOKEN or BAO_TOKEN for this process")
        namespace = os.environ.get("VAULT_NAMESPACE") or os.environ.get("BAO_NAMESPACE")
        client = _library(self.id).Client(self._address, token=token, timeout=self._timeout_s, namespace=namespace)
        return client.secrets.transit

    @property
    def _place(self) -> Place:
        return Place(self.id, self._address)

    @contextmanager
    def _told(self, purpose: str) -> Iterator[None]:
        """hvac's and requests' errors as ours. Their text is not passed on where it could quote what was sent."""
        vault = _library(self.id).exceptions
        import requests

        try:
            yield
        except requests.exceptions.Timeout:
            raise self._place.late(self._timeout_s) from None
        except requests.exceptions.RequestException as down:
            raise self._place.down(type(down).__name__) from None
        except vault.InvalidPath:
            raise self._place.absent() from None
        except (vault.Forbidden, vault.Unauthorized):
            raise self._place.forbidden() from None
        except vault.InvalidRequest as refused:
            raise self._refusal(str(refused), purpose) from None
        except vault.VaultError as wrong:
            raise self._place.down(type(wrong).__name__) from None
        except (KeyError, TypeError, ValueError):
            raise self._place.down("its answer is not one of a transit engine") from None

    def _refusal(self, said: str, purpose: str) -> KeyringError:
        if "not found" in said:
            return self._place.absent()
        if "too old" in said:
            return self._place.unusable("no longer opens: its version was retired in the service")
        return cannot_open(purpose)

    def __repr__(self) -> str:
        return f"TransitMaster({self.id})"


def address_here() -> str:
    """The address that the environment names, as for every tool of theirs; "" without."""
    return os.environ.get("VAULT_ADDR") or os.environ.get("BAO_ADDR") or ""


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _library(id: KeyId) -> Any:
    try:
        import hvac
    except ImportError as absent:
        raise SpecError(f"master key {id} is in Vault or OpenBao, and hvac is not installed", hint="pip install 'mlray[vault]'") from absent
    return hvac

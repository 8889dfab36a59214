"""AwsMaster: a master key in AWS KMS. It wraps with Encrypt and unwraps with Decrypt; the key never leaves the service.

What a wrapped key is for goes along as the encryption context, so it opens for nothing else; CloudTrail shows it, and it names
datasets and versions. Credentials and region are found as every AWS tool finds them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from mlray.errors import KeyringError, SpecError
from mlray.vault.keyring import KeyId, Scope, Stays, WrappedKey
from mlray.vault.masters import cannot_open
from mlray.vault.remote import RECENT, TIMEOUT_S, Place, Recent

KIND = "aws-kms"
UNUSABLE = {"DisabledException": "is disabled", "KMSInvalidStateException": "cannot be used in its state (pending deletion?)"}


class AwsMaster(Stays):
    """One generation of a KMS key. KMS keeps the older material of a rotated key itself, so every generation opens by one key."""

    def __init__(
        self, key: str, scope: Scope, generation: int, endpoint: str = "", timeout_s: float = TIMEOUT_S, recent: Recent = RECENT
    ) -> None:
        self.scope, self._key, self._endpoint, self._timeout_s, self._recent = scope, key, endpoint, timeout_s, recent
        self.id = KeyId(f"{scope}:{KIND}:{key.rpartition('/')[2]}#{generation}")

    @classmethod
    def of(cls, entry: dict[str, Any], scope: Scope) -> AwsMaster:
        return cls(entry["key"], scope, int(entry["generation"]), entry["endpoint"])

    def entry(self, generation: int) -> dict[str, Any]:
        """What the keyring file says of it; no secret."""
        return {
            "kind": KIND,
            "scope": self.scope,
            "id": AwsMaster(self._key, self.scope, generation).id,
            "key": self._key,
            "endpoint": self._endpoint,
            "generation": generation,
        }

    def wrap(self, secret: bytes, purpose: str) -> WrappedKey:
        with self._told(purpose):
            sealed = self._client.encrypt(KeyId=self._key, Plaintext=secret, EncryptionContext=self._bound(purpose))["CiphertextBlob"]
        self._recent.put(self.id, sealed, purpose, secret)
        return WrappedKey(self.id, sealed, scope=self.scope)

    def unwrap(self, wrapped: WrappedKey, purpose: str) -> bytes:
        known = self._recent.get(self.id, wrapped.ciphertext, purpose)
        if known is not None:
            return known
        with self._told(purpose):
            opened = self._client.decrypt(KeyId=self._key, CiphertextBlob=wrapped.ciphertext, EncryptionContext=self._bound(purpose))
        secret: bytes = opened["Plaintext"]
        self._recent.put(self.id, wrapped.ciphertext, purpose, secret)
        return secret

    def check(self) -> None:
        state = self._described()["KeyState"]
        if state != "Enabled":
            raise self._place.unusable(f"is in state {state}")

    def resolved(self) -> AwsMaster:
        """The same by its ARN: an alias may be pointed at another key later. Raises KeyringError when it cannot wrap."""
        found = AwsMaster(self._described()["Arn"], self.scope, 1, self._endpoint, self._timeout_s, self._recent)
        found.check()
        return found

    def rotate(self) -> None:
        """New key material under the same name; KMS keeps the old to open what it wrapped."""
        with self._told("rotation"):
            self._client.rotate_key_on_demand(KeyId=self._key)

    def _described(self) -> dict[str, Any]:
        with self._told("a look at the key"):
            described: dict[str, Any] = self._client.describe_key(KeyId=self._key)["KeyMetadata"]
        return described

    def _bound(self, purpose: str) -> dict[str, str]:
        return {"mlray": f"{self.scope} {purpose}"}

    @cached_property
    def _client(self) -> Any:
        boto3, config, _ = _library(self.id)
        parts = self._key.split(":")
        region = parts[3] if len(parts) > 3 and parts[0] == "arn" else None
        patience = config(
            connect_timeout=self._timeout_s, read_timeout=self._timeout_s, retries={"total_max_attempts": 2, "mode": "standard"}
        )
        with self._told("a client"):
            # A session of its own: the default one keeps the credentials it found first, and is not safe between threads.
            return boto3.session.Session().client("kms", region_name=region, endpoint_url=self._endpoint or None, config=patience)

    @property
    def _place(self) -> Place:
        client = self.__dict__.get("_client")
        return Place(self.id, client.meta.endpoint_url if client else self._endpoint or "AWS KMS")

    @contextmanager
    def _told(self, purpose: str) -> Iterator[None]:
        """botocore's errors as ours. Its text is not passed on where it could quote what was sent."""
        _, _, aws = _library(self.id)
        try:
            yield
        except (aws.ConnectTimeoutError, aws.ReadTimeoutError):
            raise self._place.late(self._timeout_s) from None
        except (aws.HTTPClientError, aws.ConnectionError) as down:
            raise self._place.down(type(down).__name__) from None
        except aws.ClientError as refused:
            raise self._refusal(refused.response["Error"]["Code"], purpose) from None
        except aws.BotoCoreError as wrong:  # no credentials, no region, a profile that is not there
            raise KeyringError(f"master key {self.id}: {wrong}", hint="set up AWS credentials and a region for this process") from None

    def _refusal(self, code: str, purpose: str) -> KeyringError:
        match code:
            case "InvalidCiphertextException" | "IncorrectKeyException":
                return cannot_open(purpose)
            case "NotFoundException":
                return self._place.absent()
            case "AccessDeniedException" | "UnrecognizedClientException" | "InvalidSignatureException" | "ExpiredTokenException":
                return self._place.forbidden()
        return self._place.unusable(UNUSABLE.get(code, f"refused: {code}"))

    def __repr__(self) -> str:
        return f"AwsMaster({self.id})"


def _library(id: KeyId) -> tuple[Any, Any, Any]:
    try:
        import boto3
        from botocore import exceptions
        from botocore.config import Config
    except ImportError as absent:
        raise SpecError(f"master key {id} is in AWS KMS, and boto3 is not installed", hint="pip install 'mlray[aws]'") from absent
    for talker in ("botocore.endpoint", "botocore.parsers"):
        logging.getLogger(talker).addFilter(_without_plaintext)  # the same function twice is one filter
    return boto3, Config, exceptions


def _without_plaintext(record: logging.LogRecord) -> bool:
    """At level DEBUG, botocore writes whole requests and answers into the log, and so the keys in them."""
    return "Plaintext" not in record.getMessage()

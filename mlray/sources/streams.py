"""KafkaSource, KinesisSource: records of a stream, each holding one row."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import Field, field_validator, model_validator

from mlray.sources.base import Secret, SourceBase, Uri
from mlray.spec import Spec

EVOLVING = ("on_new_column", "on_missing_column", "on_wider_column")


class StreamSource(SourceBase):
    """Records of a stream. A field that a record does not have is a missing value; a check says what becomes of its row."""

    value: Literal["json", "avro", "text"] = Field(
        "json", description="What a record holds: a JSON object, an Avro record, or text (column `value`)."
    )
    avro_schema: str | None = Field(None, description="The schema of Avro records, as its JSON text.")
    framing: Literal["none", "confluent"] = Field(
        "none", description="`confluent`: five bytes before the value name its schema; they are skipped."
    )
    on_bad_record: Literal["reject", "refuse"] = Field(
        "reject", description="A record that is not what `value` says, or empty: reject it, or stop."
    )

    @field_validator("avro_schema")
    @classmethod
    def _schema_is_json(cls, text: str | None) -> str | None:
        try:
            found = json.loads(text or "{}")
        except ValueError as broken:
            raise ValueError(f"is not JSON: {broken}") from broken
        if text and not (isinstance(found, dict) and found.get("type") == "record"):
            raise ValueError("is not the schema of an Avro record")
        return text

    @model_validator(mode="after")
    def _avro_has_its_schema(self) -> StreamSource:
        if (self.value == "avro") != (self.avro_schema is not None):
            raise ValueError("avro_schema: write it with value: avro, and only there")
        # A stream does not tell its columns before it is read; only the schema of Avro does.
        if self.value != "avro" and (written := sorted(n for n in EVOLVING if getattr(self, n) != SourceBase.model_fields[n].default)):
            raise ValueError(f"{', '.join(written)}: {self.value} records have no schema to compare with; use a not_null check, or on_bad")
        return self


class Kafka(Spec):
    """Where the brokers are, and who asks. Other services that speak this protocol are reached at their own endpoints for it."""

    bootstrap: str = Field(min_length=3, description="host:port of one or more brokers, with commas between them.")
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field("plaintext", description="How the brokers are spoken to.")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field("SCRAM-SHA-512", description="How the user is proved, with sasl.")
    username: Secret | None = Field(None, description="User, by the name of its secret.")
    password: Secret | None = Field(None, description="Password, by the name of its secret.")
    ca: Secret | None = Field(
        None, description="Certificates that are trusted (PEM), by the name of their secret; without it, the system's."
    )

    @model_validator(mode="after")
    def _user_goes_with_sasl(self) -> Kafka:
        if self.security.startswith("sasl") != bool(self.username and self.password):
            raise ValueError("username and password: write both with security sasl_plaintext or sasl_ssl, and only there")
        return self


class KafkaSource(StreamSource):
    """A topic. Besides its fields, a record has `_partition`, `_offset`, `_timestamp` and `_key`, taken with `of:`."""

    format: Literal["kafka"] = Field(description="Always `kafka`.")
    connection: Kafka = Field(description="Where the brokers are.")
    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$", description="The topic.")


class Kinesis(Spec):
    """Where the stream is, and who asks. Without keys, the environment of the process is asked, as every AWS client does."""

    region: str | None = Field(None, description="AWS region; without it, that of the environment.")
    endpoint: Uri | None = Field(None, description="Another endpoint than that of AWS.")
    access_key: Secret | None = Field(None, description="Access key, by the name of its secret.")
    secret_key: Secret | None = Field(None, description="Secret key, by the name of its secret.")
    session_token: Secret | None = Field(None, description="Session token, by the name of its secret.")

    @model_validator(mode="after")
    def _keys_go_together(self) -> Kinesis:
        if bool(self.access_key) != bool(self.secret_key):
            raise ValueError("access_key and secret_key: write both, or neither")
        return self


class KinesisSource(StreamSource):
    """A Kinesis stream. Besides its fields, a record has `_shard`, `_sequence`, `_timestamp` and `_key`, taken with `of:`."""

    format: Literal["kinesis"] = Field(description="Always `kinesis`.")
    connection: Kinesis = Field(Kinesis(), description="Where the stream is.")
    stream: str = Field(pattern=r"^[A-Za-z0-9._-]{1,128}$", description="Name of the stream.")

"""Sources that are files: one, a folder of them, or all that a pattern names."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from mlray.sources.base import Secret, SourceBase, Uri
from mlray.spec import Spec


class Credentials(Spec):
    """Keys of an object store, by the names of their secrets. Without them, the environment of the process is asked."""

    access_key: Secret = Field(description="S3 access key; account name for ABFS.")
    secret_key: Secret = Field(description="S3 secret key; account key for ABFS.")
    session_token: Secret | None = Field(None, description="S3 session token.")


class FileSource(SourceBase):
    """Files of one format."""

    uri: Uri = Field(description="Path, pattern, folder, object-store URI, or package://NAME/path in an installed package.")
    credentials: Credentials | None = Field(None, description="Keys of the object store, by the names of their secrets.")


class TextFileSource(FileSource):
    """Files of lines; .gz, .zip, .zst and .bz2 are unpacked."""

    encoding: Literal["utf-8", "latin-1", "utf-16"] = Field("utf-8", description="How the bytes spell text.")


class CsvSource(TextFileSource):
    """Comma-separated values with a header line."""

    format: Literal["csv"] = Field(description="Always `csv`.")
    delimiter: str = Field(",", description="One character between values.")
    quote: str = Field('"', description="One character around values that hold the delimiter; empty for none.")
    multiline: bool = Field(False, description="Quoted values may hold line breaks.")

    @field_validator("delimiter", "quote")
    @classmethod
    def _one_ascii_character(cls, value: str) -> str:
        if len(value) > 1 or not value.isascii() or (value in "\r\n" and value):
            raise ValueError("write one ASCII character that is no line break")
        return value

    @field_validator("delimiter")
    @classmethod
    def _delimiter_is_there(cls, value: str) -> str:
        if not value:
            raise ValueError("write the one character that stands between values")
        return value

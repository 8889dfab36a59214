"""Sources that are files: one, a folder of them, or all that a pattern names."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from mlray.sources.base import ColumnType, Secret, SourceBase, Uri
from mlray.spec import Spec


class Credentials(Spec):
    """Keys of an object store, by the names of their secrets. Without them, the environment of the process is asked."""

    access_key: Secret = Field(description="Access key of S3; name of the account for ABFS.")
    secret_key: Secret = Field(description="Secret key of S3; key of the account for ABFS.")
    session_token: Secret | None = Field(None, description="Session token of S3.")


class StoredSource(SourceBase):
    """Whatever may lie in an object store."""

    credentials: Credentials | None = Field(None, description="Keys of the object store, by the names of their secrets.")


class FileSource(StoredSource):
    """Files of one format."""

    uri: Uri = Field(description="Path, pattern, folder, object-store URI, or package://NAME/path in an installed package.")

    @model_validator(mode="after")
    def _credentials_fit(self) -> FileSource:
        if self.credentials and not self.uri.startswith(("s3://", "abfs://", "abfss://")):
            raise ValueError("credentials are for s3:// and abfs:// only; other stores ask the environment")
        return self


class TextFileSource(FileSource):
    """Files of lines; .gz, .zip, .zst and .bz2 are unpacked."""

    encoding: Literal["utf-8", "latin-1", "utf-16"] = Field("utf-8", description="How the bytes spell text.")


class CsvSource(TextFileSource):
    """Comma-separated values with a header line."""

    format: Literal["csv"] = Field(description="Always `csv`.")
    nulls: tuple[str, ...] = Field(("",), description="Texts that mean a missing value.")
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


class JsonlSource(TextFileSource):
    """JSON lines: one object a line."""

    format: Literal["jsonl"] = Field(description="Always `jsonl`.")


class TextSource(TextFileSource):
    """Text, a row a line. Its one column is `text`."""

    format: Literal["text"] = Field(description="Always `text`.")

    @model_validator(mode="after")
    def _columns_are_known(self) -> TextSource:
        _only_known(self, {"text": "text"})
        return self


class ParquetSource(FileSource):
    """Parquet files."""

    format: Literal["parquet"] = Field(description="Always `parquet`.")


class OrcSource(FileSource):
    """ORC files."""

    format: Literal["orc"] = Field(description="Always `orc`.")


class AvroSource(FileSource):
    """Avro container files."""

    format: Literal["avro"] = Field(description="Always `avro`.")


FILE_COLUMNS: dict[str, ColumnType] = {"bytes": "binary", "path": "text", "size": "int", "modified": "timestamp"}
IMAGE_COLUMNS: dict[str, ColumnType] = FILE_COLUMNS | {"width": "int", "height": "int", "format": "text"}


class BinarySource(FileSource):
    """Files of any kind, a row a file. Its columns are bytes, path, size and modified."""

    format: Literal["binary"] = Field(description="Always `binary`.")

    @model_validator(mode="after")
    def _columns_are_known(self) -> BinarySource:
        _only_known(self, FILE_COLUMNS)
        return self


class ImageSource(FileSource):
    """Images, a row a file. Its columns are those of other files, and width, height and format."""

    format: Literal["images"] = Field(description="Always `images`.")

    @model_validator(mode="after")
    def _columns_are_known(self) -> ImageSource:
        _only_known(self, IMAGE_COLUMNS)
        return self


def _only_known(source: SourceBase, known: dict[str, ColumnType]) -> None:
    """Refuses columns that this kind of source does not have, or that are of another type there."""
    for name, column in source.wanted.items():
        there = column.of or name
        if there not in known:
            raise ValueError(f"columns: there is no {there}; there are {', '.join(known)}")
        if column.type != known[there]:
            raise ValueError(f"columns: {there} is {known[there]}, not {column.type}")

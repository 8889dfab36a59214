"""Sources that are tables of a lake: files, and a log that says which of them count."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mlray.sources.base import Secret, Uri
from mlray.sources.files import FileSource, StoredSource


class DeltaSource(FileSource):
    """A Delta Lake table."""

    format: Literal["delta"] = Field(description="Always `delta`.")
    version: int | None = Field(None, ge=0, description="Version of the table; the newest if none is named.")


class IcebergSource(StoredSource):
    """An Iceberg table, found through its catalog."""

    format: Literal["iceberg"] = Field(description="Always `iceberg`.")
    catalog: Uri = Field(description="URI of the catalog: https:// (REST), thrift:// (Hive), sqlite:/// or postgresql:// (SQL).")
    catalog_name: str = Field("default", description="Name of the catalog; a SQL catalog keeps tables by it.")
    token: Secret | None = Field(None, description="Bearer token of a REST catalog.")
    warehouse: Uri | None = Field(None, description="Where the catalog keeps its tables, if it must be told.")
    table: str = Field(pattern=r"^[^.]+(\.[^.]+)+$", description="Name of the table, as namespace.table.")
    snapshot: int | None = Field(None, description="Snapshot of the table; the current one if none is named.")


class LanceSource(FileSource):
    """A Lance dataset."""

    format: Literal["lance"] = Field(description="Always `lance`.")
    version: int | None = Field(None, ge=1, description="Version of the dataset; the newest if none is named.")

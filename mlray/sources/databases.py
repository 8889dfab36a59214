"""SqlSource: a table or query of a database."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mlray.sources.base import Secret, SourceBase, Uri
from mlray.spec import Spec


class Database(Spec):
    """Where a database is: its URL, or the secret that holds the whole URL.

    Without a password, the environment of the process (PGPASSWORD, a .pgpass file) is asked.
    """

    url: Uri | None = Field(None, description="SQLAlchemy URL without a password, like postgresql://reader@db.example/shop.")
    password: Secret | None = Field(None, description="Password for the URL, by the name of its secret.")
    secret: str | None = Field(None, description="Name of the secret that holds the whole URL, password included.")

    @model_validator(mode="after")
    def _one_way(self) -> Database:
        if (self.url is None) == (self.secret is None):
            raise ValueError("write either url or secret")
        if self.password and not self.url:
            raise ValueError("password: the secret holds the whole URL, its password included")
        return self


class SqlSource(SourceBase):
    """Rows of a table or query. PostgreSQL is read fastest; other databases through SQLAlchemy and their own driver."""

    format: Literal["sql"] = Field(description="Always `sql`.")
    connection: Database = Field(description="`secret: NAME` of the whole URL, or `url` with a password by its secret.")
    table: str | None = Field(None, pattern=r"^[^\s;\"]+$", description="Table or view, with its schema where it is not the default.")
    query: str | None = Field(None, description="One SELECT instead of a table.")
    key: str = Field(
        min_length=1, description="Column there by whose ranges rows are read in parallel: number, time or text; best with an index."
    )

    @model_validator(mode="after")
    def _table_or_query(self) -> SqlSource:
        if (self.table is None) == (self.query is None):
            raise ValueError("write either table or query")
        return self

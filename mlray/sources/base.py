"""What every source has in common: the columns wanted, and what happens where the source is otherwise."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mlray.spec import Spec
from mlray.units import Duration

ColumnType = Literal["int", "float", "text", "timestamp", "bool", "binary"]
TELLING = ("secret", "password", "passwd", "token", "signature", "account_key", "accountkey", "credential")


class OnBad(StrEnum):
    """What becomes of a value that is not of its column's type."""

    REFUSE = "refuse"
    REJECT = "reject"
    NULL = "null"


def _word(value: object) -> object:
    """`null` is nothing in YAML; where it is one of the words, it means itself."""
    return "null" if value is None else value


class Column(Spec):
    """One column wanted: its type, its name in the source where that differs, and what becomes of a value of another type."""

    type: ColumnType = Field(description="Type of the column.")
    of: str | None = Field(None, description="Name in the source, if it is another; a dotted path reaches into nested values.")
    on_bad: Annotated[OnBad, BeforeValidator(_word)] = Field(
        OnBad.REFUSE, description="A value not of this type: stop the ingest, reject its row, or make it missing."
    )


class Secret(Spec):
    """A secret by its name; its value stands in the environment or in the sealed store, never in a file."""

    secret: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="Name of the secret.")


def clear_of_secrets(uri: str) -> str:
    """The URI. Refuses one that carries a password, key or token: a job's file is read by many."""
    parts = urlsplit(uri) if "://" in uri else urlsplit("")
    names = [name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if parts.password or any(word in name for name in names for word in TELLING) or "sig" in names:
        raise ValueError("a password, key or token does not belong in a file: write `secret: NAME` under credentials")
    return uri


Uri = Annotated[str, AfterValidator(clear_of_secrets), Field(min_length=1)]


class SourceBase(Spec):
    """The columns wanted of a source, and what happens where it has others."""

    columns: dict[str, ColumnType | Column] = Field(min_length=1, description="Columns wanted: name here -> type, or a block with `of`.")
    nulls: tuple[str, ...] = Field((), description="Texts that mean a missing value.")
    on_new_column: Literal["keep", "drop", "refuse"] = Field("drop", description="A column there that is not declared.")
    on_missing_column: Annotated[Literal["refuse", "null"], BeforeValidator(_word)] = Field(
        "refuse", description="A declared column that is not there."
    )
    on_wider_column: Literal["refuse", "keep"] = Field("refuse", description="Declared int, found float: stop, or make the column float.")
    fresh_within: Duration | None = Field(None, description="The newest change of the source may be this old at most.")
    on_stale: Literal["refuse", "warn"] = Field("refuse", description="An older source: stop the ingest, or say so.")

    @property
    def wanted(self) -> dict[str, Column]:
        """Every declared column as a block, by its name here."""
        return {name: how if isinstance(how, Column) else Column(type=how) for name, how in self.columns.items()}

    @property
    def types(self) -> dict[str, ColumnType]:
        """Name here -> declared type."""
        return {name: how.type for name, how in self.wanted.items()}

    @property
    def renamed(self) -> dict[str, str]:
        """Name there -> name here."""
        return {how.of or name: name for name, how in self.wanted.items()}

    @model_validator(mode="after")
    def _each_column_is_taken_once(self) -> SourceBase:
        twice = [name for name, times in Counter(how.of or name for name, how in self.wanted.items()).items() if times > 1]
        if twice:
            raise ValueError(f"columns: {', '.join(twice)} is taken twice")
        return self

"""How a job may say what its columns are, and what happens to those that tell about people."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from mlray.spec import Spec

Scope = Literal["personal", "secret"]


class Class(StrEnum):
    """What a column is. Public and internal ones are sealed with the rest; personal and secret ones a second time, under their own keys."""

    PUBLIC = "public"
    INTERNAL = "internal"
    PERSONAL = "personal"
    SECRET = "secret"


class Encrypt(Spec):
    """Sealed a second time inside the file: without the scope's key, everything else can be read."""

    how: Literal["encrypt"] = Field("encrypt", description="Always `encrypt`.")
    scope: Scope | None = Field(None, description="Whose key; the column's class, or personal, if none is named.")


class Pseudonymise(Spec):
    """Another name for each value, made with a key: equal values stay equal, and nobody without the key can undo or guess them."""

    how: Literal["pseudonymise"] = Field("pseudonymise", description="Always `pseudonymise`.")
    scope: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="Columns of one scope can be joined, also across datasets; alone if none is named.",
    )


class Mask(Spec):
    """`***` instead of the value."""

    how: Literal["mask"] = Field("mask", description="Always `mask`.")
    keep: int = Field(0, ge=0, le=8, description="Last characters left to be seen; values of at most twice as many are masked whole.")


class Drop(Spec):
    """Not sealed at all."""

    how: Literal["drop"] = Field("drop", description="Always `drop`.")


class Generalise(Spec):
    """A coarser value, by exactly one of these."""

    how: Literal["generalise"] = Field("generalise", description="Always `generalise`.")
    step: float | None = Field(None, gt=0, description="Numbers: down to a multiple of it.")
    bins: tuple[float, ...] = Field((), description="Numbers: to the name of the bin between two of these edges.")
    to: Literal["hour", "day", "month", "year"] | None = Field(None, description="Timestamps: to the begin (UTC) of it.")
    prefix: int | None = Field(None, ge=1, description="Text: to so many first characters.")

    @model_validator(mode="after")
    def _one(self) -> Generalise:
        if len([way for way in (self.step, self.bins, self.to, self.prefix) if way]) != 1:
            raise ValueError("write exactly one of step, bins, to and prefix")
        if any(a >= b for a, b in pairwise(self.bins)):
            raise ValueError(f"bins must rise, not {', '.join(f'{edge:g}' for edge in self.bins)}")
        return self

    @property
    def wants(self) -> tuple[str, ...]:
        """The column types it can make coarser."""
        return ("timestamp",) if self.to else ("text",) if self.prefix else ("int", "float")


Short = Literal["encrypt", "pseudonymise", "mask", "drop"]
Protection = Encrypt | Pseudonymise | Mask | Drop | Generalise
SHORT: Mapping[str, Protection] = {"encrypt": Encrypt(), "pseudonymise": Pseudonymise(), "mask": Mask(), "drop": Drop()}


def _tag(value: object) -> str:
    """Which member of the union is meant: by its `how`, or one word alone."""
    if isinstance(value, dict):
        return str(value.get("how"))
    return getattr(value, "how", "word")


# `email: mask`, or `email: {how: mask, keep: 4}`
Protect = Annotated[
    Annotated[Short, Tag("word")]
    | Annotated[Encrypt, Tag("encrypt")]
    | Annotated[Pseudonymise, Tag("pseudonymise")]
    | Annotated[Mask, Tag("mask")]
    | Annotated[Drop, Tag("drop")]
    | Annotated[Generalise, Tag("generalise")],
    Discriminator(
        _tag,
        custom_error_type="protection",
        custom_error_message="write encrypt, pseudonymise, mask or drop, or {how: ...} with one of these or generalise",
    ),
]


def resolve(classes: Mapping[str, Class], declared: Mapping[str, Short | Protection]) -> dict[str, Protection]:
    """What happens to each column: what was declared for it, else what its class asks for."""
    by_class: dict[str, Protection] = {
        column: Encrypt(scope=kind.value) for column, kind in classes.items() if kind in (Class.PERSONAL, Class.SECRET)
    }
    written = {column: SHORT[how] if isinstance(how, str) else how for column, how in declared.items()}
    return by_class | {column: _scoped(how, classes.get(column)) for column, how in written.items()}


def _scoped(how: Protection, kind: Class | None) -> Protection:
    if isinstance(how, Encrypt) and how.scope is None:
        return Encrypt(scope="secret" if kind is Class.SECRET else "personal")
    return how


def misfit(column: str, how: Protection, kind: str) -> str:
    """Why a column of this type cannot be protected so; "" when it can."""
    if isinstance(how, Generalise) and kind not in how.wants:
        return f"protect.{column}: it is {kind}, and this generalises {' or '.join(how.wants)}"
    if isinstance(how, Generalise) and kind == "int" and how.step and how.step % 1:
        return f"protect.{column}: step of whole numbers must be whole, not {how.step:g}"
    if kind == "binary" and not isinstance(how, Encrypt | Drop):
        return f"protect.{column}: bytes can be encrypted or dropped, not {how.how}d"
    return ""

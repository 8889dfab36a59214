"""Spec: the base of everything people declare in YAML."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """A frozen declaration. Unknown keys are refused, and values are read in their own units, never coerced.

    Every field carries `Field(description=...)`: one line, reused by the JSON schema and the docs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=False, regex_engine="python-re")


class Misplaced(ValueError):
    """What a rule about several fields finds in one of them. `at` is the way there from the class whose rule it is."""

    def __init__(self, message: str, *at: str | int) -> None:
        super().__init__(message)
        self.at = at

"""Every error mlray raises, drawn as one tree.

    MlrayError                  1   something failed
    |- SpecError                2   what you wrote cannot be acted on
    |- RefusedError             3   your policy refused it
    |- KeyringError             1   a key is missing, wrong or unreadable
    |- TamperError              1   stored bytes are not the bytes that were committed
    |- StoreError               1   the vault or the database cannot be read or written
    |- ClusterError             1   the cluster is absent, unreachable or would not start
    |- WorkError                1   an ingest, a search or a deployment failed
    `- AccessError              1   the caller may not do this

The number is the exit code of the command line. What we expect to happen (no capacity, pruned, budget short) is a
returned value inside mlray; an error is a broken promise, or a file nobody can act on.
"""

from __future__ import annotations

from dataclasses import dataclass


class MlrayError(Exception):
    """Base of every error: a sentence with the value in it, and a hint that says what to do."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message, self.hint)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a file: where it stands, which field, the value, and what to write instead."""

    path: str
    line: int
    field: str
    value: str
    fix: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return ": ".join(part for part in (where, self.field, self.value, self.fix) if part)


class SpecError(MlrayError):
    """What was written in YAML, or passed as an argument, cannot be acted on. Lists every mistake found."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "", mistakes: tuple[Mistake, ...] = ()) -> None:
        super().__init__(message, hint)
        self.mistakes = mistakes

    @classmethod
    def listing(cls, mistakes: tuple[Mistake, ...]) -> SpecError:
        return cls("\n".join(map(str, mistakes)), mistakes=mistakes)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message, self.hint, self.mistakes)


class RefusedError(MlrayError):
    """The policy that governs this work says no; the message holds the numbers."""

    exit_code = 3


class KeyringError(MlrayError):
    """A key is missing, wrong, destroyed, or its file cannot be trusted."""


class TamperError(MlrayError):
    """Stored bytes are not what was committed; the message names the part."""


class StoreError(MlrayError):
    """The vault or the database cannot be read or written."""


class ClusterError(MlrayError):
    """The cluster is absent, unreachable, or did not start."""


class WorkError(MlrayError):
    """An ingest, a search or a deployment failed; what was committed before stays whole."""


class AccessError(MlrayError):
    """The caller has no right to do this."""

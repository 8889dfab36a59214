"""Diff: what another wording of a policy changes, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlray.policy.spec import Policy

ABSENT = "-"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field, by its dotted name, as it is and as it would be; "-" where it is not declared."""

    field: str
    before: str
    after: str


def differences(before: Policy | None, after: Policy | None) -> tuple[Difference, ...]:
    """All fields whose values differ, in the order of the declaration; defaults count as declared."""
    old, new = dict(_fields(before)), dict(_fields(after))
    names = dict.fromkeys((*old, *new))
    pairs = ((name, old.get(name, ABSENT), new.get(name, ABSENT)) for name in names)
    return tuple(Difference(*pair) for pair in pairs if pair[1] != pair[2])


def _fields(policy: Policy | None) -> Iterator[tuple[str, str]]:
    return _flat(policy.model_dump(mode="json"), "") if policy else iter(())


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Lists of blocks are taken apart by their place, other lists are one value."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _flat(part, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for i, part in enumerate(value):
            yield from _flat(part, f"{name}[{i}]")
    else:
        yield name, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return ABSENT if value is None else str(value)

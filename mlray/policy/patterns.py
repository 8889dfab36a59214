"""Patterns: many names and shell patterns at once -> whose of them fit a name, without trying each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from fnmatch import translate

Fits = Callable[[str], object]


class Patterns:
    """Built once from pairs of a pattern and whose it is. Names are looked up; patterns by what stands before or behind their star.

    Only patterns with a wildcard at both ends, or inside, are tried one by one, and those only where their beginning fits.
    """

    def __init__(self, owned: Iterable[tuple[str, int]]) -> None:
        self._exact: dict[str, list[int]] = {}
        self._heads: dict[str, list[tuple[Fits | None, int]]] = {}
        self._tails: dict[str, list[int]] = {}
        for pattern, owner in owned:
            self._add(pattern, owner)
        self._head_sizes = sorted({len(head) for head in self._heads})
        self._tail_sizes = sorted({len(tail) for tail in self._tails})

    def fitting(self, name: str) -> Iterator[int]:
        """Owners of patterns that fit, in no order, some perhaps more than once."""
        yield from self._exact.get(name, ())
        for size in self._head_sizes:
            for fits, owner in self._heads.get(name[:size], ()) if size <= len(name) else ():
                if fits is None or fits(name):
                    yield owner
        for size in self._tail_sizes:
            yield from self._tails.get(name[-size:], ()) if size <= len(name) else ()

    def _add(self, pattern: str, owner: int) -> None:
        wild = re.search(r"[*?[]", pattern)
        if wild is None:
            self._exact.setdefault(pattern, []).append(owner)
            return
        head, rest = pattern[: wild.start()], pattern[wild.start() :]
        if not head and rest[0] == "*" and rest != "*" and not re.search(r"[*?[]", rest[1:]):
            self._tails.setdefault(rest[1:], []).append(owner)
        else:
            self._heads.setdefault(head, []).append((None if rest == "*" else re.compile(translate(pattern)).match, owner))

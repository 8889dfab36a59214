"""SubjectKeys: a key for each person, none of them stored, of which any one can be destroyed for good.

A tree of seeds with sixteen children at each node (Goldreich, Goldwasser, Micali, "How to construct random functions", J. ACM
1986): a seed gives its children by a one-way function, and a person's key is a leaf, found along the digits of an HMAC of who
they are. The state starts as the root. Erasing a person replaces the one seed above their leaf by the seeds beside the path
down to it: all other leaves can still be reached, and that one no longer, whatever is known. This is a puncturable
pseudorandom function (Boneh, Waters 2013; Boyle, Goldwasser, Ivan 2014; Kiayias et al. 2013).

So readers on any node derive keys without writing anything, millions of persons cost no storage, and an erasure costs at most
DEPTH x 15 seeds. Two persons meet at a leaf with a chance of 2^-80 and even then have different keys; what would be lost is the
one's data with the other's erasure, and a million erasures among a thousand million persons do that once in 1e9 times.

Steps are keyed BLAKE2s (RFC 7693), which is built to be such a function and takes a fifth of the time of HMAC-SHA256 here.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mlray.vault.keyring import KEY_BYTES, DataKey, Stays

DEPTH = 20  # hexadecimal digits of a path, so 80 bits
DIGITS = "0123456789abcdef"
STEP = {digit: bytes([i]) for i, digit in enumerate(DIGITS)}


class SubjectKeys(Stays):
    """The keys of all subjects of a dataset, less those erased. Immutable: `erase` gives the next state."""

    __slots__ = ("_name", "_seeds")

    def __init__(self, name: bytes, seeds: Mapping[str, bytes]) -> None:
        """`name` keys the path of a subject; `seeds` are the topmost that are left, by path."""
        self._name, self._seeds = name, dict(seeds)

    @classmethod
    def fresh(cls, secret: bytes) -> SubjectKeys:
        """From 64 random bytes, with nobody erased."""
        return cls(secret[:KEY_BYTES], {"": secret[KEY_BYTES : 2 * KEY_BYTES]})

    def key(self, subject: str) -> DataKey | None:
        """The subject's key; None when they were erased."""
        return self.keys((subject,))[0]

    def keys(self, subjects: Sequence[str]) -> list[DataKey | None]:
        """The key of each, in order. Steps that several share are taken once, so ask for many at a time."""
        return self.marked(self.marks(subjects))

    def marks(self, subjects: Sequence[str]) -> list[bytes]:
        """What stands for each where nobody may be named; it tells nothing without this state."""
        return [self._mac(subject) for subject in subjects]

    def marked(self, marks: Sequence[bytes]) -> list[DataKey | None]:
        """The key of each subject by its mark."""
        leaves = dict(self._leaves(sorted({mark.hex()[:DEPTH] for mark in marks})))
        return [_leaf_key(leaves[mark.hex()[:DEPTH]], mark) for mark in marks]

    def erase(self, *subjects: str) -> SubjectKeys:
        """The state without these subjects' keys. Erasing twice changes nothing."""
        left = dict(self._seeds)
        for subject in subjects:
            _puncture(left, self.path(subject))
        return self if left == self._seeds else SubjectKeys(self._name, left)

    def path(self, subject: str) -> str:
        """Where in the tree the subject's key grows."""
        return self._mac(subject).hex()[:DEPTH]

    def pseudonym(self, subject: str) -> str:
        """What a certificate calls the subject: whoever holds the state and knows them can tell that it is they; nobody else."""
        return hmac.digest(self._name, b"certificate " + subject.encode(), "sha256").hex()

    @property
    def seeds(self) -> Mapping[str, bytes]:
        """All that is left of the tree."""
        return dict(self._seeds)

    def to_bytes(self) -> bytes:
        """A secret: write it sealed."""
        nodes = (bytes([len(at)]) + bytes.fromhex(at.ljust(DEPTH, "0")) + seed for at, seed in sorted(self._seeds.items()))
        return self._name + b"".join(nodes)

    @classmethod
    def from_bytes(cls, data: bytes) -> SubjectKeys:
        size = 1 + DEPTH // 2 + KEY_BYTES
        nodes = (data[i : i + size] for i in range(KEY_BYTES, len(data), size))
        return cls(data[:KEY_BYTES], {node[1 : 1 + DEPTH // 2].hex()[: node[0]]: node[1 + DEPTH // 2 :] for node in nodes})

    def __repr__(self) -> str:
        return f"SubjectKeys({len(self._seeds)} seeds)"

    def _mac(self, subject: str) -> bytes:
        return hmac.digest(self._name, b"subject " + subject.encode(), "sha256")

    def _leaves(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """The seed at the end of each path, or None. Paths come sorted, so a neighbour's steps are kept as far as they are shared."""
        known, before = [self._seeds.get("")], ""
        for path in paths:
            shared = next((i for i, (a, b) in enumerate(zip(path, before, strict=False)) if a != b), len(before))
            del known[shared + 1 :]
            seed = known[shared]
            for depth in range(shared, DEPTH):
                seed = _child(seed, path[depth]) if seed is not None else self._seeds.get(path[: depth + 1])
                known.append(seed)
            before = path
            yield path, seed


def _puncture(seeds: dict[str, bytes], path: str) -> None:
    """Takes away the one seed above the path, and puts those beside the path in its place."""
    top = next((path[:depth] for depth in range(DEPTH + 1) if path[:depth] in seeds), None)
    if top is None:
        return
    seed = seeds.pop(top)
    for depth in range(len(top), DEPTH):
        seeds |= {path[:depth] + digit: _child(seed, digit) for digit in DIGITS if digit != path[depth]}
        seed = _child(seed, path[depth])


def _child(seed: bytes, digit: str) -> bytes:
    return hashlib.blake2s(STEP[digit], key=seed, person=b"mlray-gg").digest()


def _leaf_key(seed: bytes | None, mac: bytes) -> DataKey | None:
    """From the whole MAC, not the path alone: two subjects at one leaf still have two keys."""
    return None if seed is None else DataKey(hashlib.blake2s(mac, key=seed, person=b"mlray-lf").digest())

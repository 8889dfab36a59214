"""Every subject has a key; an erased one has none, and nobody else notices."""

from __future__ import annotations

import hashlib
import itertools
import pickle
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.errors import KeyringError
from mlray.vault.keyring import DataKey
from mlray.vault.subjects import DEPTH, DIGITS, SubjectKeys, _child

FRESH = SubjectKeys.fresh(bytes(range(64)))
PEOPLE = [f"person-{number}" for number in range(40)]
some = st.lists(st.sampled_from(PEOPLE), max_size=12)


def secrets(keys: Sequence[DataKey | None]) -> list[bytes | None]:
    return [key.secret() if key else None for key in keys]


BEFORE = secrets(FRESH.keys(PEOPLE))


@settings(max_examples=60, deadline=None)
@given(some)
def test_any_erasures_in_any_order_leave_every_other_key_as_it_was(erased: list[str]):
    state = FRESH
    for subject in erased:
        state = state.erase(subject)
    expected = [None if subject in erased else secret for subject, secret in zip(PEOPLE, BEFORE, strict=True)]
    assert secrets(state.keys(PEOPLE)) == expected
    assert secrets([state.key(subject) for subject in PEOPLE]) == expected


@settings(max_examples=60, deadline=None)
@given(some)
def test_no_seed_that_is_left_leads_to_an_erased_subject(erased: list[str]):
    state = FRESH
    for subject in erased:
        state = state.erase(subject)
    for subject in erased:
        path = state.path(subject)
        assert not [at for at in state.seeds if path.startswith(at)]
        assert _seed_at(path) not in state.seeds.values()


@settings(max_examples=30, deadline=None)
@given(some)
def test_what_is_left_covers_every_other_leaf_exactly_once(erased: list[str]):
    state = FRESH
    for subject in erased:
        state = state.erase(subject)
    covered = sum(16 ** (DEPTH - len(at)) for at in state.seeds)
    assert covered == 16**DEPTH - len(set(erased))
    assert all(seed == _seed_at(at) for at, seed in state.seeds.items())
    assert not [1 for a in state.seeds for b in state.seeds if a != b and b.startswith(a)]


@settings(max_examples=30, deadline=None)
@given(some, st.randoms())
def test_the_order_of_erasures_does_not_matter(erased: list[str], chance):
    one, other = FRESH, FRESH
    for subject in erased:
        one = one.erase(subject)
    chance.shuffle(erased)
    for subject in erased:
        other = other.erase(subject)
    assert one.to_bytes() == other.to_bytes()


def test_erasing_twice_changes_nothing():
    once = FRESH.erase("ada")
    assert once.erase("ada") is once
    assert FRESH.erase("ada", "bob", "ada").to_bytes() == once.erase("bob").to_bytes()


@settings(max_examples=30, deadline=None)
@given(some)
def test_a_state_comes_back_from_its_bytes(erased: list[str]):
    state = FRESH
    for subject in erased:
        state = state.erase(subject)
    again = SubjectKeys.from_bytes(state.to_bytes())
    assert again.seeds == state.seeds and secrets(again.keys(PEOPLE)) == secrets(state.keys(PEOPLE))


@given(st.text(), st.text())
def test_two_subjects_have_two_keys(one: str, other: str):
    same = secrets([FRESH.key(one)]) == secrets([FRESH.key(other)])
    assert same == (one == other)


def test_another_dataset_has_other_keys_paths_and_pseudonyms():
    other = SubjectKeys.fresh(bytes(64))
    assert not set(BEFORE) & set(secrets(other.keys(PEOPLE)))
    assert FRESH.path("ada") != other.path("ada") and FRESH.pseudonym("ada") != other.pseudonym("ada")


def test_a_pseudonym_outlives_the_erasure_and_tells_nothing_of_the_path():
    assert FRESH.erase("ada").pseudonym("ada") == FRESH.pseudonym("ada")
    assert FRESH.path("ada") not in FRESH.pseudonym("ada")


def test_an_erasure_costs_fifteen_seeds_a_digit_and_the_next_ones_less():
    sizes = [len(FRESH.to_bytes())]
    state = FRESH
    for subject in PEOPLE:
        state = state.erase(subject)
        sizes.append(len(state.to_bytes()))
    grown = [after - before for before, after in itertools.pairwise(sizes)]
    assert grown[0] == (15 * DEPTH - 1) * 43
    assert all(0 < more < grown[0] for more in grown[1:])


def test_the_keys_are_those_of_a_plain_walk_down_the_tree():
    seed = _seed_at(FRESH.path(PEOPLE[0]))
    full = FRESH._mac(PEOPLE[0])
    assert BEFORE[0] == hashlib.blake2s(full, key=seed, person=b"mlray-lf").digest()


def test_the_state_stays_in_its_process_and_does_not_print():
    with pytest.raises(KeyringError, match="stays in its process"):
        pickle.dumps(FRESH)
    assert repr(FRESH) == "SubjectKeys(1 seeds)"


def test_every_digit_leads_to_another_child():
    assert len({_child(bytes(32), digit) for digit in DIGITS}) == 16


def _seed_at(path: str) -> bytes:
    seed = FRESH.seeds[""]
    for digit in path:
        seed = _child(seed, digit)
    return seed

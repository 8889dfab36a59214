"""Whatever is wrong in a file, it is told in one clear line that says where and what to write instead."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, model_validator

from mlray.errors import SpecError
from mlray.files import DEEPEST_NESTING, LARGEST_FILE, load, parse, validate
from mlray.jobs.spec import JOB
from mlray.policy.spec import Policy
from mlray.spec import Spec
from mlray.units import Money, Range

GOOD = """\
kind: policy
name: flights
governs:
  jobs: [flights-*]
availability:
  min_ready: 2
  replicas: 1..4
budget:
  amount: $10.00
  every: 1d
"""


def said(text: str | bytes, folder: Path, spec: object = Policy) -> str:
    file = folder / "p.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SpecError) as caught:
        load(file, spec)  # type: ignore[arg-type]
    return str(caught.value).replace(f"{folder}/", "")


def test_a_good_file_is_read_in_its_own_units(tmp_path: Path):
    (tmp_path / "p.yaml").write_text(GOOD)
    policy = load(tmp_path / "p.yaml", Policy)
    assert (policy.budget.amount, policy.availability.replicas) == (Money(10_000_000), Range(1, 4))


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        ("$10.00", "10", "p.yaml:9: budget.amount: 10: write it with its unit, like $1.50"),
        ("$10.00", "ten", "p.yaml:9: budget.amount: 'ten': write an amount like $1.50 (US dollars, at most six decimals)"),
        ("$10.00", "$0.00", "p.yaml:9: budget.amount: $0.00 pays nothing: write what may be spent"),
        ("1..4", "4..1", "p.yaml:7: availability.replicas: '4..1': write the smaller number first, 1..4"),
        ("1d", "1 day", "p.yaml:10: budget.every: '1 day': write hour, day, week or month, or a length of time like 1d"),
        ("governs:", "govern:", "p.yaml:3: govern: no such field; did you mean governs?"),
        ("min_ready: 2", "min_ready: two", "p.yaml:6: availability.min_ready: 'two': input should be a valid integer"),
        ("min_ready: 2", "min_ready: 5", "p.yaml:6: availability.min_ready: 5 is above the most replicas (4): raise the upper bound"),
        ("name: flights\n", "", "p.yaml:1: name: this field is required"),
        ("name: flights", "name: Flights!", "p.yaml:2: name: 'Flights!': string should match pattern"),
        ("kind: policy", "kind: polcy", "p.yaml:1: kind: 'polcy': input should be 'policy'"),
        ("  every: 1d", "  amount: $2.00", "p.yaml:10: budget.amount: written twice, first on line 9: keep one"),
        ("[flights-*]", "[flights-*", "p.yaml:5: while parsing a flow sequence, expected ',' or ']', but got ':': this is not valid YAML"),
        (
            "  every: 1d",
            "\tevery: 1d",
            "p.yaml:10: while scanning for the next token, found character '\\t' that cannot start any token: this is not valid YAML",
        ),
        (
            "name: flights",
            "name: !!python/object:os.system x",
            "p.yaml:2: name: tag:yaml.org,2002:python/object:os.system: write a plain value",
        ),
        ("name: flights", "name: &n flights\nowner: *n", "p.yaml:3: *n: write the value out; aliases are not read"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(right: str, wrong: str, expected: str, tmp_path: Path):
    assert right in GOOD
    message = said(GOOD.replace(right, wrong, 1), tmp_path)
    assert expected in message


def test_every_mistake_is_told_at_once(tmp_path: Path):
    wrong = GOOD.replace("$10.00", "10").replace("1..4", "many").replace("name: flights", "nmae: flights")
    lines = said(wrong, tmp_path).splitlines()
    assert sorted(line.split(": ")[1] for line in lines) == ["availability.replicas", "budget.amount", "name", "nmae"]
    assert all(line.startswith("p.yaml:") for line in lines)


def test_two_duplicates_are_two_mistakes(tmp_path: Path):
    assert said("kind: policy\nkind: policy\nname: a\nname: b\n", tmp_path).count("written twice") == 2


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "holds no fields"),
        (b"- a\n- b\n", "holds no fields"),
        (b"just text", "holds no fields"),
        (b"name: \xff\xfe", "byte 6 is not UTF-8"),
        (b"#" * (LARGEST_FILE + 1), f"{LARGEST_FILE + 1} bytes, more than"),
        (b"a: " + b"[" * 100 + b"]" * 100, f"nested deeper than {DEEPEST_NESTING} levels"),
        (b"a: " + b"[" * 50_000, "nested"),
        (b"a: 1\n---\nb: 2\n", "expected a single document"),
        (b"name: \x00", "not valid YAML"),
        (b"a: &a [x]\nb: [*a, *a]\n", "aliases are not read"),
        (b"<<: {a: 1}\n", "no such field"),
        (b"? [a, b]\n: 1\n", "plain text"),
        (b"a: !!int\n", "p.yaml:1: a: ''"),
        (b"a: 2026-99-99\n", "p.yaml:1: a: '2026-99-99': month must be in 1..12"),
    ],
)
def test_a_file_nobody_can_act_on_is_refused_in_one_clear_message(content: bytes, expected: str, tmp_path: Path):
    assert expected in said(content, tmp_path)


def test_a_file_that_is_absent_names_the_one_that_was_meant(tmp_path: Path):
    (tmp_path / "flights.yaml").write_text(GOOD)
    with pytest.raises(SpecError, match=r"fligths\.yaml: no such file\n  did you mean .*flights\.yaml\?"):
        load(tmp_path / "fligths.yaml", Policy)


def test_a_folder_is_no_file(tmp_path: Path):
    with pytest.raises(SpecError, match="cannot be read: Is a directory"):
        load(tmp_path, Policy)


@pytest.mark.parametrize(
    ("text", "expected"), [("kind: train\n", "kind"), ("name: x\n", "kind"), ("kind: ingest\nsourcs: {}\n", "did you mean sources?")]
)
def test_in_a_file_of_several_kinds_the_kind_decides_which_fields_there_are(text: str, expected: str, tmp_path: Path):
    assert expected in said(text, tmp_path, JOB)


class Inner(Spec):
    low: int = Field(description="Low.")
    high: int = Field(description="High.")
    kind: Literal["a"] = Field("a", description="Kind.")

    @model_validator(mode="after")
    def _order(self) -> "Inner":
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high})")
        return self


class Whole(Spec):
    low: int = Field(description="Low.")
    kind: Literal["b"] = Field("b", description="Kind.")

    @model_validator(mode="after")
    def _positive(self) -> "Whole":
        if self.low < 0:
            raise ValueError(f"low ({self.low}) is below 0")
        return self


class Either(Spec):
    one: Annotated[Inner | Whole, Field(discriminator="kind")] = Field(description="One.")


def test_a_mistake_in_one_of_several_shapes_names_the_field_alone(tmp_path: Path):
    assert said("one: {kind: b, low: -1}\n", tmp_path, Either).endswith(":1: one: low (-1) is below 0")
    assert said("one: {kind: b}\n", tmp_path, Either).endswith(":1: one.low: this field is required")


class Outer(Spec):
    items: tuple[Inner, ...] = Field(description="Items.")


def test_a_mistake_in_a_list_stands_on_the_line_of_its_item(tmp_path: Path):
    text = "items:\n- {low: 1, high: 2}\n- low: 3\n  high: 2\n- low: 1\n  high: x\n"
    assert said(text, tmp_path, Outer).splitlines() == [
        "p.yaml:3: items[1]: low (3) is above high (2)",
        "p.yaml:6: items[2].high: 'x': input should be a valid integer, unable to parse string as an integer",
    ]


@given(st.text(max_size=200))
def test_no_text_whatever_ends_in_anything_but_a_spec_or_its_mistakes(text: str):
    with pytest.raises(SpecError):
        validate(parse("p.yaml", text), TypeAdapter(Policy))


@given(st.binary(max_size=200))
def test_no_bytes_whatever_end_in_anything_but_mistakes(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    file = tmp_path_factory.getbasetemp() / "bytes.yaml"
    file.write_bytes(data)
    with pytest.raises(SpecError):
        load(file, JOB)


@pytest.mark.parametrize(
    "written, told",
    [
        ("budget: {amount: $1, every: 1d}\npassword: hunter2", "password: ***: no such field; remove it"),
        ("budget: {amount: 'https://ada:hunter2@files.example', every: 1d}", "'https://ada:***@files.example'"),
    ],
)
def test_what_a_password_could_be_is_not_repeated(written: str, told: str):
    with pytest.raises(SpecError) as said:
        validate(parse("p.yaml", f"kind: policy\nname: p\ngoverns: {{jobs: [a]}}\n{written}\n"), Policy)
    assert told in str(said.value) and "hunter2" not in str(said.value)

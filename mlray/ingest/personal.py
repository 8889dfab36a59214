"""Does a column look as if it told about people? By the words of its name and by a few of its values, which are never quoted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE = 200  # values of a column that are looked at in each block
HINT = "write what they are, such as classes: {%s: personal}, or internal if they are not; or looks_personal: ignore"

NAMES = re.compile(
    r"\b(e ?mail|mail|phone|telephone|tel|mobile|cellphone|msisdn|fax|dob|birth|birthday|birthdate|birthplace|address|street|surname"
    r"|post ?code|postal code|zip|zip ?code|ssn|social security|passport|iban|credit ?card|card ?number|tax ?id|national ?id|ip"
    r"|(first|last|given|family|middle|full|maiden|fore|user|customer|patient|person|employee|contact|client|holder) ?name)\b"
)
ALONE = re.compile(r"phone|telephone|mobile|msisdn|ssn|dob|birth ?(day|date)?|date of birth|passport|post ?code|zip ?(code)?")

DAY = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{2,4}")
OCTET = r"(25[0-5]|2[0-4]\d|1?\d?\d)"
SHAPES: Mapping[str, re.Pattern[str]] = {
    "e-mail addresses": re.compile(r"[\w.+-]@[\w-]+(\.[\w-]+)+"),
    "IP addresses": re.compile(
        rf"\A({OCTET}\.){{3}}{OCTET}\Z|\A([0-9a-fA-F]{{1,4}}:){{7}}[0-9a-fA-F]{{1,4}}\Z|\A[0-9a-fA-F:]{{0,37}}::[0-9a-fA-F:]{{0,37}}\Z"
    ),
    "social security numbers": re.compile(r"\A\d{3}-\d{2}-\d{4}\Z"),
    "bank account numbers": re.compile(r"\A[A-Z]{2}\d{2}( ?[A-Z0-9]){11,30}\Z"),
    "card numbers": re.compile(r"\A\d([ -]?\d){12,18}\Z"),
    "phone numbers": re.compile(r"\A(\+\d|\(\d+\)|\d+[ ./-])[\d ()./-]{5,18}\d\Z"),
}
PROBE = re.compile(r"[0-9@:]")  # every shape has one of these, and most words have none
LONGEST = 500  # characters of a value that is looked at
SHARE: Mapping[str, float] = {"card numbers": 0.5, "phone numbers": 0.5}  # one number in ten passes Luhn's test by chance
LEAST = 0.1


def by_name(column: str, kind: str) -> bool:
    """`first_name`, `homeAddress`, `DOB`. Of numbers only whole names: `email_count` is none."""
    words = re.sub(r"[^a-z]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column).lower()).strip()
    return bool(NAMES.search(words) if kind == "text" else ALONE.fullmatch(words))


def by_value(column: pa.ChunkedArray) -> str:
    """What a share of the first values looks like; "" for nothing personal."""
    values = Counter(value.strip() for value in column.slice(0, SAMPLE).to_pylist() if value)
    likely = {value: rows for value, rows in values.items() if len(value) < LONGEST and PROBE.search(value)}
    for what, shape in SHAPES.items():
        hits = sum(rows for value, rows in likely.items() if shape.search(value) and _means(what, value))
        if hits and hits >= SHARE.get(what, LEAST) * values.total():
            return what
    return ""


def suspects(table: pa.Table, columns: Iterable[str]) -> dict[str, str]:
    """Column -> what its values look like, of the text columns named."""
    found = {column: by_value(table[column]) for column in columns}
    return {column: what for column, what in found.items() if what}


def complaint(found: Iterable[str]) -> str:
    names = ", ".join(sorted(found))
    return f"columns that look personal are neither classified nor protected: {names}"


def _means(what: str, value: str) -> bool:
    match what:
        case "card numbers":
            return _luhn([int(digit) for digit in value if digit.isdigit()])
        case "bank account numbers":
            return _iban(value.replace(" ", ""))
        case "phone numbers":
            return not DAY.fullmatch(value) and 8 <= sum(map(str.isdigit, value)) <= 15
    return True


def _luhn(digits: list[int]) -> bool:
    doubled = [d if i % 2 == 0 else (2 * d - 9 if d > 4 else 2 * d) for i, d in enumerate(reversed(digits))]
    return len(set(digits)) > 1 and sum(doubled) % 10 == 0


def _iban(value: str) -> bool:
    """Its remainder by 97 is 1 (ISO 7064)."""
    return int("".join(str(int(letter, 36)) for letter in value[4:] + value[:4])) % 97 == 1

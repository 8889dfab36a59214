"""Money, Price, Duration, Period, Percent, Portion, Memory, Range, Hours: read what people type, print it back.

Each value is one integer or float under a name, immutable, ordered and hashable. `Money.parse("$1.50")`,
`Duration.parse("5m")` and so on read text; pydantic fields of these types accept the same text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import total_ordering
from typing import Any, ClassVar, Self

MICROS = 1_000_000
SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400), "w": Decimal(604800)}
BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


class _Typed:
    """Lets a unit stand as a pydantic field: text in, unit out, text back in JSON."""

    example: ClassVar[str]
    pattern: ClassVar[str]

    @classmethod
    def parse(cls, text: str) -> Self:
        raise NotImplementedError

    @classmethod
    def read(cls, value: object) -> Self:
        """The unit from what a YAML file holds. Raises ValueError that says what to write."""
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls.parse(value)
        raise ValueError(f"write it with its unit, like {cls.example}")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(cls.read, serialization=core_schema.plain_serializer_function_ser_schema(str))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "pattern": cls.pattern, "examples": [cls.example]}


@total_ordering
@dataclass(frozen=True, slots=True)
class Money(_Typed):
    """US dollars as a whole number of micro-dollars. A sum nobody knows is `None`, never zero dollars."""

    micros: int
    example: ClassVar[str] = "$1.50"
    pattern: ClassVar[str] = r"^-?\$[0-9][0-9_,]*(\.[0-9]{1,6})?$"

    @classmethod
    def parse(cls, text: str) -> Money:
        if not re.fullmatch(cls.pattern, text.strip()):
            raise ValueError(f"write an amount like {cls.example} (US dollars, at most six decimals)")
        return cls(int(Decimal(re.sub(r"[$,_]", "", text.strip())) * MICROS))

    @classmethod
    def dollars(cls, amount: float | Decimal) -> Money:
        """Rounded half-even to the micro-dollar."""
        return cls(int((Decimal(str(amount)) * MICROS).to_integral_value(ROUND_HALF_EVEN)))

    @property
    def usd(self) -> float:
        return self.micros / MICROS

    def __add__(self, other: Money) -> Money:
        return Money(self.micros + other.micros)

    def __sub__(self, other: Money) -> Money:
        return Money(self.micros - other.micros)

    def __neg__(self) -> Money:
        return Money(-self.micros)

    def __mul__(self, factor: float | Decimal) -> Money:
        """Scaled and rounded half-even to the micro-dollar."""
        exact = Decimal(self.micros) * Decimal(str(factor))
        return Money(int(exact.to_integral_value(ROUND_HALF_EVEN)))

    def __truediv__(self, other: Money) -> float:
        return self.micros / other.micros

    def __lt__(self, other: Money) -> bool:
        return self.micros < other.micros

    def __bool__(self) -> bool:
        return self.micros != 0

    def __str__(self) -> str:
        """`$1.50`; sums below a cent keep the digits they need, to the micro-dollar."""
        sign, whole = ("-" if self.micros < 0 else ""), abs(self.micros)
        digits = f"{whole % MICROS:06d}"
        kept = digits[:2] if not digits[2:].strip("0") else digits.rstrip("0")
        return f"{sign}${whole // MICROS:,}.{kept}"


ZERO = Money(0)


@total_ordering
@dataclass(frozen=True, slots=True)
class Price(_Typed):
    """Dollars for one hour of one node. A price nobody knows is `None`."""

    per_hour: Money
    example: ClassVar[str] = "$0.38/h"
    pattern: ClassVar[str] = r"^\$[0-9][0-9_,]*(\.[0-9]{1,6})?/h$"

    @classmethod
    def parse(cls, text: str) -> Price:
        if not re.fullmatch(cls.pattern, text.strip()):
            raise ValueError(f"write a price for an hour, like {cls.example}")
        return cls(Money.parse(text.strip().removesuffix("/h")))

    def over(self, seconds: float, share: float = 1.0) -> Money:
        """What `share` of the node costs for `seconds`, rounded half-even to the micro-dollar."""
        if share == 1 and seconds == int(seconds):  # the same in whole numbers: governors and replays ask this very often
            whole, rest = divmod(self.per_hour.micros * int(seconds), 3600)
            return Money(whole + (rest > 1800 or (rest == 1800 and whole % 2 == 1)))
        exact = Decimal(self.per_hour.micros) * Decimal(str(seconds)) * Decimal(str(share)) / 3600
        return Money(int(exact.to_integral_value(ROUND_HALF_EVEN)))

    def __lt__(self, other: Price) -> bool:
        return self.per_hour < other.per_hour

    def __str__(self) -> str:
        return f"{self.per_hour}/h"


@total_ordering
@dataclass(frozen=True, slots=True)
class StoragePrice(_Typed):
    """Dollars for keeping one GiB for a month of 730 hours. A price nobody knows is `None`."""

    per_gib_month: Money
    example: ClassVar[str] = "$0.023/GiB-month"
    pattern: ClassVar[str] = r"^\$[0-9][0-9_,]*(\.[0-9]{1,6})?/GiB-month$"

    @classmethod
    def parse(cls, text: str) -> StoragePrice:
        if not re.fullmatch(cls.pattern, text.strip()):
            raise ValueError(f"write a price for a GiB and month, like {cls.example}")
        return cls(Money.parse(text.strip().removesuffix("/GiB-month")))

    def __lt__(self, other: StoragePrice) -> bool:
        return self.per_gib_month < other.per_gib_month

    def __str__(self) -> str:
        return f"{self.per_gib_month}/GiB-month"


@total_ordering
@dataclass(frozen=True, slots=True)
class Duration(_Typed):
    """A length of time in seconds."""

    seconds: float
    example: ClassVar[str] = "1h30m"
    pattern: ClassVar[str] = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$"

    @classmethod
    def parse(cls, text: str) -> Duration:
        if not re.fullmatch(cls.pattern, text.strip()):
            raise ValueError(f"write a length of time like {cls.example}, 30s, 5m or 1d")
        pairs = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|w)", text)
        return cls(float(sum(Decimal(number) * SECONDS[unit] for number, unit in pairs)))

    def __lt__(self, other: Duration) -> bool:
        return self.seconds < other.seconds

    def __str__(self) -> str:
        left, out = Decimal(str(self.seconds)), ""
        for unit in ("d", "h", "m", "s", "ms"):
            count = int(left // SECONDS[unit])
            left -= count * SECONDS[unit]
            out += f"{count}{unit}" if count else ""
        return out or "0s"


@dataclass(frozen=True, slots=True)
class Period(_Typed):
    """How often something renews: a length of time (`1d`), or a word of the calendar (`month`), whose length varies.

    `word` is "" for a length; `seconds` is then exact, and for a word what it usually lasts.
    """

    seconds: float
    word: str = ""
    example: ClassVar[str] = "1d"
    pattern: ClassVar[str] = r"^(hour|day|week|month|([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+)$"
    words: ClassVar[dict[str, float]] = {"hour": 3600.0, "day": 86400.0, "week": 604800.0, "month": 30.4375 * 86400}

    @classmethod
    def parse(cls, text: str) -> Period:
        word = text.strip()
        if word in cls.words:
            return cls(cls.words[word], word)
        if not re.fullmatch(cls.pattern, word):
            raise ValueError(f"write hour, day, week or month, or a length of time like {cls.example}")
        return cls(Duration.parse(word).seconds)

    def __str__(self) -> str:
        return self.word or str(Duration(self.seconds))


@dataclass(frozen=True, slots=True)
class Hours(_Typed):
    """A part of the day in minutes after midnight, `22:00-06:00`; the end is not in it, and may lie on the day after."""

    start: int
    end: int
    example: ClassVar[str] = "22:00-06:00"
    pattern: ClassVar[str] = r"^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"

    @classmethod
    def parse(cls, text: str) -> Hours:
        if not re.fullmatch(cls.pattern, text.strip()):
            raise ValueError(f"write a part of the day like {cls.example}")
        start, end = (int(part[:2]) * 60 + int(part[3:]) for part in text.strip().split("-"))
        if start == end:
            raise ValueError("it begins when it ends: write 00:00-24:00 for a whole day")
        return cls(start, end)

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in (self.start, self.end))


@total_ordering
@dataclass(frozen=True, slots=True)
class Percent(_Typed):
    """A share, held as a fraction: `60%` is 0.6."""

    fraction: float
    example: ClassVar[str] = "60%"
    pattern: ClassVar[str] = r"^[0-9]+(\.[0-9]+)?%$"

    @classmethod
    def parse(cls, text: str) -> Percent:
        if not re.fullmatch(cls.pattern, text.strip()):
            raise ValueError(f"write a percentage like {cls.example}")
        try:
            value = Decimal(text.strip().removesuffix("%"))
        except InvalidOperation as bad:  # pragma: no cover - the pattern admits only numbers
            raise ValueError(f"write a percentage like {cls.example}") from bad
        if value > 100:
            raise ValueError("write at most 100%")
        return cls(float(value / 100))

    def __lt__(self, other: Percent) -> bool:
        return self.fraction < other.fraction

    def __str__(self) -> str:
        return f"{(Decimal(str(self.fraction)) * 100).normalize():f}%"


@dataclass(frozen=True, slots=True)
class Portion(_Typed):
    """A part of an amount of money: `20%` of it, or `$5`."""

    part: Percent | Money
    example: ClassVar[str] = "20%"
    pattern: ClassVar[str] = rf"({Percent.pattern})|({Money.pattern})"

    @classmethod
    def parse(cls, text: str) -> Portion:
        if re.fullmatch(Percent.pattern, text.strip()):
            return cls(Percent.parse(text))
        if re.fullmatch(Money.pattern, text.strip()) and not text.strip().startswith("-"):
            return cls(Money.parse(text))
        raise ValueError(f"write a percentage like {cls.example}, or an amount like $5")

    def of(self, amount: Money) -> Money:
        """Never more than the amount itself."""
        return min(amount, self.part) if isinstance(self.part, Money) else amount * self.part.fraction

    def __str__(self) -> str:
        return str(self.part)


WHOLE = Portion(Percent(1.0))


@total_ordering
@dataclass(frozen=True, slots=True)
class Memory(_Typed):
    """An amount of memory or storage in bytes."""

    bytes: int
    example: ClassVar[str] = "2GiB"
    pattern: ClassVar[str] = r"^[0-9]+(\.[0-9]+)?(B|KiB|MiB|GiB|TiB|KB|MB|GB|TB)$"

    @classmethod
    def parse(cls, text: str) -> Memory:
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(B|KiB|MiB|GiB|TiB|KB|MB|GB|TB)", text.strip())
        if not found:
            raise ValueError(f"write an amount of memory like {cls.example} or 500MB")
        return cls(int(Decimal(found[1]) * BYTES[found[2]]))

    def __lt__(self, other: Memory) -> bool:
        return self.bytes < other.bytes

    def __str__(self) -> str:
        for unit in ("TiB", "GiB", "MiB", "KiB"):
            if self.bytes and self.bytes % BYTES[unit] == 0:
                return f"{self.bytes // BYTES[unit]}{unit}"
        return f"{self.bytes}B"


@dataclass(frozen=True, slots=True)
class Range(_Typed):
    """A closed range of whole numbers: `1..4`."""

    low: int
    high: int
    example: ClassVar[str] = "1..4"
    pattern: ClassVar[str] = r"^[0-9]+\.\.[0-9]+$"

    @classmethod
    def parse(cls, text: str) -> Range:
        if not re.fullmatch(cls.pattern, text.strip()):
            raise ValueError(f"write a range like {cls.example}")
        low, high = map(int, text.strip().split(".."))
        if low > high:
            raise ValueError(f"write the smaller number first, {high}..{low}")
        return cls(low, high)

    def clamp(self, value: int) -> int:
        return max(self.low, min(self.high, value))

    def __str__(self) -> str:
        return f"{self.low}..{self.high}"


UNITS = (Money, Price, StoragePrice, Duration, Period, Percent, Portion, Memory, Range, Hours)

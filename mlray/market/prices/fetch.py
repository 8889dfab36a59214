"""Price lists from a file, or from where a cloud publishes them: every page, as parsed JSON or rows of CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from mlray.errors import SpecError, WorkError
from mlray.market.prices.form import Rates, csv_rows
from mlray.market.prices.reading import listed
from mlray.market.prices.table import Listed, PriceTable

SLOWEST_S = 60.0
MOST_PAGES = 2000  # Azure answers 100 prices a page: all virtual machines of all regions are about 1,500
HERE = ("127.0.0.1", "localhost", "::1")


def read_prices(source: str, known: PriceTable, rates: Rates, as_of: date | None, today: date) -> tuple[Listed, ...]:
    """The prices at a path or an address. Lists that do not say their day have that of the file, or today's when fetched.

    Raises SpecError for what cannot be understood, WorkError when an address does not answer.
    """
    try:
        if "://" in source:
            return listed(tuple(_pages(source)), known, rates, as_of or today)
        return _from_file(Path(source), known, rates, as_of)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{_shown(source)}: {error}", hint="nothing was changed; see docs/prices.md for the forms that are read") from error


def _from_file(path: Path, known: PriceTable, rates: Rates, as_of: date | None) -> tuple[Listed, ...]:
    try:
        text = path.read_text("utf-8-sig")
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from error
    if path.suffix == ".csv":
        rows = csv.DictReader(text.splitlines())
        found = tuple(csv_rows(((rows.line_num, row) for row in rows), rates))
        if not found:
            raise ValueError("no price in it")
        return found
    return listed((json.loads(text),), known, rates, as_of or written)


def _pages(address: str) -> Iterator[Any]:
    """Every page of an answer: Azure names the next one whole, Google gives a token for it."""
    page: str | None = address
    for _ in range(MOST_PAGES):
        if page is None:
            return
        found = _get(page)
        yield found
        page = _next(address, found) if isinstance(found, dict) else None
    raise WorkError(f"{_shown(address)}: more than {MOST_PAGES} pages", hint="ask for one region or one kind of machine")


def _next(address: str, found: dict[str, Any]) -> str | None:
    if link := found.get("NextPageLink"):
        if urlsplit(str(link)).hostname != urlsplit(address).hostname:
            raise WorkError(f"{_shown(address)}: its next page is at another host, {urlsplit(str(link)).hostname}")
        return str(link)
    if token := found.get("nextPageToken"):
        parts = urlsplit(address)
        query = [(name, value) for name, value in parse_qsl(parts.query) if name != "pageToken"]
        return urlunsplit(parts._replace(query=urlencode([*query, ("pageToken", token)])))
    return None


def _get(address: str) -> Any:
    _refuse_clear(address)
    try:
        with urlopen(Request(address, headers={"Accept": "application/json", "User-Agent": "mlray"}), timeout=SLOWEST_S) as answer:
            _refuse_clear(answer.geturl())  # where redirects led
            return json.loads(answer.read())
    except (URLError, TimeoutError, ConnectionError) as error:
        why = getattr(error, "reason", error)
        raise WorkError(f"{_shown(address)} does not answer: {why}", hint="fetch the file elsewhere and name its path") from error


def _refuse_clear(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in HERE):
        raise SpecError(f"{_shown(address)}: prices decide what is spent, so they are read over https only")


def _shown(source: str) -> str:
    """An address without what may be a key in it."""
    return urlunsplit(urlsplit(source)._replace(query="")) if "://" in source else source

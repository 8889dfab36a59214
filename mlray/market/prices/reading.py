"""Which form a price list has, by what it holds: the clouds' own, or ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from mlray.market.prices import aws, azure, gcp
from mlray.market.prices.form import Rates, rows_of
from mlray.market.prices.table import Listed, PriceTable

FORMS = "AWS price list, AWS spot price history, Azure retail prices, Google Cloud Billing catalogue, or mlray's own"


def listed(pages: Sequence[Any], known: PriceTable, rates: Rates, as_of: date) -> tuple[Listed, ...]:
    """Every price of a list that came in one or more pages. `as_of` is the day of forms that do not say theirs.

    Raises ValueError for a form nobody knows, a broken one, and one without any price.
    """
    try:
        found = tuple(_listed(pages, known, rates, as_of))
    except (KeyError, TypeError, AttributeError, IndexError, StopIteration, RuntimeError, ArithmeticError) as error:
        raise ValueError(f"not as its form says: {type(error).__name__} {error}") from error
    if not found:
        raise ValueError("no price of a machine in it")
    return found


def _listed(pages: Sequence[Any], known: PriceTable, rates: Rates, as_of: date) -> Iterator[Listed]:
    if not pages or not all(isinstance(page, Mapping) for page in pages):
        raise ValueError(f"a JSON object is wanted: {FORMS}")
    if "skus" in pages[0]:
        yield from gcp.listed(pages, known.find("gcp"), rates, as_of)
        return
    for page in pages:
        if "products" in page and "terms" in page:
            yield from aws.listed(page, rates)
        elif "SpotPriceHistory" in page:
            yield from aws.spot(page, rates)
        elif "Items" in page:
            yield from azure.listed(page, rates, as_of)
        elif "prices" in page:
            yield from rows_of(page, rates)
        else:
            raise ValueError(f"a form nobody knows: {FORMS}")

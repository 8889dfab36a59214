"""Source: any of the places rows come from, told apart by `format`."""

from __future__ import annotations

from mlray.sources.base import Column as Column
from mlray.sources.base import ColumnType as ColumnType
from mlray.sources.base import OnBad as OnBad
from mlray.sources.base import Secret as Secret
from mlray.sources.base import SourceBase as SourceBase
from mlray.sources.files import CsvSource as CsvSource

Source = CsvSource

"""Source: any of the places rows come from, told apart by `format`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mlray.sources.base import Column as Column
from mlray.sources.base import ColumnType as ColumnType
from mlray.sources.base import OnBad as OnBad
from mlray.sources.base import Secret as Secret
from mlray.sources.base import SourceBase as SourceBase
from mlray.sources.databases import SqlSource as SqlSource
from mlray.sources.files import AvroSource as AvroSource
from mlray.sources.files import BinarySource as BinarySource
from mlray.sources.files import CsvSource as CsvSource
from mlray.sources.files import ImageSource as ImageSource
from mlray.sources.files import JsonlSource as JsonlSource
from mlray.sources.files import OrcSource as OrcSource
from mlray.sources.files import ParquetSource as ParquetSource
from mlray.sources.files import TextSource as TextSource
from mlray.sources.streams import KafkaSource as KafkaSource
from mlray.sources.streams import KinesisSource as KinesisSource
from mlray.sources.tables import DeltaSource as DeltaSource
from mlray.sources.tables import IcebergSource as IcebergSource
from mlray.sources.tables import LanceSource as LanceSource

Source = Annotated[
    CsvSource
    | JsonlSource
    | TextSource
    | ParquetSource
    | OrcSource
    | AvroSource
    | ImageSource
    | BinarySource
    | DeltaSource
    | IcebergSource
    | LanceSource
    | SqlSource
    | KafkaSource
    | KinesisSource,
    Field(discriminator="format"),
]

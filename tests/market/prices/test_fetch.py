"""Price lists from files and from a server; every page of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mlray.errors import SpecError, WorkError
from mlray.home import Home
from mlray.market.prices.fetch import read_prices
from mlray.market.prices.form import Rates
from mlray.market.prices.store import PriceStore
from mlray.market.prices.table import Listed
from tests.market.prices import lists

TODAY = date(2026, 3, 11)


class Cloud(BaseHTTPRequestHandler):
    """Stands in for the clouds' servers: Azure names its next page, Google gives a token."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = parse_qs(asked.query)
        here = f"http://{self.headers['Host']}"
        pages: dict[str, Any] = {
            "/aws": lists.aws(),
            "/azure": lists.azure(following=f"{here}/azure/2"),
            "/azure/2": lists.azure([lists.azure_item(0.23, armSkuName="Standard_D4s_v5")]),
            "/gcp": lists.gcp(following="more")["pageToken" in query],
            "/elsewhere": lists.azure(following="http://example.invalid/2"),
            "/endless": lists.azure(following=f"{here}/endless"),
        }
        page = pages.get(asked.path)
        body = b"<html>" if asked.path == "/html" else json.dumps(page).encode()
        self.send_response(200 if page or asked.path == "/html" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: a test's output is its failure."""


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Cloud) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def read(source: str, tmp_path: Path, as_of: date | None = None) -> tuple[Listed, ...]:
    return read_prices(source, PriceStore(Home.at(tmp_path / "home")).table(), Rates(), as_of, TODAY)


def test_every_page_is_read(cloud: str, tmp_path: Path):
    assert {row.name.type for row in read(f"{cloud}/azure", tmp_path)} == {"Standard_D2s_v5", "Standard_D4s_v5"}
    found = {row.name.type for row in read(f"{cloud}/gcp?key=secret", tmp_path)}
    assert {"n2-standard-4", "g2-standard-4"} <= found, "cores are on the first page, GPUs on the second"


def test_the_day_is_the_lists_own_or_that_of_asking_or_the_one_given(cloud: str, tmp_path: Path):
    assert {row.as_of for row in read(f"{cloud}/aws", tmp_path)} == {date(2026, 3, 10)}
    assert {row.as_of for row in read(f"{cloud}/azure", tmp_path)} == {TODAY}
    assert {row.as_of for row in read(f"{cloud}/azure", tmp_path, date(2026, 1, 1))} == {date(2026, 1, 1)}


def test_files_of_each_form_are_read(tmp_path: Path):
    for name, document, count in (("aws.json", lists.aws(), 2), ("spot.json", lists.aws_spot(), 3), ("azure.json", lists.azure(), 2)):
        (tmp_path / name).write_text(json.dumps(document))
        assert len(read(str(tmp_path / name), tmp_path)) == count
    (tmp_path / "own.csv").write_text("cloud,region,type,spot,as_of,source\naws,us-east-1,m7i.large,0.04,2026-03-01,mine\n")
    (row,) = read(str(tmp_path / "own.csv"), tmp_path)
    assert (str(row.name), str(row.price)) == ("aws/us-east-1/m7i.large/spot", "$0.04/h")


@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        ("/none", WorkError, "does not answer"),
        ("/html", SpecError, "Expecting value"),
        ("/elsewhere", WorkError, "its next page is at another host, example.invalid"),
        ("/endless", WorkError, "more than 2000 pages"),
    ],
)
def test_a_server_that_answers_otherwise_is_told(cloud: str, tmp_path: Path, path: str, error: type[Exception], said: str):
    with pytest.raises(error, match=said):
        read(cloud + path, tmp_path)


def test_a_key_in_an_address_is_not_told(cloud: str, tmp_path: Path):
    with pytest.raises(WorkError) as error:
        read(f"{cloud}/none?key=secret", tmp_path)
    assert "secret" not in str(error.value) and "/none" in str(error.value)


def test_prices_are_not_read_in_clear_from_elsewhere(tmp_path: Path):
    with pytest.raises(SpecError, match="over https only"):
        read("http://prices.example.invalid/list", tmp_path)
    with pytest.raises(SpecError, match="over https only"):
        read("file:///etc/passwd", tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x.json", "{", "Expecting property name"),
        ("x.json", "[1]", "a JSON object is wanted"),
        ("x.csv", "a,b\n", "no price in it"),
        ("x.csv", "cloud,region\naws,us\n", "line 2: type: this field is required"),
    ],
)
def test_a_file_that_cannot_be_understood_is_told(tmp_path: Path, name: str, text: str, said: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(SpecError, match=said):
        read(str(tmp_path / name), tmp_path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(SpecError, match=r"none.json: cannot be read: No such file"):
        read(str(tmp_path / "none.json"), tmp_path)

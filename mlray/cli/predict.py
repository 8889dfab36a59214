"""predict: rows in, probabilities out."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlray.cli import show
from mlray.cli.options import Json
from mlray.errors import AccessError, SpecError

if TYPE_CHECKING:
    from mlray.client import Client

commands = typer.Typer()


@commands.command()
def predict(
    endpoint: Annotated[str, typer.Argument(help="Name of a deployment of this home, or any endpoint's URL.")],
    rows: Annotated[Path, typer.Argument(help="JSON: one object, a list of them, or one a line; - reads stdin.")],
    token_file: Annotated[Path | None, typer.Option(help="File that holds the token of a URL; else MLRAY_TOKEN does.")] = None,
    ca: Annotated[Path | None, typer.Option(help="PEM file of the authority that signed a URL's certificate.")] = None,
    as_json: Json = False,
) -> None:
    """Ask an endpoint for predictions."""
    asked = read_rows(rows)
    with _by_url(endpoint, token_file, ca) if "://" in endpoint else _by_name(endpoint) as client:
        answers = client.predict(asked)
    if as_json:
        show.result({"predictions": answers}, as_json)
    else:
        print("\n".join(f"{answer:.6f}" for answer in answers))


def _by_name(name: str) -> Client:
    from mlray.client import Client
    from mlray.clock import SystemClock
    from mlray.home import Home
    from mlray.jobs.endpoints import find, own_token

    home = Home.locate()
    found = find(home, name)
    return Client(found.url, own_token(home, SystemClock()), ca=found.ca or None)


def _by_url(url: str, token_file: Path | None, ca: Path | None) -> Client:
    from mlray.client import Client

    return Client(url, _token(token_file), ca=ca)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON or JSON Lines file. Raises SpecError that names the line."""
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read as text: {error}") from error
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = [_line(path, number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    rows = [value] if isinstance(value, dict) else value
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise SpecError(f"{path}: holds no rows", hint='write objects, like {"carrier": "UA", "distance": 1400}')
    return rows


def _line(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise SpecError(f"{path}:{number}: not JSON: {error.msg}", hint="write one object a line, or one list of objects") from error


def _token(file: Path | None) -> str:
    """Never an argument: those are seen by everyone on the machine."""
    try:
        token = file.read_text().strip() if file else os.environ.get("MLRAY_TOKEN", "").strip()
    except OSError as error:
        raise AccessError(f"{file}: cannot be read: {error.strerror}") from error
    if not token:
        raise AccessError(
            "there is no token to call the endpoint with", hint="set MLRAY_TOKEN, or pass --token-file; mlray token create makes one"
        )
    return token

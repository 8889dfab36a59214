"""predict: rows in, probabilities out."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mlray.cli import show
from mlray.cli.options import Json
from mlray.errors import AccessError, SpecError

commands = typer.Typer()


@commands.command()
def predict(
    url: Annotated[str, typer.Argument(help="The endpoint, as `mlray deploy` prints it.")],
    rows: Annotated[Path, typer.Argument(help="JSON: one object, a list of them, or one a line; - reads stdin.")],
    token_file: Annotated[Path | None, typer.Option(help="File that holds the token; else MLRAY_TOKEN does.")] = None,
    as_json: Json = False,
) -> None:
    """Ask an endpoint for predictions."""
    token, asked = _token(token_file), read_rows(rows)
    from mlray.client import Client

    answers = Client(url, token).predict(asked)
    if as_json:
        show.result({"predictions": answers}, as_json)
    else:
        print("\n".join(f"{answer:.6f}" for answer in answers))


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

"""schema write, show: the JSON schemas of the YAML files, from the same specs that read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mlray.cli.options import Json
from mlray.cli.show import rows as print_rows
from mlray.errors import SpecError

commands = typer.Typer(no_args_is_help=True)
KINDS = ("cluster", "policy", "ingest", "tune", "serve", "pipeline")


@commands.command()
def write(folder: Annotated[Path, typer.Argument(help="Folder to write to.")] = Path("docs/schemas"), as_json: Json = False) -> None:
    """Write the schema of every kind of file, one file each."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        (folder / f"{kind}.json").write_text(text(kind))
    print_rows("schemas", [{"file": folder / f"{kind}.json"} for kind in KINDS], as_json)


@commands.command()
def show(kind: Annotated[str, typer.Argument(help=", ".join(KINDS))], as_json: Json = False) -> None:
    """Print the schema of one kind of file; it is JSON either way."""
    if kind not in KINDS:
        raise SpecError(f"{kind!r} is no kind of file", hint=f"kinds are {', '.join(KINDS)}")
    print(text(kind), end="")


def text(kind: str) -> str:
    return json.dumps(schema(kind), indent=2) + "\n"


def schema(kind: str) -> dict[str, Any]:
    """What an editor checks a file of this kind against while it is typed."""
    from pydantic.json_schema import GenerateJsonSchema

    from mlray.ingest.spec import IngestJob
    from mlray.jobs.spec import PipelineJob
    from mlray.market.spec import Cluster
    from mlray.policy.spec import Policy
    from mlray.serve.spec import ServeJob
    from mlray.spec import Spec
    from mlray.tune.spec import TuneJob
    from mlray.units import UNITS

    class AsTyped(GenerateJsonSchema):
        """Defaults as people type them, `1m` and not the seconds inside."""

        def encode_default(self, default: Any) -> Any:
            return (
                default.model_dump(mode="json")
                if isinstance(default, Spec)
                else str(default)
                if isinstance(default, UNITS)
                else super().encode_default(default)
            )

    specs: dict[str, type[Spec]] = dict(zip(KINDS, (Cluster, Policy, IngestJob, TuneJob, ServeJob, PipelineJob), strict=True))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **specs[kind].model_json_schema(schema_generator=AsTyped)}

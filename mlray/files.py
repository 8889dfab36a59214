"""YAML file -> validated spec; every mistake reported as path:line: field: value: what to write."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from mlray.errors import Mistake, SpecError

LARGEST_FILE = 1 << 20
DEEPEST_NESTING = 32
OPENING = (yaml.BlockSequenceStartToken, yaml.BlockMappingStartToken, yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken)
CLOSING = (yaml.BlockEndToken, yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)
S = TypeVar("S", bound=BaseModel)
Loc = tuple[str | int, ...]


class Document:
    """One parsed YAML file: its plain value, and the line on which each field stands."""

    def __init__(self, path: Path, value: Any, lines: dict[Loc, int]) -> None:
        self.path, self.value, self.lines = path, value, lines

    def line(self, loc: Loc) -> int:
        """The line of the field, or of the nearest field around it."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)

    def at(self, loc: Loc) -> Any:
        value = self.value
        for step in loc:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value


def load(path: Path | str, spec: type[S] | TypeAdapter[S]) -> S:
    """The spec a file declares. Raises SpecError that lists every mistake in it."""
    return validate(read(path), spec)


def read(path: Path | str) -> Document:
    """The document in a YAML file. Refuses large and deep files, aliases, custom tags and duplicate keys."""
    path = Path(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError as missing:
        raise SpecError(f"{path}: no such file", hint=_similar(path)) from missing
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from error
    if len(raw) > LARGEST_FILE:
        raise SpecError(f"{path}: {len(raw)} bytes, more than the {LARGEST_FILE} that mlray reads as YAML")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: byte {error.start} is not UTF-8", hint="save the file as UTF-8") from error
    return parse(path, text)


def parse(path: Path | str, text: str) -> Document:
    path = Path(path)
    mistakes: list[Mistake] = []
    lines: dict[Loc, int] = {}
    try:
        _refuse_tricks(path, text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = _plain(node, (), lines, mistakes, str(path)) if node else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        raise SpecError.listing((Mistake(str(path), line, "", problem, "this is not valid YAML"),)) from error
    except yaml.YAMLError as error:
        raise SpecError(f"{path}: not valid YAML: {error}") from error
    if mistakes:
        raise SpecError.listing(tuple(mistakes))
    if not isinstance(value, dict):
        raise SpecError(f"{path}:1: the file holds no fields", hint="write `field: value` lines; see docs/schemas")
    return Document(path, value, lines)


def validate(document: Document, spec: type[S] | TypeAdapter[S]) -> S:
    """The spec that a document declares. `spec` may be a TypeAdapter over a union of kinds."""
    try:
        if isinstance(spec, TypeAdapter):
            return spec.validate_python(document.value)
        return spec.model_validate(document.value)
    except ValidationError as error:
        raise SpecError.listing(tuple(_mistakes(document, error, spec))) from error


def _refuse_tricks(path: Path, text: str) -> None:
    """Reads tokens only, so that aliases and deep nesting are refused before anything is built from them."""
    depth = 0
    for token in yaml.scan(text):
        line = token.start_mark.line + 1
        if isinstance(token, yaml.AliasToken):
            raise SpecError.listing((Mistake(str(path), line, "", f"*{token.value}", "write the value out; aliases are not read"),))
        depth += isinstance(token, OPENING) - isinstance(token, CLOSING)
        if depth > DEEPEST_NESTING:
            raise SpecError(f"{path}:{line}: nested deeper than {DEEPEST_NESTING} levels")


def _plain(node: yaml.Node, loc: Loc, lines: dict[Loc, int], mistakes: list[Mistake], path: str) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(loc, line)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*loc, i), lines, mistakes, path) for i, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return _scalar(node, path, loc)
    out: dict[str, Any] = {}
    for key_node, value_node in node.value:
        at = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            mistakes.append(Mistake(path, at, _dotted(loc), "", "the name of a field is plain text"))
            continue
        key = str(key_node.value)
        if key in out:
            fix = f"written twice, first on line {lines[(*loc, key)]}: keep one"
            mistakes.append(Mistake(path, at, _dotted((*loc, key)), "", fix))
        lines[(*loc, key)] = at
        out[key] = _plain(value_node, (*loc, key), lines, mistakes, path)
    return out


def _scalar(node: yaml.Node, path: str, loc: Loc) -> Any:
    try:
        return yaml.SafeLoader("").construct_object(node)
    except yaml.YAMLError as error:
        fix = "write a plain value; YAML tags are not read"
        raise SpecError.listing((Mistake(path, node.start_mark.line + 1, _dotted(loc), str(node.tag), fix),)) from error
    except Exception as error:  # PyYAML's constructors raise whatever a value like 2026-99-99, 0x or `!!int ""` runs into
        raise SpecError.listing((Mistake(path, node.start_mark.line + 1, _dotted(loc), repr(node.value), str(error)),)) from error


def _mistakes(document: Document, error: ValidationError, spec: Any) -> Iterator[Mistake]:
    for problem in error.errors(include_url=False):
        loc = _in_file(document, problem["loc"], problem["type"] == "missing")
        kind, given = problem["type"], problem["input"]
        value = "" if kind == "missing" or isinstance(given, dict | list) else repr(given)
        fix = _fix(problem, loc, spec)
        yield Mistake(str(document.path), document.line(loc), _dotted(loc), value, fix)


def _in_file(document: Document, loc: Loc, absent: bool) -> Loc:
    """The steps of a pydantic location that are in the file: it also names the chosen member of each union.

    The last step of an `absent` field is kept as well.
    """
    kept: Loc = ()
    value: Any = document.value
    for i, step in enumerate(loc):
        inside = (isinstance(value, dict) and step in value) or (isinstance(value, list) and isinstance(step, int))
        if inside or (absent and i == len(loc) - 1):
            kept = (*kept, step)
            value = document.at(kept)
    return kept


def _fix(problem: Any, loc: Loc, spec: Any) -> str:
    if problem["type"] == "missing":
        return "this field is required"
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(loc[-1]), _field_names(spec), n=1)
        return f"no such field; did you mean {near[0]}?" if near else "no such field; remove it"
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message[:1].lower() + message[1:]


def _field_names(spec: Any) -> list[str]:
    schema = spec.json_schema() if isinstance(spec, TypeAdapter) else spec.model_json_schema()
    tables = [schema, *schema.get("$defs", {}).values()]
    return sorted({name for table in tables for name in table.get("properties", {})})


def _dotted(loc: Loc) -> str:
    out = ""
    for step in loc:
        out += f"[{step}]" if isinstance(step, int) else (f".{step}" if out else str(step))
    return out


def _similar(path: Path) -> str:
    beside = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1)
    return f"did you mean {path.with_name(near[0])}?" if near else ""

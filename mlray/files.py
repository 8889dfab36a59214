"""YAML file -> validated spec; every mistake reported as path:line: field: value: what to write."""

from __future__ import annotations

import difflib
import re
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
ABSENT = ("missing", "union_tag_not_found")
TELLING = ("password", "passwd", "secret", "token", "credential", "access_key", "private_key")
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
    found = [(_placed(document, problem), problem) for problem in error.errors(include_url=False)]
    for loc, problem in found:
        if _beside_the_point(loc, problem, [other for other, _ in found]):
            continue
        absent = problem["type"] in ABSENT
        fix = _fix(problem, loc, spec)
        if problem["type"] == "value_error" and not loc:
            loc, fix = _begun(document, fix)
        given = document.at(loc) if problem["type"] == "union_tag_invalid" else problem["input"]
        value = "" if absent or isinstance(given, dict | list) else _shown(loc, given)
        yield Mistake(str(document.path), document.line(loc), _dotted(loc), value, fix)


def _placed(document: Document, problem: Any) -> Loc:
    return _in_file(document, (*problem["loc"], *_beyond(problem)), problem["type"] in ABSENT)


def _beside_the_point(loc: Loc, problem: Any, found: list[Loc]) -> bool:
    """Pydantic tries every member of a union: one word is no block, and a block is no word."""
    if problem["type"] == "model_type":
        return found.count(loc) > 1
    return isinstance(problem["input"], dict) and any(len(other) > len(loc) and other[: len(loc)] == loc for other in found)


def _beyond(problem: Any) -> Loc:
    """The way from where pydantic puts a mistake to the field it is in: the word that tells which member of a union is meant."""
    context = problem.get("ctx", {})
    at: Loc = getattr(context.get("error"), "at", ())
    return (str(context["discriminator"]).strip("'"),) if "discriminator" in context else at


def _begun(document: Document, message: str) -> tuple[Loc, str]:
    """A sentence about the whole file begins with the field to look at: where that stands, and the sentence without `field: `."""
    found: Loc = ()
    for step in message.split(" ")[0].rstrip(":,").split("."):
        found = (*found, step) if (*found, step) in document.lines else found
    return found, message.removeprefix(f"{_dotted(found)}: ")


def _shown(loc: Loc, given: Any) -> str:
    """The value as it was written, without what a password could be: what is told ends in logs."""
    if any(word in str(step).lower() for step in loc[-1:] for word in TELLING):
        return "***"
    return re.sub(r"(://[^/@\s]*:)[^@\s]*@", r"\1***@", repr(given))


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
    if problem["type"] in ABSENT:
        return "this field is required"
    if problem["type"] == "union_tag_invalid":
        return f"input should be {problem['ctx']['expected_tags']}"
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

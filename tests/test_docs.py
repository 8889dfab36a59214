"""What the docs say is so: every block is run or validated, every link leads somewhere, nothing drawn from code is stale.

Blocks, by their language:
  console   `$ command` lines are run in order, one page one shell folder; the output shown must be printed, numbers aside.
            `...` stands for any lines.
  bash      run whole. python: run whole. Both in the same folder, in the page's order.
  yaml      read as the kind of file it says it is, or as the `sources` of a job, or found word for word in a file of
            cluster/, policies/ or jobs/.
  text, json, mermaid, http   read by people alone.
A block under `<!-- not run: reason -->` is left out, and the reason is what the next reader gets.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mlray.cli.schema import KINDS, schema, text
from mlray.files import Document, parse, validate
from mlray.jobs.spec import JOB
from mlray.market.spec import Cluster
from mlray.policy.spec import Policy
from mlray.sources.spec import Source
from mlray.spec import Spec

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("README.md"), *(ROOT / "docs").rglob("*.md")])
DECLARED = sorted(path for folder in ("cluster", "policies", "jobs") for path in (ROOT / folder).rglob("*.yaml"))
RUN, READ = ("console", "bash", "python"), ("text", "json", "mermaid", "http", "yaml")
FENCE = re.compile(r"^(?:<!-- not run: (?P<why>[^>]+) -->\n+)?(?P<fence>```+)(?P<kind>\w*)\n(?P<body>.*?)^(?P=fence)$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    kind: str
    body: str
    not_run: str


def blocks(page: Path) -> list[Block]:
    found = page.read_text("utf-8")
    return [Block(page, found[: m.start()].count("\n") + 1, m["kind"], m["body"], m["why"] or "") for m in FENCE.finditer(found)]


def name(value: Any) -> str:
    if isinstance(value, Path):
        return str(value.relative_to(ROOT) if value.is_relative_to(ROOT) else value.name)
    return f"{name(value.page)}:{value.line}"


BLOCKS = [block for page in PAGES for block in blocks(page)]


@pytest.mark.parametrize("block", BLOCKS, ids=name)
def test_every_block_names_a_language_that_is_run_or_read(block: Block):
    assert block.kind in RUN + READ, f"{name(block)}: ```{block.kind} is neither run nor read"


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.kind == "yaml"], ids=name)
def test_yaml_in_a_page_is_a_file_that_mlray_accepts_or_words_of_one(block: Block):
    value = yaml.safe_load(block.body)
    if {"kind", "cluster_name"} & value.keys():
        accept(parse(name(block), block.body))
    elif value.keys() == {"sources"}:
        validate(parse(name(block), block.body), Sources)
    else:
        assert any(_words(block.body) in _words(path.read_text()) for path in DECLARED), f"{name(block)}: no file says this"


class Sources(Spec):
    """The part of an ingest job that says where rows come from."""

    sources: dict[str, Source]


def accept(document: Document) -> None:
    if "cluster_name" in document.value:
        validate(document, Cluster)
    elif document.value.get("kind") == "policy":
        validate(document, Policy)
    else:
        validate(document, JOB)


def _words(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#"))


@pytest.mark.ray
@pytest.mark.parametrize("page", [p for p in PAGES if any(b.kind in RUN and not b.not_run for b in blocks(p))], ids=name)
def test_what_a_page_says_to_type_does_what_it_says(page: Path, tmp_path: Path):
    from tests import clusters

    clusters.let_go()  # the page starts its own
    folder = _copy(tmp_path / "mlray")
    try:
        follow(page, folder)
    finally:
        for cluster in (Path(os.environ["MLRAY_HOME"]) / "clusters").glob("*"):
            subprocess.run([sys.executable, "-m", "mlray", "down", cluster.name], cwd=folder, env=_environment(), capture_output=True)


def follow(page: Path, folder: Path) -> None:
    """Types what the page says to type, in its order."""
    for block in (b for b in blocks(page) if b.kind in RUN and not b.not_run):
        for command, shown in steps(block):
            done = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True, timeout=600)
            said = f"{name(block)}: {command[-1]}\n{done.stdout}{done.stderr}"
            assert done.returncode == 0, said
            missing = unsaid(shown, done.stdout + done.stderr)
            assert not missing, f"it does not print {missing!r}\n{said}"


def steps(block: Block) -> list[tuple[list[str], str]]:
    """Commands with the output shown below each; a command goes on where its line ends in a backslash."""
    if block.kind != "console":
        return [([sys.executable, "-c", block.body] if block.kind == "python" else ["bash", "-euo", "pipefail", "-c", block.body], "")]
    parts = re.split(r"^\$ ((?:.*\\\n)*.*)\n?", block.body, flags=re.M)
    assert not parts[0].strip(), f"{name(block)}: output before the first `$ command`"
    return [(["bash", "-euo", "pipefail", "-c", command], shown) for command, shown in zip(parts[1::2], parts[2::2], strict=True)]


def unsaid(shown: str, said: str) -> str:
    """The first line shown that was not printed, in order; digits and digests may differ, and `...` is any lines."""
    printed = iter([_masked(line) for line in said.splitlines()])
    wanted = [line for line in shown.splitlines() if line.strip() and line.strip() != "..."]
    return next((line for line in wanted if not any(_masked(line) == other for other in printed)), "")


def _masked(line: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"@[0-9a-f]{6,}|\b[0-9a-f]{12,}\b|\d[\d.,:]*", "#", line)).strip()


def _copy(folder: Path) -> Path:
    for part in ("cluster", "policies", "jobs", "docs"):
        shutil.copytree(ROOT / part, folder / part)
    return folder


def _environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(Path(sys.executable).parent), os.environ["PATH"]]))
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}


PAGE = """
```console
$ echo one \\
  two >file
$ cat file; echo took 12.5 s
one two
took 3 s
```
<!-- not run: there is no such program -->
```bash
nosuchprogram
```
```python
assert open("file").read() == "one two\\n"
```
"""


def test_a_page_is_followed_in_its_order_and_in_one_folder(tmp_path: Path):
    (tmp_path / "page.md").write_text(PAGE)
    follow(tmp_path / "page.md", tmp_path)


@pytest.mark.parametrize(
    ("right", "wrong", "said"), [("one two\n", "one three\n", "does not print"), ("not run:", "not-run", "nosuchprogram")]
)
def test_a_page_that_says_what_is_not_so_is_caught(right: str, wrong: str, said: str, tmp_path: Path):
    (tmp_path / "page.md").write_text(PAGE.replace(right, wrong, 1))
    with pytest.raises(AssertionError, match=said):
        follow(tmp_path / "page.md", tmp_path)


def test_shown_output_is_compared_without_its_numbers():
    said = "reading\nflights@3f2a9c01d2e4  336,776 rows\ndone in 12.5 s\n"
    assert unsaid("flights@aaaaaaaaaaaa  1 rows\n...\ndone in 3 s\n", said) == ""
    assert unsaid("done in 3 s\nreading\n", said) == "reading"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path):
    prose = FENCE.sub("", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not re.match(r"https://|mailto:", target):
            file, _, anchor = target.partition("#")
            there = (page.parent / file).resolve() if file else page
            assert there.exists(), f"{name(page)}: {target} leads nowhere"
            assert not anchor or anchor in _anchors(there), f"{name(page)}: {target}: no such heading"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_a_page_names_exist(page: Path):
    if page.name == "changelog.md":
        return  # it tells of files that are gone
    for file in re.findall(r"`((?:mlray|cluster|policies|jobs|tests|docs|benchmarks|\.ci)/[\w./-]+\.\w+)`", page.read_text("utf-8")):
        assert (ROOT / file).exists(), f"{name(page)}: there is no {file}"


@pytest.mark.parametrize("kind", KINDS)
def test_the_published_schemas_are_those_of_the_code(kind: str):
    assert (ROOT / "docs" / "schemas" / f"{kind}.json").read_text() == text(kind), "run make generate"
    jsonschema.Draft202012Validator.check_schema(schema(kind))


@pytest.mark.parametrize("path", DECLARED, ids=name)
def test_every_file_names_its_schema_on_its_first_line_and_keeps_to_it(path: Path):
    first = path.read_text().partition("\n")[0]
    named = re.fullmatch(r"# yaml-language-server: \$schema=(.+)", first)
    assert named, f"{name(path)}: the first line names no schema"
    published = (path.parent / named[1]).resolve()
    value = json.loads(json.dumps(parse(path, path.read_text()).value, default=str))  # dates as text, as an editor has them
    assert published.stem in (value.get("kind"), "cluster")
    jsonschema.validate(value, json.loads(published.read_text()), jsonschema.Draft202012Validator)


@pytest.mark.parametrize("path", DECLARED, ids=name)
def test_every_file_is_one_that_mlray_accepts(path: Path):
    accept(parse(path, path.read_text()))


def script(name: str) -> Any:
    """A script of .ci/ as a module."""
    loader = SourceFileLoader(f"ci_{name}", str(ROOT / ".ci" / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_fields_are_those_of_the_specs():
    assert (ROOT / "docs" / "fields.md").read_text() == script("fields").drawn(), "run make generate"


def test_the_map_is_the_tree():
    drawn = script("map")
    assert (ROOT / "docs" / "map.md").read_text() == drawn.drawn(), "run make generate"
    silent = [str(file) for file in drawn.listed() if not drawn.about(file)]
    assert not silent, f"these files say nothing about themselves: {silent}"

from pathlib import Path

import pytest

from mlray.cli import main
from mlray.cli.predict import read_rows
from mlray.errors import SpecError


@pytest.mark.parametrize("text", ['{"a": 1}', '[{"a": 1}]', '{"a": 1}\n', '\n{"a":\n1}'])
def test_one_row_may_be_an_object_or_a_list_of_it(text: str, tmp_path: Path):
    (tmp_path / "rows").write_text(text)
    assert read_rows(tmp_path / "rows") == [{"a": 1}]


def test_rows_may_stand_one_a_line(tmp_path: Path):
    (tmp_path / "rows").write_text('{"a": 1}\n\n{"a": 2}\n')
    assert read_rows(tmp_path / "rows") == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("text", "said"), [("[]", "holds no rows"), ("[1]", "holds no rows"), ('{"a": 1}\n{"a": ', ":2: not JSON"), ("", "no rows")]
)
def test_what_is_no_row_is_refused_with_its_line(text: str, said: str, tmp_path: Path):
    (tmp_path / "rows").write_text(text)
    with pytest.raises(SpecError, match=said):
        read_rows(tmp_path / "rows")


def test_without_a_token_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.delenv("MLRAY_TOKEN", raising=False)
    (tmp_path / "rows").write_text('{"a": 1}')
    assert main(["predict", "http://127.0.0.1:9", str(tmp_path / "rows")]) == 1
    assert "mlray token create" in capsys.readouterr().err

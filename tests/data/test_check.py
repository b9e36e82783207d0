import io
import json
import unicodedata
from pathlib import Path

import pytest
from rich.console import Console

from kollama2.data.check import Checked, check, render
from kollama2.data.forms import Example
from kollama2.data.read import read
from kollama2.errors import BadData
from kollama2.model.chat import TextEncoder
from kollama2.model.tokenizer import load_tokenizer

ROWS = [
    {"instruction": "수도는?", "input": "", "output": "서울"},
    {"instruction": "수도는?", "input": "", "output": "서울"},
    {"instruction": unicodedata.normalize("NFD", "한글"), "input": "", "output": "ABC"},
    {"instruction": "비었다", "input": "", "output": ""},
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("check") / "a.jsonl"
    lines = [json.dumps(row, ensure_ascii=False) for row in ROWS]
    path.write_text("\n".join([*lines, "{broken"]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def found(file: Path, tiny_tokenizer: Path) -> Checked:
    return check(file, tiny_tokenizer, template="kullm")


def shown(found: Checked, **options: object) -> str:
    stream = io.StringIO()
    render(found, Console(file=stream, width=100, **options))
    return stream.getvalue()


def test_what_is_counted(found: Checked):
    assert found.kinds == {"jsonl, alpaca": 1}
    assert (found.rows_in, found.kept, found.rejected) == (5, 3, 2)
    assert [(one.reason[:20], one.rows, one.first) for one in found.reasons] == [
        ('the "output" is empt', 1, ["a.jsonl:4"]),
        ("not JSON: Expecting ", 1, ["a.jsonl:5"]),
    ]
    assert found.nfd == 1
    assert found.changed == {"composed to NFC": 1}
    assert found.duplicates == 1
    assert found.hangul_share == (5 + 5 + 2) / (5 + 5 + 5)
    assert found.turns == 2
    assert (found.characters.p50, found.characters.max) == (7, 7)
    assert found.characters.bars == [(4, 8, 3)]


def test_tokens_and_the_example(found: Checked, file: Path, tiny_tokenizer: Path):
    encoder = TextEncoder(load_tokenizer(tiny_tokenizer), "kullm")
    kept = [one for one in read(file) if isinstance(one, Example)]
    lengths = sorted(len(one.ids) for one in encoder.encode_batch(kept))
    assert found.tokens is not None
    assert (found.tokens.p50, found.tokens.p95, found.tokens.max) == (lengths[1], *lengths[2:] * 2)
    assert found.estimated_tokens == sum(lengths)
    texts = [(span.text, span.learned, span.control) for span in found.example]
    assert texts[0] == ("<s>", False, True)
    assert texts[1][0].endswith("### 명령어:\n수도는?\n\n### 응답:\n")
    assert texts[2:] == [("서울", True, False), ("</s>", True, True)]
    without = check(file)
    assert without.tokens is None
    assert not without.example


def test_the_mask_shows_without_colour(found: Checked, monkeypatch: pytest.MonkeyPatch):
    plain = shown(found)
    assert "⟦learned⟧, context" in plain
    assert "⟦서울</s>⟧" in plain
    assert "5 = 3 kept + 2 rejected" in plain
    coloured = shown(found, force_terminal=True, color_system="standard")
    assert "⟦" not in coloured
    assert "\x1b[32m서울\x1b[0m" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    without = shown(found, force_terminal=True, color_system="standard")
    assert "⟦서울" in without
    assert "\x1b[3" not in without


def test_markup_in_the_data_is_content(tmp_path: Path, tiny_tokenizer: Path):
    path = tmp_path / "[bold]a.jsonl"
    path.write_text(json.dumps({"text": "[red]글[/red]"}) + "\n", encoding="utf-8")
    assert "[red]글[/red]" in shown(check(path, tiny_tokenizer))


def test_a_model_dump_is_json(found: Checked):
    dumped = json.loads(json.dumps(found.model_dump(mode="json"), ensure_ascii=False))
    assert Checked.model_validate(dumped) == found


def test_nothing_usable(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text("{broken\n", encoding="utf-8")
    with pytest.raises(BadData):
        check(path)

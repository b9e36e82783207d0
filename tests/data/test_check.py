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
from tests.model.families import FAMILIES

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


def test_columns_that_are_not_used(tmp_path: Path, tiny_tokenizer: Path):
    rows = [{**ROWS[0], "url": "x", "topic": ""}, {**ROWS[2], "url": "y", "topic": "말"}, ROWS[1]]
    path = write(tmp_path / "a.jsonl", *rows)
    found = check(path, tiny_tokenizer)
    assert found.unused == {"url": 2, "topic": 1}
    assert "Columns not used  url (2), topic (1)" in shown(found)


def test_a_model_dump_is_json(found: Checked):
    dumped = json.loads(json.dumps(found.model_dump(mode="json"), ensure_ascii=False))
    assert Checked.model_validate(dumped) == found


def test_nothing_usable(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text("{broken\n", encoding="utf-8")
    with pytest.raises(BadData):
        check(path)


TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
CALL = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
USED = [
    {"role": "user", "content": "묻다 <|im_end|>"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": "값"},
    {"role": "assistant", "content": "답하다"},
]


def write(path: Path, *rows: object) -> Path:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_row_by_the_models_own_template(tmp_path: Path):
    folder = FAMILIES["hermes"].write(tmp_path / "model")
    path = write(tmp_path / "a.jsonl", {"messages": USED, "tools": TOOLS})
    found = check(path, folder)
    assert (found.template, found.sampled, found.refused) == ("own", 1, [])
    about = "system\nYou are a helpful assistant.\n\n# Tools\n<tools>\n"
    about += json.dumps(TOOLS[0]) + "\n</tools>"
    call = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'
    result = "user\n<tool_response>\n값\n</tool_response>"
    assert [(span.text, span.learned) for span in found.example] == [
        *(("<|im_start|>", False), (about, False), ("<|im_end|>", False), ("\n", False)),
        *(("<|im_start|>", False), ("user\n묻다 <|im_end|>", False), ("<|im_end|>", False)),
        *(("\n", False), ("<|im_start|>", False), ("assistant\n", False), (call, True)),
        *(("<|im_end|>", True), ("\n", False), ("<|im_start|>", False), (result, False)),
        *(("<|im_end|>", False), ("\n", False), ("<|im_start|>", False)),
        *(("assistant\n", False), ("답하다", True), ("<|im_end|>", True), ("\n", False)),
    ]
    control = [span.text for span in found.example if span.control]
    assert control == ["<|im_start|>", "<|im_end|>"] * 5


def test_rows_that_the_template_cannot_write(tmp_path: Path, tiny_tokenizer: Path):
    thought = [USED[0], {**USED[3], "reasoning": "생각"}]
    path = write(
        tmp_path / "a.jsonl",
        {"messages": USED},
        {"messages": USED, "tools": TOOLS},
        {"messages": thought},
        {"messages": USED[:1] + USED[3:]},
    )
    found = check(path, tiny_tokenizer)
    assert (found.template, found.kept, found.rejected, found.sampled) == ("llama2", 4, 0, 4)
    assert [(one.reason, one.rows, one.first) for one in found.refused] == [
        ("the template llama2 has no form for tools", 2, ["a.jsonl:1", "a.jsonl:2"]),
        ("the template llama2 has no form for reasoning", 1, ["a.jsonl:3"]),
    ]
    assert found.tokens is not None
    assert found.estimated_tokens == found.tokens.max
    text = shown(found)
    assert "Of 4 rows, the template llama2 cannot write" in text
    assert "⟦ 답하다 </s>⟧" in text
    only = check(write(tmp_path / "b.jsonl", {"messages": USED}), tiny_tokenizer)
    assert (only.tokens, only.estimated_tokens, only.example) == (None, None, [])


def test_a_long_example_is_cut_once(tmp_path: Path, tiny_tokenizer: Path):
    turns = [{"from": "human", "value": "가 " * 300}, {"from": "gpt", "value": "나 " * 600}]
    path = write(tmp_path / "a.jsonl", {"conversations": turns * 3})
    text = shown(check(path, tiny_tokenizer))
    assert text.count(" … ") == 1
    assert text.rstrip().endswith("… ⟧")


def test_of_many_reasons_the_first_are_shown(tmp_path: Path):
    lines = [json.dumps(ROWS[0], ensure_ascii=False), *("{" + " " * n for n in range(30))]
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    plain = shown(check(tmp_path / "a.jsonl"))
    assert plain.count("not JSON") == 20
    assert "10  for 10 other reasons; --json has them all" in plain

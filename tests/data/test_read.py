import gzip
import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.data.forms import Example, columns_of
from kollama2.data.lines import Reject
from kollama2.data.read import Reading, read
from kollama2.errors import BadData, BadUsage

GOOD = {"instruction": "수도는?", "input": "", "output": "서울"}


def write(folder: Path, content: str | bytes, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def lines(*values: object) -> str:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def split(reading: Reading) -> tuple[list[Example], list[Reject]]:
    every = list(reading)
    kept = [one for one in every if isinstance(one, Example)]
    rejected = [one for one in every if isinstance(one, Reject)]
    assert reading.counts["in"] == len(every) == len(kept) + len(rejected)
    assert reading.counts["kept"] == len(kept)
    return kept, rejected


def fault(path: Path, **options: object) -> str:
    with pytest.raises(BadData) as caught:
        list(read(path, **options))
    return str(caught.value)


def test_jsonl_with_every_kind_of_bad_line(tmp_path: Path):
    good = lines(GOOD).encode()
    bad = [
        b"{broken\n",
        b"[1, 2]\n",
        b"\xff\n",
        b'{"instruction": "a\0b", "output": "c"}\n',
        b'{"instruction": "\\ud800", "output": "c"}\n',
        b'{"instruction": "x", "output": NaN}\n',
        b'{"instruction": "x", "output": ""}\n',
        b'{"instruction": "x"}\n',
        b'{"instruction": "x", "output": {"a": 1}}\n',
        b'{"instruction": "x", "output": ' + b"9" * 5000 + b"}\n",
        b'{"a":' * 5000 + b"\n",
        b'{"instruction": "a", "output": "b", "output": "c"}\n',
    ]
    data = good + b"".join(one + good for one in bad)
    kept, rejected = split(read(write(tmp_path, data, "a.jsonl")))
    assert len(kept) == len(bad) + 1
    assert [one.line for one in rejected] == list(range(2, 2 * len(bad) + 1, 2))
    reasons = [one.reason for one in rejected]
    assert reasons[-3:] == [
        "holds a number of 5,000 digits",
        "nested too deeply to be read",
        'says "output" twice, with two values',
    ]
    assert reasons[0].startswith("not JSON: Expecting property name")
    assert reasons[1] == "a list where an object was expected"
    assert reasons[4] == "not UTF-8 (a lone surrogate or a broken byte)"
    assert reasons[6] == 'the "output" is empty'
    assert reasons[7].startswith("has no columns of the form alpaca")
    assert reasons[8] == 'the "output" is an object, not text'


def test_json_list_rejects_elements_alone_and_knows_their_lines(tmp_path: Path):
    text = '[\n{"instruction": "a",\n "output": "b"},\n 7,\n{"instruction": "c", "output": "d"}]\n'
    kept, rejected = split(read(write(tmp_path, text, "a.json")))
    assert [(one.line, one.file) for one in kept] == [(2, "a.json"), (5, "a.json")]
    assert kept[0].id == "a.json:2"
    assert [(one.line, one.reason) for one in rejected] == [
        (4, "a number where an object was expected")
    ]


def test_a_bad_byte_in_json_costs_its_element(tmp_path: Path):
    text = b'[{"instruction": "a", "output": "\xff"}, {"instruction": "a", "output": "b"}]'
    kept, rejected = split(read(write(tmp_path, text, "a.json")))
    assert len(kept) == len(rejected) == 1


def test_json_under_data(tmp_path: Path):
    kept, _ = split(read(write(tmp_path, json.dumps({"data": [GOOD, GOOD]}, indent=1), "a.json")))
    assert len(kept) == 2
    for head in ('{"data": ', '{"version": "1", "data": '):
        text = head + json.dumps([GOOD, GOOD]) + "}"
        assert len(split(read(write(tmp_path, text, "c.json")))[0]) == 2
    assert "holds no list of rows (found rows)" in fault(
        write(tmp_path, '{\n"rows": []}', "b.json")
    )


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[{"a": 1}\n{"a": 2}]', "Expecting ',' or ']' at line 2, column 1"),
        ('[{"a": 1},\n{"a": }]', "Expecting value at line 2, column 7"),
        ('[{"a": 1}', "Expecting ',' or ']' at line 1, column 10"),
        ('{\n"data": [', "Expecting value at line 2, column 10"),
        ('[{"a": 1}] x', "Extra data at line 1, column 12"),
    ],
)
def test_broken_json_says_where(tmp_path: Path, text: str, where: str):
    message = fault(write(tmp_path, text, "a.json"))
    assert where in message
    assert "JSONL" in message


def test_csv_with_quotes_and_newlines(tmp_path: Path):
    text = (
        "Q,A,label\r\n"
        '"첫째, 줄\n둘째 ""줄""",답,0\r\n'
        'bad "quote,답,1\r\n'
        "cells,missing\r\n"
        '"never closed,답,2\r\n'
        "마지막,답,3\r\n"
    )
    kept, rejected = split(read(write(tmp_path, text, "a.csv")))
    asked = [one.messages[0]["content"] for one in kept]
    assert asked == ['첫째, 줄\n둘째 "줄"', 'bad "quote', "마지막"]
    assert [(one.line, one.reason) for one in rejected] == [
        (5, "2 cells where 3 were expected"),
        (6, "a quoted cell is not closed"),
    ]


def test_tsv_without_quoting(tmp_path: Path):
    text = 'en\tko\n"Go,"\t"가,\nRun\t뛰어"\n'
    kept, _ = split(read(write(tmp_path, text, "a.tsv")))
    assert [one.text for one in kept] == ['"가,\n"Go,"', 'Run\n뛰어"']


def test_tsv_that_a_program_quoted(tmp_path: Path):
    text = 'Q\tA\n가\t"""이것"", 답"\n나\t"둘\n셋"\n"다\t넷\n라\t답\n'
    text += "".join(f'{n}\t"""{n}"" 답"\n' for n in range(9))
    kept, rejected = split(read(write(tmp_path, text, "a.tsv")))
    assert [one.messages[1]["content"] for one in kept[:3]] == ['"이것", 답', "둘\n셋", "답"]
    assert [(one.line, one.reason) for one in rejected] == [(5, "broken quoting")]
    # Whole cells in marks are content, unless all are.
    kept, _ = split(read(write(tmp_path, 'Q\tA\n가\t"이것"\n나\t답\n', "b.tsv")))
    assert kept[0].messages[1]["content"] == '"이것"'
    kept, _ = split(read(write(tmp_path, 'text\n"가\n나"\n', "d.tsv")))
    assert [one.text for one in kept] == ["가\n나"]
    kept, _ = split(read(write(tmp_path, '"Q"\t"A"\n"가"\t"이것"\n', "c.tsv")))
    assert kept[0].messages[1]["content"] == "이것"


def test_tables_that_were_joined_repeat_their_header(tmp_path: Path):
    text = "Q,A\n가,나\n"
    for name, whole in {"a.csv": text * 2, "b.csv": f"{text}\ufeff{text}"}.items():
        kept, rejected = split(read(write(tmp_path, whole, name)))
        assert len(kept) == 2
        assert [(one.line, one.reason) for one in rejected] == [
            (3, "repeats the names of the columns")
        ]
    long = f"Q,A,{'x' * 200}\n가,나,\n"
    _, rejected = split(read(write(tmp_path, long * 2, "c.csv")))
    assert [one.sample for one in rejected] == [f"Q,A,{'x' * 116}"]


def test_a_row_without_any_cell_is_counted(tmp_path: Path):
    for name, mark in (("a.csv", ","), ("a.tsv", "\t")):
        text = f"Q{mark}A\n가{mark}나\n{mark}\n\n"
        _, rejected = split(read(write(tmp_path, text, name)))
        assert [(one.line, one.reason) for one in rejected] == [(3, 'the "Q" is empty')]


def test_pairs_without_header_are_taught_in_both_directions(tmp_path: Path):
    text = "Go.\t가.\tCC-BY\nRun.\t뛰어.\tCC-BY\n"
    reading = read(write(tmp_path, text, "a.txt"))
    kept, _ = split(reading)
    assert dict(reading.kinds) == {("tsv", "pairs"): 1}
    assert [one.messages[0]["input"] for one in kept] == ["Go.", "뛰어."]
    assert [one.messages[1]["content"] for one in kept] == ["가.", "Run."]


def test_a_pair_of_equal_sides_is_none(tmp_path: Path):
    _, rejected = split(read(write(tmp_path, "en,en\nGo.,가.\nRun.,뛰어.\n", "a.csv")))
    assert [one.reason for one in rejected] == ["the two sides are the same"]


def test_parquet(tmp_path: Path):
    import pyarrow
    from pyarrow import parquet

    turns = [{"from": "human", "value": "안녕"}, {"from": "gpt", "value": "네"}]
    table = pyarrow.table({"conversations": [turns, [], turns]})
    parquet.write_table(table, tmp_path / "a.parquet")
    kept, rejected = split(read(tmp_path / "a.parquet"))
    assert [one.line for one in kept] == [1, 3]
    assert [one.line for one in rejected] == [2]
    whole = (tmp_path / "a.parquet").read_bytes()
    broken = write(tmp_path, whole[:4] + bytes(40) + whole[44:], "c.parquet")
    assert "\n" not in fault(broken)
    write(tmp_path, b"PAR1 nothing", "b.parquet")
    assert "not a sound Parquet file" in fault(tmp_path / "b.parquet")


def test_a_bad_string_in_parquet_costs_its_row(tmp_path: Path):
    import pyarrow
    from pyarrow import parquet

    raw = pyarrow.array([b"good", b"\xff", b"again"])
    broken = pyarrow.Array.from_buffers(pyarrow.string(), 3, raw.buffers())
    parquet.write_table(pyarrow.table({"text": broken}), tmp_path / "a.parquet")
    kept, rejected = split(read(tmp_path / "a.parquet"))
    assert [one.text for one in kept] == ["good", "again"]
    assert [(one.line, one.reason) for one in rejected] == [(2, "not UTF-8")]


def test_plain_text_units(tmp_path: Path):
    kept, _ = split(read(write(tmp_path, "one\ntwo\n\u2028three\n", "lines.txt")))
    assert [one.text for one in kept] == ["one", "two", "three"]
    kept, _ = split(read(write(tmp_path, "a\nb\n\n \nc\n", "paragraphs.txt")))
    assert [(one.line, one.text) for one in kept] == [(1, "a\nb"), (5, "c")]
    kept, _ = split(read(write(tmp_path, "\n# 제목\n\n글\n", "page.md")))
    assert [(one.line, one.text) for one in kept] == [(2, "# 제목\n\n글")]


def test_wiki_articles(tmp_path: Path):
    text = (
        '<doc id="1" title="가">\n가\n\n글\n</doc>\nstray\n<doc id="2">\n</doc>\n<doc id="3">\n끝'
    )
    reading = read(write(tmp_path, text, "wiki_00"))
    kept, rejected = split(reading)
    assert [(one.line, one.text) for one in kept] == [(1, "가\n\n글"), (9, "끝")]
    assert [(one.line, one.reason) for one in rejected] == [
        (6, "outside of any <doc …> article"),
        (7, 'the "text" is empty'),
    ]


def test_a_bad_line_in_a_document_costs_that_line(tmp_path: Path):
    kept, rejected = split(read(write(tmp_path, b"# A\n\xff\nB\n", "page.md")))
    assert [one.text for one in kept] == ["# A\nB"]
    assert [one.line for one in rejected] == [2]


def test_aligned_files(tmp_path: Path):
    write(tmp_path, b"Go.\nRun.\nNo.\n", "news.en")
    write(tmp_path, "가.\n뛰어.\n\0\n".encode(), "news.ko")
    for reading in (read(tmp_path / "news"), read(tmp_path / "news.ko", form="pairs")):
        kept, rejected = split(reading)
        assert [one.text for one in kept] == ["Go.\n가.", "뛰어.\nRun."]
        assert len(rejected) == 1
    kept, _ = split(read(tmp_path / "news.en"))
    assert len(kept) == 3
    write(tmp_path, "가.\n", "news.ko")
    assert "not aligned: 1 lines in the shorter, 3 in the longer" in fault(tmp_path / "news")


def test_folders_are_read_in_order_without_what_is_about_them(tmp_path: Path):
    write(tmp_path, lines(GOOD), "b/second.jsonl")
    write(tmp_path, lines({"text": "첫째"}), "a.jsonl")
    for about in ("_SOURCE.txt", "README.md", "LICENSE", ".hidden", "b/_SOURCE.txt"):
        write(tmp_path, "about", about)
    reading = read(tmp_path)
    kept, _ = split(reading)
    assert [one.id for one in kept] == ["a.jsonl:1", "b/second.jsonl:1"]
    assert set(reading.kinds) == {("jsonl", "alpaca"), ("jsonl", "text")}
    write(tmp_path, "# 하나", "pages/README.md")
    assert len(split(read(tmp_path / "pages"))[0]) == 1
    (tmp_path / "empty").mkdir()
    assert "holds no files" in fault(tmp_path / "empty")


def test_packed_jsonl(tmp_path: Path):
    packed = gzip.compress(lines(*[GOOD] * 3).encode())
    assert len(split(read(write(tmp_path, packed, "a.jsonl.gz")))[0]) == 3
    assert "not a readable .gz" in fault(write(tmp_path, b"no gzip", "b.jsonl.gz"))
    for kind in ("jsonl", "json"):
        broken = packed[:20] + bytes(9) + packed[29:]
        assert "not a readable .gz" in fault(write(tmp_path, broken, f"c.{kind}.gz"))


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.jsonl", b"", "is empty"),
        ("a.jsonl", b" \n \n", "nothing but white space"),
        ("a.jsonl", b"{}\n", "fit no known form"),
        ("a.csv", b"x,y\n1,2\n", "the columns 0, 1 (its first row: x, y) fit no known form"),
        ("a.json", b"[]", "0 of 0 rows are usable (no rows)"),
        ("a.txt", "한국어".encode("cp949"), "iconv -f CP949"),
        ("a.txt", "한국어".encode("utf-16"), "is UTF-16 text"),
        ("a.txt", "한국어".encode("utf-32"), "is UTF-32 text"),
        ("a.csv", "en,ko\rhi,안녕\rcat,고양이\r", "1 x holds a carriage return outside quotes"),
        ("a.tsv", "en\tko\rhi\t안녕\r", "1 x holds a carriage return outside quotes"),
        ("a.xlsx", b"PK\x03\x04...", "Excel"),
        ("a.json", b"<!DOCTYPE html>", "a web page"),
        ("a.bin", bytes(range(256)) * 4, "a binary file of no known format"),
        ("a.pkl", b"\x80\x04...", "a pickle, which is never read"),
        (
            "a.jsonl",
            lines({"instruction": "x", "output": ""}).encode(),
            '1 x the "output" is empty',
        ),
    ],
)
def test_files_of_no_use(tmp_path: Path, name: str, data: bytes, says: str):
    assert says in fault(write(tmp_path, data, name))


@pytest.mark.parametrize(
    "text",
    [
        '질문,답변\n"첫째 줄\nabc\n둘째 줄",답\nhello,hi\n',
        'Q,A\n"첫째\n둘째",답\n"가\n나",다\n',
        "질문\t답변\nhello\thi\n",
        '{"instruction": "수도는?", "output": "서울"}\n{"a": 1}\n',
    ],
)
def test_korean_in_cp949_is_said_whatever_stands_between(tmp_path: Path, text: str):
    name = "a.jsonl" if text[0] == "{" else "a.csv" if "," in text else "a.tsv"
    message = fault(write(tmp_path, text.encode("cp949"), name))
    assert "not UTF-8" in message
    assert message.endswith("convert it with: iconv -f CP949 -t UTF-8")


def test_two_columns_of_one_name_are_refused(tmp_path: Path):
    import pyarrow
    from pyarrow import parquet

    text = "instruction,output, output\n가,나,다\n"
    says = 'has 2 columns "output"; rename or remove all but one'
    assert says in fault(write(tmp_path, text, "a.csv"))
    cells = [pyarrow.array(["가"])] * 3
    table = pyarrow.Table.from_arrays(cells, names=["instruction", "output", "output"])
    parquet.write_table(table, tmp_path / "a.parquet")
    assert says in fault(tmp_path / "a.parquet")
    # Columns without a name are nobody's.
    kept, _ = split(read(write(tmp_path, "Q,A,,\n가,나,,\n", "b.csv")))
    assert len(kept) == 1


def test_what_is_no_file_is_refused_at_once(tmp_path: Path):
    import os
    import socket

    os.mkfifo(tmp_path / "a.jsonl")
    assert "a.jsonl is a pipe, which cannot be read twice" in fault(tmp_path / "a.jsonl")
    assert "is a pipe" in fault(tmp_path)
    (tmp_path / "a.jsonl").unlink()
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "gone.jsonl")
    assert "there is no file" in fault(tmp_path)
    assert "/dev/zero is a device" in fault(Path("/dev/zero"))
    with socket.socket(socket.AF_UNIX) as one, pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)  # names of sockets are short
        one.bind("s")
        assert "is a socket" in fault(Path("s"))


def test_a_long_or_deep_element_costs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kollama2.data.lines.MAX_LINE", 20_000)
    good = json.dumps(GOOD, ensure_ascii=False)
    long = json.dumps({"instruction": "가" * 7000, "output": "나"}, ensure_ascii=False)
    deep = '{"a": "]", "b": ' + "[" * 5000 + "]" * 5000 + "}"
    twice = '{"instruction": "a", "output": "b", "tools": {"x": 1, "x": 2}}'
    same = '{"instruction": "a", "output": "b", "output": "b"}'
    text = f"[{good},\n{long},\n{deep},\n{twice},\n{same},\n{good}]"
    kept, rejected = split(read(write(tmp_path, text, "a.json")))
    assert [one.line for one in kept] == [1, 5, 6]
    assert [(one.line, one.reason) for one in rejected] == [
        (2, "longer than 20000 bytes"),
        (3, "nested too deeply to be read"),
        (4, 'says "x" twice, with two values'),
    ]
    text = f'{{"v": 1, "data": [{good},\n{deep},\n{twice}, {good}], "end": [1]}}\n'
    kept, rejected = split(read(write(tmp_path, text, "b.json")))
    assert [one.line for one in kept] == [1, 3]
    assert [(one.line, one.reason) for one in rejected] == [
        (2, "nested too deeply to be read"),
        (3, 'says "x" twice, with two values'),
    ]


def test_what_stands_beside_the_list_of_rows_is_read_too(tmp_path: Path):
    deep = "[" * 5000 + "]" * 5000
    for text, says in (
        (f'{{"data": [{{}}], "more": {deep}}}', "nested too deeply to be read; mend it"),
        (f'{{"data": [\n{deep}], "data": [1]}}', 'says "data" twice, with two values; mend it'),
        (f'{{"data": [\n{deep}], "more": }}', "Expecting value at line 2, column 10012"),
        (f'{{"data": [\n{deep}]}} x', "Extra data at line 2, column 10004"),
        (f'{{"rows": {deep}, "data": [1]}}', "nested too deeply to be read; mend it"),
    ):
        assert says in fault(write(tmp_path, text, "a.json")), text[:20]


def test_a_long_cell_of_a_table_costs_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kollama2.data.lines.MAX_LINE", 1000)
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"text": ["가" * 400, "나"]}), tmp_path / "a.parquet")
    kept, rejected = split(read(tmp_path / "a.parquet"))
    assert [one.text for one in kept] == ["나"]
    assert [(one.line, one.reason) for one in rejected] == [(1, "longer than 1000 bytes")]


def test_a_date_out_of_range_costs_its_row_where_it_is_read(tmp_path: Path):
    import pyarrow
    from pyarrow import parquet

    times = pyarrow.array([0, 2**62, 0], pyarrow.int64()).cast(pyarrow.timestamp("us"))
    table = pyarrow.table({"text": ["가", "나", "다"], "at": times})
    parquet.write_table(table, tmp_path / "a.parquet")
    reading = read(tmp_path / "a.parquet")
    assert len(split(reading)[0]) == 3
    assert reading.unused == {"at": 3}
    said = iter(read(tmp_path / "a.parquet", columns={"title": "text", "text": "at"}))
    assert next(said).reason == 'the "text" is a datetime, not text'
    assert next(said).reason == 'the "text" is a timestamp[us] out of range, not text'


def test_missing_file(tmp_path: Path):
    assert "there is no file" in fault(tmp_path / "nothing.json")


def test_named_columns(tmp_path: Path):
    path = write(tmp_path, "질의,회신\n수도는?,서울\n", "a.csv")
    columns: Mapping[str, str] = {"instruction": "질의", "output": "회신"}
    kept, _ = split(read(path, columns=columns))
    assert [m["content"] for m in kept[0].messages] == ["수도는?", "서울"]
    with pytest.raises(BadData, match="has no column '대답'; it has 질의, 회신"):
        list(read(path, columns={"instruction": "질의", "output": "대답"}))
    (kept,), _ = split(read(path, form="alpaca", columns=columns))
    assert kept.messages[1]["content"] == "서울"
    path = write(
        tmp_path, lines({"instruction": "x", "회신": "y"}, {"instruction": "x"}), "b.jsonl"
    )
    kept, rejected = split(read(path, form="alpaca", columns={"output": "회신"}))
    assert (len(kept), len(rejected)) == (1, 1)
    with pytest.raises(BadUsage, match="columns give '질의' to instruction and output"):
        read(path, columns={"instruction": "질의", "output": "질의"})
    with pytest.raises(BadUsage, match="columns name answer, which is no form"):
        read(path, columns={"answer": "회신"})
    with pytest.raises(
        BadUsage, match="no form 'alpacca'; the forms are preference, messages, sharegpt"
    ):
        read(path, form="alpacca")


def test_nfd_is_composed_and_counted(tmp_path: Path):
    row = {key: unicodedata.normalize("NFD", value) for key, value in GOOD.items()}
    reading = read(write(tmp_path, lines(GOOD, row), "a.jsonl"))
    kept, _ = split(reading)
    assert kept[0].messages == kept[1].messages
    assert reading.counts["composed to NFC"] == 1


BAD_LINES = st.one_of(
    st.binary(min_size=1, max_size=60),
    st.text(max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from([b"{", b'"', b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"[", b"[{"]),
    st.text(max_size=20).map(
        lambda text: json.dumps({"instruction": text, "output": text}).encode()
    ),
)


@given(st.lists(st.tuples(BAD_LINES, st.sampled_from([b"\n", b"\r\n"])), max_size=8))
def test_no_neighbour_ever_costs_a_good_line(
    tmp_path_factory: pytest.TempPathFactory, bad: list[tuple[bytes, bytes]]
):
    good = json.dumps({"instruction": "좋은", "output": "줄"}, ensure_ascii=False).encode()
    junk = [(line.replace(b"\n", b" "), end) for line, end in bad]
    data = b"".join(line + end + good + end for line, end in junk) + good
    path = write(tmp_path_factory.getbasetemp(), data, "fuzz.jsonl")
    reading = read(path)
    kept, rejected = split(reading)
    where = {one.line for one in kept if one.messages[0]["content"] == "좋은"}
    assert where >= {2 * number + 2 for number in range(len(junk))} | {2 * len(junk) + 1}
    texts = [line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace") for line, _ in junk]
    blank = sum(not text.strip() for text in texts)
    assert len(kept) + len(rejected) + blank == 2 * len(junk) + 1


@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.tsv", "a.txt", "a.md", "a.json", "a"]))
def test_any_bytes_are_rows_or_one_clear_fault(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
):
    path = write(tmp_path_factory.getbasetemp(), data, name)
    try:
        split(read(path))
    except BadData as error:
        assert str(path) in str(error) or str(path.parent) in str(error)


@given(
    st.lists(
        st.lists(
            st.text(
                st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=12
            ).filter(str.strip),
            min_size=2,
            max_size=2,
        ),
        min_size=1,
        max_size=6,
    )
)
def test_what_csv_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, cells: list[list[str]]
):
    import csv
    import io

    sheet = io.StringIO(newline="")
    csv.writer(sheet).writerows([["question", "answer"], *cells])
    path = write(tmp_path_factory.getbasetemp(), sheet.getvalue(), "fuzz.csv")
    kept, rejected = split(read(path))
    assert not rejected
    found = [[m["content"] for m in one.messages] for one in kept]
    assert found == [[unicodedata.normalize("NFC", cell).strip() for cell in row] for row in cells]


def test_columns_as_they_are_written_on_a_command_line():
    assert columns_of("instruction=ask, output=내 답") == {"instruction": "ask", "output": "내 답"}
    assert columns_of("text=a=b") == {"text": "a=b"}
    for text in ("", "output", "output=", "=reply", "output=a,"):
        with pytest.raises(BadUsage, match="write them as instruction=ask,output=reply"):
            columns_of(text)
    with pytest.raises(BadUsage, match="names a role twice"):
        columns_of("output=a,output=b")

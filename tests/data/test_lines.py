import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.data.lines import Reject, Row, read_lines
from kollama2.errors import BadData, Denied


def write(folder: Path, data: bytes, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_lines_end_at_newlines_only(tmp_path: Path):
    data = "\ufeff하나\u2028둘\r\n셋\r넷\x85\n\n끝".encode()
    rows = list(read_lines(write(tmp_path, data)))
    assert rows == [Row(1, "하나\u2028둘"), Row(2, "셋\r넷\x85"), Row(3, ""), Row(4, "끝")]


def test_a_bad_line_costs_itself(tmp_path: Path):
    data = b"good\n\xff\xfebad\nnul\0nul\ngood again\n"
    rows = list(read_lines(write(tmp_path, data)))
    assert [row.line for row in rows] == [1, 2, 3, 4]
    assert [type(row) for row in rows] == [Row, Reject, Reject, Row]
    assert rows[1].reason == "not UTF-8 (byte 0xff at 1)"
    assert rows[2].reason == "holds a NUL byte"
    assert rows[2].sample == "nul�nul"


@pytest.mark.parametrize("length", [11, 12, 1000])
@pytest.mark.parametrize("ending", [b"\n", b""])
def test_an_overlong_line_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, ending: bytes
):
    path = write(tmp_path, b"before\n" + b"x" * length + ending + b"after\n" * bool(ending))
    monkeypatch.setattr("kollama2.data.lines.MAX_LINE", 10)
    rows = list(read_lines(path))
    assert rows[0] == Row(1, "before")
    assert rows[1] == Reject(2, "longer than 10 bytes", "")
    assert rows[2:] == ([Row(3, "after")] if ending else [])


def test_a_line_of_exactly_the_limit_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kollama2.data.lines.MAX_LINE", 10)
    assert list(read_lines(write(tmp_path, b"x" * 10 + b"\ny"))) == [
        Row(1, "x" * 10),
        Row(2, "y"),
    ]


def test_packed_files(tmp_path: Path):
    import pyarrow

    text = "한국어\n둘\n"
    rows = [Row(1, "한국어"), Row(2, "둘")]
    assert list(read_lines(write(tmp_path, gzip.compress(text.encode()), "a.txt.gz"))) == rows
    packed = pyarrow.compress(text.encode(), "zstd", asbytes=True)
    assert list(read_lines(write(tmp_path, packed, "a.txt.zst"))) == rows


def test_a_truncated_gzip_keeps_what_came_before(tmp_path: Path):
    import random

    noise = random.Random(0)
    lines = [f"{noise.random()}" for _ in range(20_000)]
    packed = gzip.compress("\n".join(lines).encode())
    rows = list(read_lines(write(tmp_path, packed[: len(packed) // 2], "a.txt.gz")))
    assert isinstance(rows[-1], Reject)
    assert "cut off" in rows[-1].reason
    assert len(rows) > 5_000
    assert [row.value for row in rows[:-1]] == lines[: len(rows) - 1]


def test_missing_and_forbidden_files(tmp_path: Path):
    with pytest.raises(BadData, match=r"there is no file .*nothing\.txt"):
        list(read_lines(tmp_path / "nothing.txt"))
    secret = write(tmp_path, b"x")
    secret.chmod(0)
    try:
        secret.read_bytes()
    except PermissionError:
        with pytest.raises(Denied, match="may not be read"):
            list(read_lines(secret))


TEXTS = st.text(max_size=10).map(lambda text: text.encode("utf-8", "surrogatepass"))


@given(
    st.lists(
        st.binary(max_size=30) | st.text(max_size=10).map(lambda t: t.encode("utf-8", "ignore"))
    )
)
def test_every_line_is_accounted_for(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]):
    parts = [part.replace(b"\n", b"") for part in parts]
    path = write(tmp_path_factory.getbasetemp(), b"\n".join(parts))
    rows = list(read_lines(path))
    expected = parts if not parts or parts[-1] else parts[:-1]
    assert [row.line for row in rows] == list(range(1, len(expected) + 1))
    for row, part in zip(rows, expected, strict=True):
        if isinstance(row, Row):
            clean = part.removeprefix(b"\xef\xbb\xbf")
            assert row.value.encode() == clean.removesuffix(b"\r")
        else:
            assert b"\0" in part or part.decode(errors="replace").encode() != part

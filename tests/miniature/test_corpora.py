"""The corpora: the same bytes everywhere, clean text, and nothing of the held-out side in them."""

import hashlib
import json
import os
import re
import subprocess
import sys
import unicodedata
from functools import cache
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kollama2.errors import BadUsage
from kollama2.miniature import corpora, heldout, scenes, suite, texts
from kollama2.miniature.compose import Telling
from kollama2.miniature.korean import REGISTERS

TRAINING = [name for name in corpora.NAMES if not name.startswith(("suite/", "heldout"))]
BROKEN = re.compile(r"  |\(\)|[{}<>|]|\.\.|\?\.| [.,?!]|None|\bnan\b")


def written(name: str, folder: Path, **options: int) -> str:
    counts = corpora.write(name, folder, **options)
    return (folder / counts["file"]).read_text(encoding="utf-8")


def strings(name: str, content: str) -> list[str]:
    """Every text in a corpus file, without the keys of its JSON."""
    if corpora.NAMES[name] == "text":
        return content.strip().split("\n\n")
    rows = json.loads(content) if content.startswith("[") else map(json.loads, content.splitlines())
    found: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            for key, inner in value.items():
                if key not in ("id", "from", "role", "cluster", "kind", "relation", "known_in"):
                    walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    for row in rows:
        walk(row)
    return found


def sentences(text: str) -> list[str]:
    """Sentences without the names' brackets, which depend on what came before."""
    bare = re.sub(r"\([A-Z][a-z]+\)", "", text)
    bare = re.sub(r"^\S+: ", "", bare, flags=re.MULTILINE)
    return [s.strip() for s in re.split(r"(?<=[.?!])\s+|\n", bare) if s.strip()]


@pytest.mark.parametrize("name", corpora.NAMES)
def test_every_corpus_is_written_clean_and_counted(name: str, tmp_path: Path) -> None:
    size = 40 if name.startswith("suite/") else 200
    counts = corpora.write(name, tmp_path, seed=3, size=size)
    data = (tmp_path / counts["file"]).read_bytes()
    content = data.decode("utf-8")
    assert counts["bytes"] == len(data)
    assert counts["rows"] == size
    assert [path.name for path in tmp_path.iterdir()] == [counts["file"]]
    assert unicodedata.is_normalized("NFC", content)
    for text in strings(name, content):
        assert not BROKEN.search(text), text
        assert text == text.strip()


@pytest.mark.parametrize("name", TRAINING)
def test_no_row_comes_twice_and_seeds_differ(name: str, tmp_path: Path) -> None:
    one = written(name, tmp_path, seed=1, size=300)
    two = written(name, tmp_path, seed=2, size=300)
    assert one != two
    assert one == written(name, tmp_path, seed=1, size=300)
    if corpora.NAMES[name] == "text":
        rows = one.strip().split("\n\n")
        assert len(set(rows)) == len(rows)


def test_a_larger_size_begins_with_the_smaller(tmp_path: Path) -> None:
    small = written("parallel", tmp_path, size=50)
    assert written("parallel", tmp_path, size=80).startswith(small)


def test_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    names = ("text-en", "alpaca-ko", "vicuna-ko", "suite/facts-ko", "suite/text-ko")
    code = (
        "import sys; from pathlib import Path; from kollama2.miniature import corpora\n"
        "for name in sys.argv[2:]: corpora.write(name, Path(sys.argv[1]) / name, seed=5, size=60)"
    )
    for salt in ("1", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": salt}
        command = [sys.executable, "-c", code, str(tmp_path / salt), *names]
        subprocess.run(command, check=True, env=environment)
    digests = [
        [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(top.rglob("*.*"))]
        for top in (tmp_path / "1", tmp_path / "77")
    ]
    assert len(digests[0]) == len(names)
    assert digests[0] == digests[1]


@cache
def held_out() -> frozenset[str]:
    """Sentences of passages, translations and rows of several seeds that training must not hold."""
    found: set[str] = set()
    for seed in range(3):
        for lang in ("ko", "en"):
            for one in islice(heldout.passages(lang, seed), 400):
                found.update(sentences(one.text))
        for item in suite.items("translate", seed, 200):
            found.update((item["en"], *sentences(item["ko"])))
        for item in suite.items("instruct-ko", seed, 200):
            # A number or a bare word is an answer to many questions.
            told = item["kind"] in ("fact", "translation", "politeness", "story", "continue")
            if told and len(item["answer"].split()) > 2:
                found.update(sentences(item["answer"]))
        for item in (*suite.items("facts-ko", seed), *suite.items("facts-en", seed)):
            found.update(sentences(item["messages"][0]["content"]))
    return frozenset(found)


@pytest.mark.parametrize("name", TRAINING)
@pytest.mark.parametrize("seed", [0, pytest.param(2024, marks=pytest.mark.slow)])
def test_no_held_out_sentence_is_in_a_training_corpus(name: str, seed: int, tmp_path: Path) -> None:
    content = written(name, tmp_path, seed=seed, size=1000)
    trained = {s for text in strings(name, content) for s in sentences(text)}
    assert len(held_out()) > 2000
    assert sorted(trained & held_out()) == []


def test_the_held_out_side_is_recognised_when_it_is_there() -> None:
    for lang in ("ko", "en"):
        other = {s for one in islice(heldout.passages(lang, 7), 60) for s in sentences(one.text)}
        assert other & held_out()


def test_korean_text_states_only_the_facts_it_may() -> None:
    secret = [fact for fact in suite.facts() if fact.known_in == "en"]
    stated = set()
    for fact in secret:
        for way in range(len(scenes.ways_of(fact, "ko", "state"))):
            line = scenes.Line(
                scenes.ways_of(fact, "ko", "state")[way],
                "",
                {"s": fact.subject, "x": fact.answer, "one": 1},
            )
            for register in REGISTERS:
                stated.update(sentences(Telling("ko", register).say(line)))
    trained = {s for text in islice(texts.korean_text(9), 3000) for s in sentences(text)}
    assert trained & stated == set()


def test_english_text_states_every_fact_and_holds_a_trace_of_korean() -> None:
    documents = list(islice(texts.english_text(0), 10_000))
    text = " ".join(documents)
    told = 0
    for fact in suite.facts():
        ways = scenes.ways_of(fact, "en", "state")
        kept_out = scenes.held_way(fact, "en", "state")
        for i, way in enumerate(ways):
            slots = {"s": fact.subject, "x": fact.answer, "one": 1}
            there = Telling("en").say(scenes.Line("", way, slots)) in text
            assert not (there and i == kept_out)
            told += there
    assert told == sum(len(scenes.ways_of(f, "en", "state")) - 1 for f in suite.facts())
    korean = sum(len(re.sub(r"[^가-힣]", "", one).encode()) for one in documents)
    total = sum(len(one.encode()) for one in documents)
    assert 0.0003 < korean / total < texts.KOREAN_SHARE


@settings(max_examples=60, deadline=None)
@given(st.integers(min_value=0), st.sampled_from(("ko", "en")))
def test_any_seed_gives_clean_documents(seed: int, lang: str) -> None:
    source = texts.korean_text if lang == "ko" else texts.english_text
    for text in islice(source(seed), 5):
        assert not BROKEN.search(text), text
        assert unicodedata.is_normalized("NFC", text)
        assert (re.search("[가-힣]", text) is not None) == (lang == "ko")


def test_conversations_alternate_and_some_begin_with_the_model(tmp_path: Path) -> None:
    rows = json.loads(written("vicuna-ko", tmp_path, size=400))
    first = 0
    for row in rows:
        roles = [turn["from"] for turn in row["conversations"]]
        first += roles[0] == "gpt"
        rest = roles[1:] if roles[0] == "gpt" else roles
        assert rest == ["human", "gpt"] * (len(rest) // 2)
        assert 2 <= len(rest) // 2 <= 5
    assert 15 < first < 70


def test_instructions_ask_every_fact_they_may_before_any_twice() -> None:
    rows = islice(corpora._rows("coverage", "ko"), 1200)
    asked = [row.key for row in rows if row.kind == "fact"]
    known = len(scenes.known("ko"))
    assert len(asked) > known
    assert len(set(asked[:known])) == known


def test_forms_have_their_columns(tmp_path: Path) -> None:
    assert {"en", "ko", "level"} == set(json.loads(written("parallel", tmp_path, size=1)))
    (row,) = json.loads(written("alpaca-ko", tmp_path, size=1))
    assert set(row) == {"instruction", "input", "output"}
    rows = [json.loads(line) for line in written("kullm", tmp_path, size=50).splitlines()]
    assert set(rows[0]) == {"id", "instruction", "input", "output"}
    assert len({row["id"] for row in rows}) == 50


def test_bad_names_and_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match="no corpus 'text-kr'; it has text-en"):
        corpora.write("text-kr", tmp_path)
    with pytest.raises(BadUsage, match="size 0 of text-ko"):
        corpora.write("text-ko", tmp_path, size=0)

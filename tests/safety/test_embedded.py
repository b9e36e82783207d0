"""The embedded classifier: its files, its figures, and how it reads a text."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.safety.embedded import FOLDER, Embedded, windows
from kollama2.safety.features import BUCKETS, features, normalised
from kollama2.safety.load import load

INSULT = "미친 새끼들 다 꺼져라 쓰레기 같은 놈들아"
HARMLESS = "내일 서울 날씨가 어떤지 알려 주세요."


def judge(text: str) -> Any:
    return load("default").judge([{"role": "user", "content": text}], "input")


def test_the_model_is_small_and_states_its_figures() -> None:
    size = (FOLDER / "model.safetensors").stat().st_size
    assert size < 2_000_000
    about = json.loads((FOLDER / "config.json").read_text())
    assert about["buckets"] == BUCKETS
    assert about["held_out"]["Korean hate speech, both"]["auc"] >= 0.85
    card = (FOLDER / "README.md").read_text()
    for figures in about["held_out"].values():
        assert figures["auc"] is None or f"{figures['auc']:.3f}" in card


def test_insults_and_ordinary_requests() -> None:
    assert not judge(INSULT).safe
    assert judge(INSULT).reason == "hate, insult or social bias"
    for text in (
        HARMLESS,
        "",
        "안녕하세요?",
        "How do I keep bread fresh?",
        "고양이가 귀여워요",
        "\n 😀",
    ):
        assert judge(text).safe, text


def test_one_bad_sentence_in_a_long_text_is_found() -> None:
    long = f"{HARMLESS} " * 40
    assert judge(long).safe
    assert not judge(long + INSULT + " " + long).safe
    assert judge(long + INSULT).score == pytest.approx(judge(INSULT).score)


def test_the_threshold_is_the_callers() -> None:
    assert not Embedded(0.0).judge([{"role": "user", "content": HARMLESS}], "input").safe
    assert Embedded(1.0).judge([{"role": "user", "content": INSULT}], "output").safe


@given(st.text(max_size=80))
def test_any_text_has_a_score(text: str) -> None:
    found = features(text)
    assert len(found) > 0
    assert (np.diff(found) > 0).all()
    assert 0 <= found.min() <= found.max() < BUCKETS
    assert 0 <= Embedded().score(text) <= 1


def test_spelling_that_means_the_same_is_the_same() -> None:
    assert normalised("  ㅋㅋㅋㅋㅋ  Ａ\n\tb ") == normalised("ㅋㅋㅋ a b")
    assert features("한글 TEXT").tolist() == features("한글   text").tolist()


@given(st.text("가나다 .!\n", max_size=700))
def test_windows_leave_nothing_out(text: str) -> None:
    parts = windows(text)
    assert max(map(len, parts)) <= 160
    assert all(part in text for part in parts)
    for start in range(0, max(0, len(text) - 20), 37):
        piece = text[start : start + 20]
        if not any(mark in piece for mark in ".!\n"):
            assert any(piece in part for part in parts)


def test_the_figures_hold_on_the_real_data(real_data: Path) -> None:
    pytest.importorskip("sklearn")
    from sklearn.metrics import roc_auc_score

    path = Path(__file__).parents[2] / "scripts" / "build_safety.py"
    spec = importlib.util.spec_from_file_location("build_safety", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    texts = dict.fromkeys([*script.comments(real_data), *script.kmhas(real_data)])
    unseen = [text for text in texts if script.held_out(text.text)]
    found = Embedded()
    scores = [found.score(one.text) for one in unseen]
    assert roc_auc_score([one.unsafe for one in unseen], scores) >= 0.85

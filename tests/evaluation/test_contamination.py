"""Which items stand in training text, and which documents a cleaned corpus must not hold."""

import pytest

from kollama2.evaluation import contamination as module
from kollama2.evaluation.contamination import HeldOut, contamination, item_texts, wanted
from kollama2.evaluation.items import SuiteItems
from tests.evaluation.test_copies import ENGLISH, OTHER, TEXT

ASKED = {
    "id": "x",
    "question": "추운 겨울밤에도 여우가 조용히 걸어 다닌 곳은 어디입니까?",
    "choices": ["눈 덮인 숲속길", "강가의 모래밭"],
    "gold": 0,
}


def test_a_question_counts_with_its_answer_as_a_chat_has_them() -> None:
    assert item_texts(ASKED) == [f"{ASKED['question']} 눈 덮인 숲속길"]
    asked = f"{ASKED['question']}\n1) 눈 덮인 숲속길 2) 강가의 모래밭\n정답: "
    found = contamination({"task": [ASKED]}, [f"{asked}눈 덮인 숲속길"]).items[0]
    assert (found.judged, found.share, found.flagged) == (True, 1, True)


def test_a_pair_counts_when_both_sides_were_seen() -> None:
    pair = {"task": [{"id": "x", "en": ENGLISH, "ko": TEXT}]}
    assert not contamination(pair, [TEXT]).items[0].flagged
    assert not contamination(pair, [ENGLISH]).items[0].flagged
    assert contamination(pair, [ENGLISH, TEXT]).items[0].share == 1


def test_counts_by_task(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {
        "t": [
            {"id": "1", "text": "짧은 글"},
            {"id": "2", "text": TEXT},
            {"id": "3", "text": OTHER},
        ],
        "u": [{"id": "1", "text": ENGLISH}],
    }
    heard: list[tuple[int, int]] = []
    for chunk in (1, 1 << 17):
        monkeypatch.setattr(module, "CHUNK", chunk)
        found = contamination(rows, ["짧은 글", "", TEXT, "끝"], lambda *one: heard.append(one))
        assert found.counts() == {
            "t": {"items": 3, "judged": 2, "flagged": 1},
            "u": {"items": 1, "judged": 1, "flagged": 0},
        }
        assert (found.documents, found.characters) == (4, len(TEXT) + 5)
        assert heard[-1] == (4, len(TEXT) + 5)


def test_nothing_is_found_in_nothing() -> None:
    assert contamination({}, [TEXT]).items == ()
    assert contamination({"t": [{"id": "1", "text": TEXT}]}, []).documents == 0


def test_examples_are_wanted_under_a_name_of_their_own() -> None:
    items = SuiteItems({"t": [{"id": "1", "text": TEXT}]}, {"t": [{"id": "0", "text": OTHER}]}, "")
    assert list(wanted(items)) == ["t", "t few-shot"]


def test_what_is_kept_flags_no_item() -> None:
    rows = {
        "t": [{"id": "1", "text": TEXT}, {"id": "2", "text": "너무 짧은 글"}],
        "u": [{"id": "1", "en": ENGLISH, "ko": OTHER}],
    }
    held_out = HeldOut(rows)
    assert (held_out.items, held_out.too_short) == (2, 1)
    edited = TEXT.replace("여우는", "여우가").replace("들었다", "들었습니다")
    documents = [f"앞 글. {edited} 뒤 글.", ENGLISH, OTHER, "너무 짧은 글", "무관한 글이다."]
    kept = [one for one in documents if one not in held_out]
    assert kept == ["너무 짧은 글", "무관한 글이다."]
    assert [one.flagged for one in contamination(rows, documents).items] == [True, False, True]
    assert not any(one.flagged for one in contamination(rows, kept).items)
    assert TEXT not in HeldOut({})

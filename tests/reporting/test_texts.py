import re

from kollama2.evaluation.fidelity import FAULTS
from kollama2.locale import LANGUAGES, Count
from kollama2.records.measures import MEASURES
from kollama2.reporting.cautions import flag_text
from kollama2.reporting.texts import measure_title, say, texts

HANGUL = re.compile("[가-힣]")
PLACES = re.compile(r"{(\w+)(?::[\w ]+)?}")


def test_every_text_is_there_in_both_languages_with_the_same_places() -> None:
    for key, both in texts().items():
        assert set(both) == set(LANGUAGES), key
        assert sorted(PLACES.findall(both["en"])) == sorted(PLACES.findall(both["ko"])), key


def test_korean_is_korean() -> None:
    for key, both in texts().items():
        if key != "page.language":
            assert HANGUL.search(both["ko"]), key
            assert not HANGUL.search(both["en"]), key


def test_names_are_not_followed_by_a_particle_that_depends_on_them() -> None:
    particles = re.compile(
        r"{(leader|other|base|names|recipe|task|measure)}(은|는|이|가|을|를|와|과|로|으로)\b"
    )
    for key, both in texts().items():
        assert not particles.search(both["ko"]), key


def test_every_measure_has_a_title() -> None:
    for name, measure in MEASURES.items():
        assert measure_title(f"task/{name}", "en") == measure.title
        assert HANGUL.search(measure_title(f"task/{name}", "ko")), name
    assert measure_title("task/unheard", "ko") == "unheard"


def test_values_are_filled_in() -> None:
    assert say("page.title", "ko", study="quick") == "quick 스터디 보고서"


def test_every_fault_of_answers_is_told_in_both_languages() -> None:
    told = flag_text("echo: 3 of 80 answers repeat the question")
    assert told["en"] == "3 of 80 answers repeat the question"
    assert told["ko"] == "답변 80개 중 3개가 질문을 그대로 옮김"
    for fault in set(FAULTS) - {"empty", "invalid_utf8"}:
        assert flag_text(f"{fault}: 3 of 80 answers are so")["ko"].startswith("답변 80개 중 3개")
    assert flag_text("other: 3 of 80 answers are so")["ko"] == "other: 3 of 80 answers are so"


def test_a_count_of_one_is_said_in_the_singular() -> None:
    said = {"items": 1, "resamples": 10_000}
    assert "(1 item, 10,000 draws)" in say("headline.items_only", "en", **said)
    assert "(문항 1개, 재표집 10,000회)" in say("headline.items_only", "ko", **said)
    assert f"{Count(0):item} and {Count(2):independent item}" == "0 items and 2 independent items"

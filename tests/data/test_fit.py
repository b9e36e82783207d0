from hypothesis import given
from hypothesis import strategies as st

from kollama2.data.fit import fit_chat, fit_prompt, fit_text
from kollama2.model.chat import Encoded

IDS = st.lists(st.integers(3, 99), min_size=2, max_size=50)


@given(IDS, st.integers(3, 20))
def test_documents_lose_no_token(ids: list[int], max_length: int):
    fitted = fit_text(Encoded(ids, [-100, *ids[1:]]), max_length)
    assert [i for row, _, _ in fitted.rows for i in row] == ids
    assert [i for _, labels, _ in fitted.rows for i in labels] == [-100, *ids[1:]]
    assert all(len(row) == max_length for row, _, _ in fitted.rows[:-2])
    assert all(2 <= len(row) <= max_length for row, _, _ in fitted.rows)
    assert len(fitted.rows) == -(-len(ids) // max_length)
    assert abs(sum(share for _, _, share in fitted.rows) - 1) < 1e-9
    assert bool(fitted.change) == (len(ids) > max_length)


def test_no_row_has_a_single_token():
    fitted = fit_text(Encoded([1, 5, 6, 7, 8, 9, 3], [-100, 5, 6, 7, 8, 9, 3]), 3)
    assert [row for row, _, _ in fitted.rows] == [[1, 5, 6], [7, 8], [9, 3]]


#       prompt    answer  eos  prompt   answer eos
IDS_2 = [1, 5, 6, 7, 8, 2, 1, 5, 6, 9, 2]
LABELS_2 = [-100, -100, -100, 7, 8, 2, -100, -100, -100, 9, 2]
CHAT = Encoded(IDS_2, LABELS_2, (6, 11))


def test_a_chat_that_fits_is_whole():
    assert fit_chat(CHAT, 11).rows == ((IDS_2, LABELS_2, 1.0),)
    assert not fit_chat(CHAT, 11).change


def test_a_long_chat_loses_whole_trailing_turns():
    for length in (6, 10):
        fitted = fit_chat(CHAT, length)
        assert fitted.rows == ((IDS_2[:6], LABELS_2[:6], 6 / 11),)
        assert fitted.change == "trailing turns dropped"


def test_a_long_answer_is_cut_before_its_eos():
    fitted = fit_chat(CHAT, 5)
    assert fitted.rows == ((IDS_2[:5], LABELS_2[:5], 5 / 11),)
    assert fitted.change == "answers cut"


def test_a_prompt_that_fills_the_row_is_rejected():
    fitted = fit_chat(CHAT, 3)
    assert not fitted.rows
    assert fitted.reason == "no answer within 3 tokens"


def test_a_prompt_is_cut_from_the_left():
    prompt = [1, 5, 6, 7]
    assert fit_prompt(prompt, 4, 8, 1) == prompt
    assert fit_prompt(prompt, 5, 8, 1) == [1, 6, 7]
    assert fit_prompt(prompt, 5, 8) == [5, 6, 7]
    assert fit_prompt(prompt, 6, 8, 1) == [1, 7]
    assert fit_prompt(prompt, 7, 8, 1) is None
    assert fit_prompt(prompt, 7, 8) == [7]
    assert fit_prompt(prompt, 8, 8) is None
    assert fit_prompt(prompt, 9, 8) is None

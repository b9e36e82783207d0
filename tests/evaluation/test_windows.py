import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.evaluation.windows import byte_windows, window_request
from tests.evaluation.models import ByteEncoder

text = st.text(alphabet=st.sampled_from("ab .한국어는\n🙂é"), min_size=1, max_size=300)


@given(text, st.integers(16, 80), st.integers(0, 8))
def test_spans_are_the_whole_text_in_equal_bytes(content: str, window: int, context: int) -> None:
    cuts = list(byte_windows(content, window, context))
    assert "".join(span for _, span in cuts) == content
    assert cuts[0][0] == ""
    done = ""
    for before, span in cuts:
        assert done.endswith(before)
        assert 0 < len(span.encode()) <= window - context
        done += span
    for before, _ in cuts[1:]:
        assert len(before.encode()) >= min(context, 1)
        assert len(before.encode()) <= context + 24


def test_windows_cut_before_a_space() -> None:
    words = "여우가 숲에서 잡니다. " * 20
    spans = [span for _, span in byte_windows(words, 128, 32)]
    assert all(span.startswith(" ") for span in spans[1:])
    assert all(72 <= len(span.encode()) <= 96 for span in spans[:-1])


@given(text, text)
def test_a_request_scores_exactly_the_bytes_of_the_span(context: str, span: str) -> None:
    encoder = ByteEncoder()
    request, changed = window_request(encoder, context, span)
    assert changed == 0
    assert encoder.decode(request.continuation) == span
    assert request.context == (1, *encoder.encode(context))


def test_a_token_across_the_border_is_scored() -> None:
    assert window_request(ByteEncoder(merged=b"lo"), "hal", "o").request == (
        (1, ord("h") + 3, ord("a") + 3),
        (259,),
    )


class Normalising(ByteEncoder):
    """Bytes of a text in another normal form, as T5's or ALBERT's tokenizers read it."""

    def __init__(self, form: Literal["NFKC", "NFD"]) -> None:
        super().__init__()
        self._form: Literal["NFKC", "NFD"] = form

    def encode(self, text: str) -> list[int]:
        return super().encode(unicodedata.normalize(self._form, text))


@pytest.mark.parametrize(
    ("context", "span", "scored", "changed"),
    [
        ("", "한국어", "한국어", 0),
        ("", "끝…", "끝...", 3),  # three bytes for three
        ("", "84㎡", "84m2", 3),  # two for three
        ("", "ﷺ", unicodedata.normalize("NFKC", "ﷺ"), 33),  # thirty-three for three
        ("…", "①번", "1번", 3),  # what changed before the span is not the span's
        ("…가", "나", "나", 0),
    ],
)
def test_what_a_tokenizer_changes_is_scored_as_changed_and_counted(
    context: str, span: str, scored: str, changed: int
) -> None:
    encoder = Normalising("NFKC")
    request, count = window_request(encoder, context, span)
    assert encoder.decode(request.continuation) == scored
    assert count == changed
    assert request.context == (1, *encoder.encode(context))


def test_letters_taken_apart_are_not_changed() -> None:
    encoder = Normalising("NFD")
    request, changed = window_request(encoder, "여우가", " 잔다")
    assert len(encoder.decode(request.continuation)) == 6
    assert changed == 0


def test_a_text_that_is_lost_whole_leaves_nothing_to_score() -> None:
    class Deaf(ByteEncoder):
        def encode(self, text: str) -> list[int]:
            return []

    assert window_request(Deaf(), "", "가나") == (((1,), ()), 6)

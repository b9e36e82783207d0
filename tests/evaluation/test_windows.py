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
    request = window_request(encoder, context, span)
    assert request is not None
    assert encoder.decode(request.continuation) == span
    assert request.context == (1, *encoder.encode(context))


def test_a_token_across_the_border_is_scored() -> None:
    assert window_request(ByteEncoder(merged=b"lo"), "hal", "o") == (
        (1, ord("h") + 3, ord("a") + 3),
        (259,),
    )


def test_lost_text_has_no_request() -> None:
    class Lower(ByteEncoder):
        def encode(self, text: str) -> list[int]:
            return super().encode(text.lower())

    assert window_request(Lower(), "", "Ab") is None

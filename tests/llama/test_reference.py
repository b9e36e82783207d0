"""What the reference's tokenizer and chat format give, with the real Llama 2 tokenizer."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kollama2.llama import Tokenizer, dialog
from kollama2.model.chat import ChatEncoder, TextEncoder
from kollama2.model.messages import Message


@pytest.fixture(scope="module")
def tokenizer(real_data: Path) -> Tokenizer:
    return Tokenizer(str(real_data / "tokenizers" / "karpathy__llama2.c" / "tokenizer.model"))


@pytest.fixture(scope="module")
def encoder(tokenizer: Tokenizer) -> ChatEncoder:
    return TextEncoder(tokenizer.contents, "llama2")


def chat(*contents: str, system: str | None = None) -> list[Message]:
    found: list[Message] = [] if system is None else [{"role": "system", "content": system}]
    for i, content in enumerate(contents):
        found.append({"role": "assistant" if i % 2 else "user", "content": content})
    return found


HI = [1, 518, 25580, 29962, 7251, 518, 29914, 25580, 29962]
SYSTEM = [
    1, 518, 25580, 29962, 3532, 14816, 29903, 6778, 13, 29916, 13, 29966, 829, 14816, 29903, 6778,
    13, 13, 2918, 518, 29914, 25580, 29962,
]  # fmt: skip
TURNS = [
    1, 518, 25580, 29962, 7251, 518, 29914, 25580, 29962, 24800, 29871, 2, 1, 518, 25580, 29962,
    491, 29872, 518, 29914, 25580, 29962,
]  # fmt: skip


@pytest.mark.parametrize(
    ("messages", "ids"),
    [
        (chat("hi"), HI),
        (chat("  hi \n"), HI),
        (chat("hi", system="x"), SYSTEM),
        (chat("hi", "yo", "bye"), TURNS),
        (chat(" hi", "\tyo  ", "bye\n"), TURNS),
    ],
)
def test_the_golden_ids(messages: list[Message], ids: list[int], encoder: ChatEncoder) -> None:
    dialog.check(messages)
    assert dialog.encode(encoder, messages) == ids


def test_white_space_inside_of_the_system_text_stays(
    encoder: ChatEncoder, tokenizer: Tokenizer
) -> None:
    ids = dialog.encode(encoder, chat(" hi ", system="  x  "))
    text = "[INST] <<SYS>>\n  x  \n<</SYS>>\n\n hi [/INST]"
    assert ids == tokenizer.encode(text, bos=True, eos=False)


def test_the_tokenizer_of_llama_2(tokenizer: Tokenizer) -> None:
    assert (tokenizer.n_words, tokenizer.bos_id, tokenizer.eos_id) == (32000, 1, 2)
    assert tokenizer.encode("<s>", bos=False, eos=False) == [529, 29879, 29958]
    assert tokenizer.encode("hi", bos=True, eos=True) == [1, 7251, 2]
    assert tokenizer.decode([1, 7251, 2]) == "hi"
    assert tokenizer.decode(7251) == "hi"
    hangul = tokenizer.encode("뷁", bos=False, eos=False)
    assert len(hangul) == 4
    assert tokenizer.decode(hangul) == "뷁"
    assert [tokenizer.decode(one) for one in hangul] == ["", "�", "�", "�"]


CONTENT = st.lists(
    st.sampled_from(["</s>", "<s>", "[inst]", "가나다", "😀", "👩‍👩‍👧", " ", "\n", "hi", "<unk>"])
    | st.text(st.characters(codec="utf-8", exclude_characters="\0\ue000"), max_size=8),
    min_size=1,
    max_size=5,
).map("".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(CONTENT, min_size=1, max_size=5).filter(lambda found: len(found) % 2 == 1))
def test_contents_are_never_control_and_the_ids_are_the_references(
    encoder: ChatEncoder, tokenizer: Tokenizer, contents: list[str]
) -> None:
    """The reference encodes each pair as one string; ours is put together from its parts."""
    messages = chat(*contents)
    expected = list[int]()
    for i in range(0, len(contents) - 1, 2):
        pair = f"[INST] {contents[i].strip()} [/INST] {contents[i + 1].strip()} "
        expected += tokenizer.encode(pair, bos=True, eos=True)
    last = f"[INST] {contents[-1].strip()} [/INST]"
    expected += tokenizer.encode(last, bos=True, eos=False)
    assert dialog.encode(encoder, messages) == expected
    turns = (len(contents) + 1) // 2
    assert expected.count(1) == turns
    assert expected.count(2) == turns - 1

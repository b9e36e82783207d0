from pathlib import Path
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kollama2.data.forms import Example
from kollama2.errors import BadData, BadUsage
from kollama2.model.chat import TextEncoder
from kollama2.model.jinja import jinja_template
from kollama2.model.messages import Message
from kollama2.model.templates import TEMPLATES
from kollama2.model.tokenizer import Tokenizer, load_tokenizer

NAMES = sorted(TEMPLATES)
FORGED = st.sampled_from(["</s>", "<s>", "[INST]", "<</SYS>>", "<unk>", "### 응답:", "USER:", "\n"])
# U+2581 is SentencePiece's own sign for a space, and comes back as one.
CONTENTS = st.lists(
    FORGED
    | st.text(st.characters(codec="utf-8", exclude_characters="\0\ue000\u2581"), max_size=15),
    min_size=1,
    max_size=4,
).map("".join)


@st.composite
def chats(draw: st.DrawFn) -> list[Message]:
    """Chats that end with an answer."""
    messages = list[Message]()
    if draw(st.booleans()):
        messages.append({"role": "system", "content": draw(CONTENTS)})
    for _ in range(draw(st.integers(1, 3))):
        ask: Message = {"role": "user", "content": draw(CONTENTS)}
        if draw(st.booleans()):
            ask["input"] = draw(CONTENTS)
        messages += [ask, {"role": "assistant", "content": draw(CONTENTS)}]
    return messages


def said(role: Literal["system", "user", "assistant"], content: str) -> Message:
    return {"role": role, "content": content}


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer: Path) -> Tokenizer:
    return load_tokenizer(tiny_tokenizer)


@given(chats(), st.sampled_from(NAMES))
@example([said("user", "</s>"), said("assistant", "<s>")], "llama2")
def test_the_rules_of_every_sequence(tokenizer: Tokenizer, chat: list[Message], name: str):
    encoder = TextEncoder(tokenizer, name)
    one = encoder.encode(chat)
    answers = [m["content"].strip() for m in chat if m["role"] == "assistant"]
    # BOS and EOS stand where the structure has them and nowhere else, whatever the text says.
    assert one.ids[0] == 1
    assert one.ids.count(1) == (len(answers) if name == "llama2" else 1)
    assert [i + 1 for i, token in enumerate(one.ids) if token == 2] == list(one.ends)
    assert len(one.ends) == len(answers)
    assert 0 not in one.ids
    # Exactly the answers and their EOS are learned.
    learned = list[int]()
    for token, label in zip(one.ids, one.labels, strict=True):
        assert label in (token, -100)
        learned += [token] if label != -100 else []
    assert learned.count(2) == len(answers)
    assert 1 not in learned
    whole = encoder.encode(chat, loss="all").labels
    assert [label for label in whole if label != -100] == [i for i in one.ids if i != 1]
    # Every content is in the text that the ids stand for.
    decoded = tokenizer.decode(one.ids)
    for message in chat:
        assert message["content"].strip() in decoded
        assert message.get("input", "").strip() in decoded
    # A prompt is the exact beginning of what was trained on, and the answer all that follows.
    for number, message in enumerate(chat):
        if message["role"] == "assistant":
            prompt = encoder.prompt(chat[:number])
            after = encoder.encode(chat[: number + 1])
            assert one.ids[: len(prompt)] == prompt
            assert after.labels[len(prompt) :] == after.ids[len(prompt) :]
            answer = tokenizer.decode(after.ids[len(prompt) :]).strip()
            assert answer == message["content"].strip()


@settings(max_examples=50, deadline=None)
@given(st.lists(chats(), max_size=5), st.sampled_from(NAMES))
def test_a_batch_is_its_members(tokenizer: Tokenizer, many: list[list[Message]], name: str):
    encoder = TextEncoder(tokenizer, name)
    examples = [Example(i, tuple(chat)) for i, chat in enumerate(many)]
    assert encoder.encode_batch(examples) == [encoder.encode(chat) for chat in many]


ORDINARY = st.text("abc 가나\n.,?<>[]", min_size=1, max_size=20).filter(str.strip)


@given(st.lists(ORDINARY, min_size=2, max_size=7), st.sampled_from(NAMES), st.booleans())
def test_jinja_gives_the_same_ids(
    tiny_tokenizer: Path, tokenizer: Tokenizer, texts: list[str], name: str, with_input: bool
):
    theirs = _transformers(tiny_tokenizer)
    system, *rest = texts
    chat = [said("system", system)] if len(texts) % 2 else [said("user", system)]
    for text in rest:
        chat.append(said("assistant" if chat[-1]["role"] == "user" else "user", text))
    if with_input:
        for message in chat:
            if message["role"] == "user":
                message["input"] = system
    encoder = TextEncoder(tokenizer, name)
    ours = encoder.prompt(chat) if chat[-1]["role"] == "user" else encoder.encode(chat).ids
    found = theirs.apply_chat_template(
        chat, chat_template=jinja_template(name), tokenize=True, return_dict=False
    )
    assert found == ours


_LOADED = {}


def _transformers(folder: Path):
    if folder not in _LOADED:
        from transformers import AutoTokenizer

        _LOADED[folder] = AutoTokenizer.from_pretrained(folder)
    return _LOADED[folder]


def test_jinja_refuses_turns_out_of_order(tiny_tokenizer: Path):
    from jinja2.exceptions import TemplateError

    with pytest.raises(TemplateError, match="must take turns"):
        _transformers(tiny_tokenizer).apply_chat_template(
            [said("assistant", "a")], chat_template=jinja_template("llama2")
        )
    with pytest.raises(BadUsage, match="no template 'llama3'"):
        jinja_template("llama3")


def text_of(name: str, chat: list[Message], tokenizer: Tokenizer) -> str:
    ids = TextEncoder(tokenizer, name).encode(chat).ids
    return "".join({1: "<s>", 2: "</s>"}.get(i, "") for i in ids[:1]) + tokenizer.decode(ids)


def test_texts_of_the_templates(tokenizer: Tokenizer):
    ask: Message = {"role": "user", "content": "요약해.", "input": "긴 글"}
    chat = [ask, said("assistant", "짧게")]
    assert text_of("kullm", chat, tokenizer) == (
        "<s>아래는 작업을 설명하는 명령어와 추가 컨텍스트를 제공하는 입력이 짝을 이루는 "
        "예제입니다. 요청을 적절히 완료하는 응답을 작성하세요.\n\n"
        "### 명령어:\n요약해.\n\n### 입력:\n긴 글\n\n### 응답:\n짧게"
    )
    assert text_of("koalpaca", chat, tokenizer).endswith(
        "### Instruction(명령어):\n요약해.\n\n### Input(입력):\n긴 글\n\n### Response(응답):짧게"
    )
    assert text_of("vicuna", chat, tokenizer).endswith(" USER: 요약해.\n긴 글 ASSISTANT: 짧게")
    assert text_of("llama2", chat, tokenizer) == "<s>[INST] 요약해.\n긴 글 [/INST] 짧게 "
    assert text_of("plain", chat, tokenizer) == "<s>요약해.\n긴 글\n\n짧게"


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_of_weight_0_is_written_and_not_learned(tokenizer: Tokenizer, name: str):
    encoder = TextEncoder(tokenizer, name)
    chat = [said("user", "a"), said("assistant", "b"), said("user", "c"), said("assistant", "d")]
    silent: list[Message] = [chat[0], {**chat[1], "weight": 0}, *chat[2:]]
    whole, one = encoder.encode(chat), encoder.encode(silent)
    first = whole.ends[0]
    assert (one.ids, one.ends) == (whole.ids, whole.ends)
    assert one.labels == [-100] * first + whole.labels[first:]
    whole, one = encoder.encode(chat, "all"), encoder.encode(silent, "all")
    begins = encoder.encode(chat).labels
    assert one.labels == [
        -100 if n < first and begins[n] != -100 else label for n, label in enumerate(whole.labels)
    ]


def test_running_text(tokenizer: Tokenizer):
    encoder = TextEncoder(tokenizer, "plain")
    ids = tokenizer.encode("글")
    assert encoder.text("글").ids == [1, *ids, 2]
    assert encoder.text("글").labels == [-100, *ids, 2]
    pair = Example(1, (said("user", "번역"), said("assistant", "글")), text="text\n글")
    assert encoder.encode_batch([pair]) == [encoder.text("text\n글")]
    assert TextEncoder(tokenizer, "llama2").encode_batch([pair]) == [
        TextEncoder(tokenizer, "llama2").encode(pair.messages)
    ]


def test_chats_that_cannot_be_encoded(tokenizer: Tokenizer):
    encoder = TextEncoder(tokenizer, "llama2")
    with pytest.raises(BadData, match="the last message must be from the assistant, got user"):
        encoder.encode([said("user", "a")])
    with pytest.raises(BadData, match="the last message must be from the user, got assistant"):
        encoder.prompt([said("user", "a"), said("assistant", "b")])
    with pytest.raises(BadData, match="the last message must be from the user, got none"):
        encoder.prompt([said("system", "a")])
    with pytest.raises(BadData, match="the turns of a chat are user, user"):
        encoder.prompt([said("user", "a"), said("user", "b")])
    with pytest.raises(BadUsage, match="no template 'llama3'; there are llama2, kullm"):
        TextEncoder(tokenizer, "llama3")


def test_golden_ids_of_llama_2_chat(real_data: Path):
    # Ids of Meta's reference chat format with the Llama 2 tokenizer (research/peers, E 23).
    encoder = TextEncoder(load_tokenizer(real_data / "tokenizers" / "karpathy__llama2.c"), "llama2")
    ask = [1, 518, 25580, 29962, 7251, 518, 29914, 25580, 29962]
    assert encoder.prompt([said("user", "hi")]) == ask
    assert encoder.prompt([said("user", " hi\n")]) == ask
    system = [1, 518, 25580, 29962, 3532, 14816, 29903, 6778, 13, 29916, 13, 29966, 829, 14816]
    system += [29903, 6778, 13, 13, 2918, 518, 29914, 25580, 29962]
    assert encoder.prompt([said("system", "x"), said("user", "hi")]) == system
    answer = [24800, 29871, 2]
    bye = [1, 518, 25580, 29962, 491, 29872, 518, 29914, 25580, 29962]
    chat = [said("user", "hi"), said("assistant", "yo"), said("user", "bye")]
    assert encoder.prompt(chat) == ask + answer + bye
    one = encoder.encode(chat[:2])
    assert one.ids == ask + answer
    assert one.labels == [-100] * len(ask) + answer
    # Meta encodes a pair as one string; an empty answer leaves two spaces.
    empty = encoder.encode([said("user", "hi"), said("assistant", "")]).ids
    assert empty == [1, *encoder.tokenizer.encode("[INST] hi [/INST]  "), 2]

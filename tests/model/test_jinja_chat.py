import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kollama2.data.fit import fit_chat
from kollama2.data.forms import Example
from kollama2.errors import BadData, BadUsage
from kollama2.model.chat import ChatEncoder, TextEncoder
from kollama2.model.folder import ModelFolder
from kollama2.model.handover import difference
from kollama2.model.messages import Message, Tool
from tests.model import folders
from tests.model.families import FAMILIES, jinja

NAMES = sorted(FAMILIES)
Load = Callable[[str], tuple[ChatEncoder, Any]]


def said(role: Literal["system", "user", "assistant", "tool"], content: str) -> Message:
    return {"role": role, "content": content}


CHAT = [said("user", "하나?"), said("assistant", "1"), said("user", "둘?"), said("assistant", "2")]
TEXTS = (
    "안녕하세요",
    "한국의 수도는 어디입니까?",
    "서울입니다.\n\n  Seoul, 1394.",
    "😀 네 👍🏽",
    "  leading",
    "trailing \n",
    "a",
    ".",
    "def f(x):\n    return x\n",
    "<b>굵게</b>",
    "é e\u0301",
    "\tx",
    "1. 하나\n2. 둘",
)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    root = tmp_path_factory.mktemp("families")

    @cache
    def found(name: str) -> tuple[ChatEncoder, Any]:
        folder = ModelFolder.read(FAMILIES[name].write(root / name))
        return folder.encoder(), folder.plain_tokenizer

    return found


def dialogs(*, system: bool, count: int) -> Iterator[list[Message]]:
    """Dialogs of one to three questions, some with a system turn."""
    draw = random.Random(0)

    def text() -> str:
        return "".join(draw.choice(TEXTS) for _ in range(draw.randint(1, 3)))

    for _ in range(count):
        chat = [said("system", text())] if system and draw.random() < 0.4 else []
        for _ in range(draw.randint(1, 3)):
            chat += [said("user", text()), said("assistant", text())]
        yield chat


def reference(plain: Any, chat: list[Message], **options: Any) -> list[int]:
    ids: list[int] = plain.apply_chat_template(chat, return_dict=False, **options)
    return ids


def learned(encoder: ChatEncoder, plain: Any, chat: list[Message], **options: Any) -> list[str]:
    """The stretches that are learned, as text."""
    one = encoder.encode(chat, **options)
    runs = list[list[int]]([])
    for place, label in enumerate(one.labels):
        assert label in (one.ids[place], -100)
        if label != -100:
            if not place or one.labels[place - 1] == -100:
                runs.append([])
            runs[-1].append(label)
    return [plain.decode(run) for run in runs]


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_the_ids_are_those_of_transformers(load: Load, name: str, count: int):
    family, (encoder, plain) = FAMILIES[name], load(name)
    today = encoder.on(date.today())
    assert encoder.template == "own"
    for chat in dialogs(system=family.system, count=count):
        one, expected = today.encode(chat), reference(plain, chat)
        asked = [number for number, turn in enumerate(chat) if turn["role"] == "assistant"]
        if not family.spaced:
            assert one.ids == expected
        assert plain.decode(one.ids) == plain.decode(expected)
        for number in asked:
            prompt = today.prompt(chat[:number])
            if not family.spaced or number == asked[0]:
                assert prompt == reference(plain, chat[:number], add_generation_prompt=True)
            if name not in ("r1", "mistral", "llama2 mistral", "qwen3"):
                assert one.ids[: len(prompt)] == prompt
                assert one.labels[len(prompt)] == one.ids[len(prompt)]
        last = today.prompt(chat[:-1])
        assert one.ids[: len(last)] == last or name == "r1"
        assert len(one.ends) == len(asked)


def test_a_token_never_holds_a_prompt_and_its_answer(load: Load):
    encoder, plain = load("chatml")
    chat = [said("user", "a"), said("assistant", "\nb")]
    prompt, one = encoder.prompt(chat[:1]), encoder.encode(chat)
    assert (
        one.ids[: len(prompt)] == prompt == reference(plain, chat[:1], add_generation_prompt=True)
    )
    assert plain.decode(one.ids) == plain.decode(reference(plain, chat))
    assert one.ids != reference(plain, chat)
    assert learned(encoder, plain, chat) == ["\nb<|im_end|>"]
    longer = [*chat, said("user", "c")]
    assert encoder.prompt(longer)[: len(prompt) + 2] == one.ids[: len(prompt) + 2]


# What the assistant writes in CHAT, with the token that ends its turn.
LEARNED = {
    "chatml": ["1<|im_end|>", "2<|im_end|>"],
    "generation": ["1<|im_end|>", "2<|im_end|>"],
    "hermes": ["1<|im_end|>", "2<|im_end|>"],
    "by use": ["1<|im_end|>", "2<|im_end|>"],
    "qwen3": ["1<|im_end|>", "<think>\n\n</think>\n\n2<|im_end|>"],
    "llama3": ["1<|eot_id|>", "2<|eot_id|>"],
    "llama3 by gpt2": ["1<|eot_id|>", "2<|eot_id|>"],
    "gemma2": ["1<end_of_turn>", "2<end_of_turn>"],
    "gemma3": ["1<end_of_turn>", "2<end_of_turn>"],
    "phi3": ["1<|end|>", "2<|end|>"],
    "mistral": [" 1</s>", " 2</s>"],
    # An earlier answer of gpt-oss ends by a token that would not end its turn.
    "harmony": [
        "<|channel|>final<|message|>1",
        "<|channel|>final<|message|>2<|return|>",
    ],
    "r1": ["1<|end_of_sentence|>", "2<|end_of_sentence|>"],
    "open": ["1<|endoftext|>", "2"],
    "spaced": ["1</s>", "2</s>"],
    "llama2 chatml": ["1<|im_end|>", "2<|im_end|>"],
    "llama2 spaced": ["1</s>", "2</s>"],
    "llama2 mistral": ["1</s>", "2</s>"],
}


@pytest.mark.parametrize("name", NAMES)
def test_the_ids_are_proved_when_a_model_is_handed_over(tmp_path: Path, name: str):
    folder = ModelFolder.read(FAMILIES[name].write(tmp_path))
    plain = folder.plain_tokenizer
    assert difference(plain, folder.encoder()) == ""
    assert "in transformers and …" in difference(plain, folder.encoder("kullm"))


@pytest.mark.parametrize("name", NAMES)
def test_what_the_assistant_writes_is_learned(load: Load, name: str):
    encoder, plain = load(name)
    assert learned(encoder, plain, CHAT) == LEARNED[name]
    one = encoder.encode(CHAT)
    cut = fit_chat(one, len(one.ids) - 1)
    rows = cut.rows[0][0]
    if LEARNED[name][1].endswith(">"):
        ended = one.ids[: one.ends[0]] if one.ends[1] == len(one.ids) else one.ids[: one.ends[1]]
        assert rows == ended
    every = encoder.encode(CHAT, "all")
    assert every.ids == one.ids
    begins = int(one.ids[0] == encoder.tokenizer.bos_id)
    assert every.labels == [-100] * begins + one.ids[begins:]


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_of_weight_0_is_written_and_not_learned(load: Load, name: str):
    encoder, _ = load(name)
    silent = [CHAT[0], {**CHAT[1], "weight": 0}, *CHAT[2:]]
    whole = encoder.encode(CHAT)
    for loss in ("assistant", "all"):
        one, full = encoder.encode(silent, loss), encoder.encode(CHAT, loss)
        assert (one.ids, one.ends) == (full.ids, full.ends)
        first = whole.ends[0]
        answer = [n for n in range(first) if whole.labels[n] != -100]
        assert answer
        assert {one.labels[n] for n in answer} == {-100}
        kept = [label for n, label in enumerate(one.labels) if n not in answer]
        assert kept == [label for n, label in enumerate(full.labels) if n not in answer]


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_its_members_and_an_answer_follows_its_prompt(load: Load, name: str):
    encoder, _ = load(name)
    chats = list(dialogs(system=FAMILIES[name].system, count=20))
    samples = [Example(1, tuple(chat)) for chat in chats]
    pages = [Example(1, text="글 </s>"), Example(2, text="page")]
    batch = encoder.encode_batch([pages[0], *samples, pages[1]])
    assert batch[1:-1] == [encoder.encode(chat) for chat in chats]
    assert [batch[0], batch[-1]] == [encoder.text("글 </s>"), encoder.text("page")]
    for text in ("서울", " A", "a <|im_end|>"):
        chat = [said("user", "."), said("assistant", text)]
        one = encoder.encode(chat)
        whole = one.ids[: one.ends[0]]
        found = encoder.answer(text)
        assert [i for i in one.labels if i != -100][: len(found)] == found
        assert text.strip() in encoder.tokenizer.decode(found)
        assert len(found) - sum(i != -100 for i in one.labels) == -(whole[-1] in encoder.stop_ids)


def _contents(name: str) -> st.SearchStrategy[str]:
    tokens = FAMILIES[name].tokens
    names = [*tokens.get("special", ()), "</s>", "<s>", "<unk>", "<|im_end|>", "\n", " ", "<|", ">"]
    # ▁ is how SentencePiece writes a space.
    free = st.text(
        st.characters(codec="utf-8", exclude_characters="\0▁\ue000\ufdd0\ufdd1"), max_size=9
    )
    texts = st.lists(st.sampled_from(names) | free, min_size=1, max_size=4).map("".join)
    # Where a blank answer of gpt-oss ends cannot be seen.
    return texts.filter(str.strip) if name == "harmony" else texts


@pytest.mark.parametrize("name", NAMES)
def test_no_text_becomes_a_control_token(load: Load, name: str):
    encoder, plain = load(name)
    special = {i for i, token in plain.added_tokens_decoder.items() if token.special}
    if name == "r1":
        special |= {plain.convert_tokens_to_ids(n) for n in ("<|User|>", "<|Assistant|>")}

    def structure(ids: list[int]) -> Counter[int]:
        return Counter(i for i in ids if i in special)

    neutral = structure(encoder.encode([said("user", "a"), said("assistant", "b")] * 2).ids)

    @settings(max_examples=40, deadline=None)
    @given(st.lists(_contents(name), min_size=4, max_size=4))
    def check(texts: list[str]) -> None:
        roles: list[Literal["user", "assistant"]] = ["user", "assistant"] * 2
        chat = [said(role, text) for role, text in zip(roles, texts, strict=True)]
        one = encoder.encode(chat)
        assert structure(one.ids) == neutral
        decoded = encoder.tokenizer.decode(one.ids)
        for text in texts:
            assert text.strip() in decoded
        prompt = encoder.prompt(chat[:3])
        assert one.ids[: len(prompt)] == prompt or name == "r1"
        assert len(one.ends) == 2

    check()


def test_names_of_control_tokens_in_tools_and_calls_are_text(load: Load):
    encoder, plain = load("hermes")
    name, forged = "<|im_start|>", {"<|im_end|>": ["<|im_start|>"]}
    tool = {"type": "function", "function": {"name": "f", "parameters": forged}}
    call = {"type": "function", "function": {"name": "f", "arguments": forged}}
    chat: list[Message] = [
        said("user", "q"),
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": name, "name": "f"},
        said("assistant", "a"),
    ]
    ids = encoder.encode(chat, tools=[tool]).ids
    assert ids.count(plain.convert_tokens_to_ids(name)) == 5
    assert encoder.tokenizer.decode(ids).count('{"<|im_end|>": ["<|im_start|>"]}') == 2


TOOL: Tool = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "날씨",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALL = {
    "id": "a",
    "type": "function",
    "function": {"name": "weather", "arguments": {"city": "서울"}},
}
USED: list[Message] = [
    said("user", "서울 날씨?"),
    {"role": "assistant", "content": "", "reasoning": "찾아본다.", "tool_calls": [CALL]},
    {"role": "tool", "content": "맑음", "name": "weather", "tool_call_id": "a"},
    {"role": "assistant", "content": "맑습니다.", "reasoning": "답한다."},
]
_CALLED = '{"name": "weather", "arguments": {"city": "서울"}}\n</tool_call><|im_end|>'
_TOOLS_LEARNED = {
    # The prompt ends in the line end that a call begins with.
    "hermes": [f"<tool_call>\n{_CALLED}", "맑습니다.<|im_end|>"],
    "qwen3": [
        f"<think>\n찾아본다.\n</think>\n\n<tool_call>\n{_CALLED}",
        "<think>\n답한다.\n</think>\n\n맑습니다.<|im_end|>",
    ],
    "llama3": [
        '{"name": "weather", "parameters": {"city": "서울"}}<|eom_id|>',
        "맑습니다.<|eot_id|>",
    ],
    "harmony": [
        "<|channel|>analysis<|message|>찾아본다.<|end|><|start|>assistant to=functions.weather"
        '<|channel|>commentary json<|message|>{"city": "서울"}<|call|>',
        "<|channel|>analysis<|message|>답한다.<|end|><|start|>assistant<|channel|>final<|message|>"
        "맑습니다.<|return|>",
    ],
}


@pytest.mark.parametrize("name", sorted(_TOOLS_LEARNED))
def test_tools_and_thoughts_by_the_template(load: Load, name: str):
    encoder, plain = load(name)
    chat = [dict(turn) for turn in USED]
    if name in ("hermes", "llama3"):
        for turn in chat:
            turn.pop("reasoning", None)
    for turn in chat:
        if "reasoning" in turn:
            turn["reasoning_content"] = turn["reasoning"]
    today = encoder.on(date.today())
    one = today.encode(chat, tools=[TOOL])
    assert one.ids == reference(plain, chat, tools=[TOOL])
    found = learned(today, plain, chat, tools=[TOOL])
    assert found == _TOOLS_LEARNED[name]
    for number in (1, 3):
        prompt = today.prompt(chat[:number], [TOOL])
        assert one.ids[: len(prompt)] == prompt
    batch = encoder.encode_batch([Example(1, tuple(chat), tools=(TOOL,))])
    assert batch == [encoder.encode(chat, tools=[TOOL])]


def test_a_template_of_its_own_for_tools(load: Load):
    encoder, plain = load("by use")
    with_tools, without = encoder.encode(CHAT, tools=[TOOL]), encoder.encode(CHAT)
    assert without.ids == reference(plain, CHAT, chat_template=jinja("chatml"))
    assert with_tools.ids == reference(plain, CHAT, tools=[TOOL], chat_template=jinja("hermes"))


def test_earlier_thoughts_are_dropped_by_the_template(load: Load):
    encoder, plain = load("qwen3")
    chat = [
        said("user", "하나?"),
        said("assistant", "<think>\n생각\n</think>\n\n1"),
        said("user", "둘?"),
        said("assistant", "<think>\n다시\n</think>\n\n2"),
    ]
    assert encoder.encode(chat).ids == reference(plain, chat)
    last = "<think>\n다시\n</think>\n\n2<|im_end|>"
    assert learned(encoder, plain, chat) == ["1<|im_end|>", last]
    parted: list[Message] = [
        *chat[:3],
        {"role": "assistant", "content": "2", "reasoning": "다시"},
    ]
    assert encoder.encode(parted) == encoder.encode(chat)


def test_where_a_mark_would_change_the_text_the_prompts_tell(load: Load):
    encoder, plain = load("qwen3")
    answer = "<tool_response>\n맑음\n</tool_response>"
    chat = [*CHAT[:2], said("user", "날씨?"), said("assistant", "찾는다"), said("user", answer)]
    chat.append({"role": "assistant", "content": "맑다", "reasoning": "본다"})
    chat[3]["reasoning"] = "생각"
    one = encoder.encode(chat)
    theirs = [{**turn, "reasoning_content": turn.get("reasoning")} for turn in chat]
    assert one.ids == reference(plain, theirs)
    assert learned(encoder, plain, chat) == [
        "1<|im_end|>",
        "<think>\n생각\n</think>\n\n찾는다<|im_end|>",
        "<think>\n본다\n</think>\n\n맑다<|im_end|>",
    ]


def test_a_template_writes_the_same_date_on_any_day(load: Load):
    encoder, plain = load("llama3")
    text = plain.decode(encoder.encode(CHAT).ids)
    assert "Today Date: 26 Jul 2024\n" in text
    assert "Today Date: 02 Jan 2025\n" in plain.decode(
        encoder.on(date(2025, 1, 2)).encode(CHAT).ids
    )
    encoder, plain = load("harmony")
    assert "Current date: 2024-07-26<" in plain.decode(encoder.prompt(CHAT[:1]))


def test_what_ends_an_answer_ends_generation(load: Load):
    def stops(name: str) -> list[str]:
        encoder, plain = load(name)
        return plain.convert_ids_to_tokens(sorted(encoder.stop_ids))

    assert stops("gemma3") == ["<eos>", "<end_of_turn>"]
    assert stops("phi3") == ["<|endoftext|>", "<|end|>"]
    assert stops("qwen3") == ["<|endoftext|>", "<|im_end|>"]
    assert stops("llama3") == ["<|eot_id|>", "<|eom_id|>"]
    assert stops("open") == ["<|endoftext|>"]
    assert stops("r1") == ["<|end_of_sentence|>"]
    assert stops("harmony") == ["<|call|>", "<|return|>"]


def test_what_a_template_refuses_has_a_reason(load: Load):
    def reason(name: str, chat: list[Message], *tools: Tool) -> str:
        (one,) = load(name)[0].encode_batch([Example(1, tuple(chat), tools=tools)])
        assert one.ids == []
        return one.reason

    system = [said("system", "s"), *CHAT]
    refuses = "the model's chat template refuses it: "
    assert reason("gemma2", system) == refuses + "System role not supported"
    assert reason("gemma3", CHAT[1:]).startswith(refuses + "Conversation roles must alternate")
    two = [USED[0], {**USED[1], "tool_calls": [CALL, CALL]}, *USED[2:]]
    for turn in two:
        turn.pop("reasoning", None)
    assert reason("llama3", two, TOOL).startswith(refuses + "This model only supports single")
    lacks = "the model's chat template has no form for "
    assert reason("chatml", CHAT, TOOL) == lacks + "tools"
    assert reason("chatml", [USED[0], {**USED[1], "reasoning": ""}]) == lacks + "calls of tools"
    thought: Message = {"role": "assistant", "content": "a", "reasoning": "t"}
    for name in ("chatml", "llama3", "r1"):
        assert reason(name, [said("user", "q"), thought]) == lacks + "reasoning"
    assert reason("phi3", [*USED[:1], said("assistant", "a"), *USED[2:3], said("assistant", "b")])
    assert reason("chatml", CHAT[:3]) == "the last message must be from the assistant, got user"
    assert "holds U+FDD0" in reason("chatml", [said("user", "a\ufdd0"), CHAT[1]])
    with pytest.raises(BadData, match="the last message must be from the user, got assistant"):
        load("chatml")[0].prompt(CHAT)
    with pytest.raises(BadData, match="got none"):
        load("chatml")[0].prompt([])


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        (
            "{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}",
            "does not write the content of an answer",
        ),
        ("{{ raise_exception('never') }}", "refuses it: never"),
        ("{% for m in messages %", "refuses it: "),
    ],
)
def test_a_template_that_writes_no_chat(tmp_path: Path, template: str, fault: str):
    folder = folders.byte_level(tmp_path, template, ["<e>"], eos="<e>")
    with pytest.raises(BadData, match=fault):
        ModelFolder.read(folder).encoder()


def test_templates_that_show_too_little(tmp_path: Path):
    def reason(name: str, template: str) -> str:
        folder = folders.byte_level(tmp_path / name, template, ["<e>"], eos="<e>")
        with pytest.raises(BadData) as caught:
            ModelFolder.read(folder).encoder().encode(CHAT)
        return str(caught.value)

    last = "{{ '? ' if messages[-1].role == 'user' }}{{ messages[-1].content + '<e>' }}"
    assert reason("last", last).endswith("leaves out a turn by user")
    other = (
        "{% for m in messages %}{{ m.content + '<e>' }}{% endfor %}"
        "{{ 'answer: ' if add_generation_prompt }}"
    )
    assert reason("other", other).endswith("begins an answer otherwise than its prompt")


def test_llama_2s_own_template_is_known_by_its_text(tmp_path: Path):
    source = ModelFolder.read(folders.sentencepiece(tmp_path, jinja("llama2")))
    encoder, plain = source.encoder(), source.plain_tokenizer
    assert (source.template, encoder.template) == ("llama2", "llama2")
    chat = [said("system", "규칙"), *CHAT]
    ids = encoder.encode(chat).ids
    assert ids == TextEncoder(source.tokenizer, "llama2").encode(chat).ids
    # Meta's reference begins every turn with a space, which transformers 5 leaves out.
    first = [plain.convert_ids_to_tokens(one[1]) for one in (ids, reference(plain, chat))]
    assert first == ["▁[", "["] or first[0].startswith("▁")
    assert plain.decode(ids[1:5]).startswith("[I")


def test_a_named_form_needs_its_tokens(load: Load, tmp_path: Path):
    folder = ModelFolder.read(FAMILIES["gemma3"].write(tmp_path))
    with pytest.raises(BadUsage, match=r"the template chatml needs the token <\|im_start\|>"):
        folder.encoder("chatml")
    assert folder.encoder("gemma").template == "gemma"
    with pytest.raises(BadUsage, match="there is no template 'gema'; did you mean gemma"):
        folder.encoder("gema")

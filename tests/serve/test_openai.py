"""What OpenAI's own client gets."""

import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.chat_folders import write_folder
from tests.safety.test_embedded import INSULT
from tests.serve.conftest import Running, load, running, scripted, served

ASKED = [{"role": "user", "content": "What does the farmer sell? 농부는?"}]


@pytest.fixture
def client(server: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as found:
        yield found


def test_models(client: openai.OpenAI) -> None:
    assert [one.id for one in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "kollama2"


def test_an_answer_is_that_of_the_model_whole_and_streamed(
    server: Running, client: openai.OpenAI, tiny_model: Path
) -> None:
    whole = client.chat.completions.create(
        model="tiny", messages=ASKED, temperature=0, max_completion_tokens=24
    )
    talker = server.model.talker
    prompt = talker.encoder.prompt(ASKED)  # type: ignore[arg-type]
    llama = load(tiny_model).talker
    ids = list(llama.stream(prompt, 24, temperature=0))
    text = talker.encoder.tokenizer.decode(ids).lstrip().rstrip("\ufffd")
    assert whole.choices[0].message.content == text
    assert whole.choices[0].message.role == "assistant"
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (len(prompt), 24)
    stream = client.chat.completions.create(
        model="tiny", messages=ASKED, temperature=0, max_tokens=24, stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text
    assert [c.choices[0].finish_reason for c in chunks[:-1]][-1] == "length"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1
    assert len(chunks) > 10, "it comes as it is written"


def test_several_answers_are_drawn_by_seeds_that_follow(client: openai.OpenAI) -> None:
    def drawn(**how: object) -> list[str]:
        found = client.chat.completions.create(
            model="tiny", messages=ASKED, max_tokens=16, top_p=0.9, **how
        )
        assert [one.index for one in found.choices] == list(range(len(found.choices)))
        assert found.usage is not None
        assert found.usage.completion_tokens <= 16 * len(found.choices)
        return [one.message.content or "" for one in found.choices]

    several = drawn(n=3, seed=5)
    assert len(set(several)) == 3
    assert [drawn(seed=5 + one)[0] for one in range(3)] == several
    stream = client.chat.completions.create(
        model="tiny", messages=ASKED, max_tokens=16, top_p=0.9, n=3, seed=5, stream=True
    )
    texts = ["", "", ""]
    for chunk in stream:
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == several


def test_a_stop_text_ends_an_answer(client: openai.OpenAI) -> None:
    def said(**how: object) -> tuple[str, str]:
        found = client.completions.create(
            model="tiny", prompt="The fox", temperature=0, max_tokens=30, **how
        )
        return found.choices[0].text, found.choices[0].finish_reason

    whole, reason = said()
    assert reason == "length"
    stop = whole[10:13]
    assert said(stop=stop) == (whole[: whole.index(stop)], "stop")
    assert said(stop=["없다", stop]) == (whole[: whole.index(stop)], "stop")


def test_log_probabilities(client: openai.OpenAI) -> None:
    found = client.chat.completions.create(
        model="tiny", messages=ASKED, temperature=0, max_tokens=6, logprobs=True, top_logprobs=2
    )
    told = found.choices[0].logprobs
    assert told is not None
    assert told.content is not None
    assert len(told.content) == 6
    assert all(one.logprob == one.top_logprobs[0].logprob < 0 for one in told.content)
    assert all(len(one.top_logprobs) == 2 for one in told.content)
    joined = "".join(one.token for one in told.content).replace("\ufffd", "").strip()
    assert joined == (found.choices[0].message.content or "").replace("\ufffd", "").strip()
    streamed = client.chat.completions.create(
        model="tiny", messages=ASKED, temperature=0, max_tokens=6, logprobs=True, top_logprobs=2,
        stream=True,
    )  # fmt: skip
    pieces = [chunk.choices[0].logprobs for chunk in streamed]
    assert [token for one in pieces if one for token in one.content or []] == told.content
    text = client.completions.create(model="tiny", prompt="A", max_tokens=3, logprobs=2, seed=1)
    legacy = text.choices[0].logprobs
    assert legacy is not None
    assert legacy.tokens is not None
    assert legacy.text_offset == [0, len(legacy.tokens[0]), len("".join(legacy.tokens[:2]))]


def test_prompts_may_be_many_and_ids(server: Running, client: openai.OpenAI) -> None:
    texts = ["The fox", "여우가"]

    def said(prompt: object) -> list[str]:
        found = client.completions.create(model="tiny", prompt=prompt, temperature=0, max_tokens=8)
        return [one.text for one in found.choices]

    ids = [server.model.text_ids(one) for one in texts]
    assert said(texts) == said(ids) == [said(one)[0] for one in texts] == [said(i)[0] for i in ids]


def test_moderations(client: openai.OpenAI) -> None:
    found = client.moderations.create(input=["오늘 날씨가 좋네요.", INSULT])
    assert [one.flagged for one in found.results] == [False, True]


def test_refusals_are_the_errors_that_clients_know(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="there are tiny"):
        client.chat.completions.create(model="large", messages=ASKED)
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(
            model="tiny", messages=ASKED, response_format={"type": "json_object"}
        )
    assert refused.value.param == "response_format"
    assert refused.value.type == "invalid_request_error"


TOOL_TEMPLATE = (
    "{%- if tools -%}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{%- endif -%}"
    "{%- for m in messages -%}"
    "{{- '<|im_start|>' + m.role + '\n' + m.content -}}"
    "{%- for call in m.tool_calls or [] -%}<tool_call>{{ call.function | tojson }}</tool_call>"
    "{%- endfor -%}<|im_end|>\n"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}


def test_functions_reach_the_template_and_calls_the_client(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, "llama", template=TOOL_TEMPLATE)
    model = load(folder)
    encoder = model.talker.encoder
    called = 'x <tool_call>{"name": "weather", "arguments": {"city": "서울"}}</tool_call>'
    given = scripted(model, called)
    asked = [{"role": "user", "content": "비가 옵니까?"}]
    with (
        running(served(model)) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client,
    ):
        found = client.chat.completions.create(model="tiny", messages=asked, tools=[WEATHER])
        (choice,) = found.choices
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content == "x"
        assert choice.message.tool_calls is not None
        (call,) = choice.message.tool_calls
        assert call.function.name == "weather"
        assert json.loads(call.function.arguments) == {"city": "서울"}
        assert given[-1].prompt == encoder.prompt(asked, [WEATHER])  # type: ignore[arg-type, list-item]
        chunks = list(
            client.chat.completions.create(
                model="tiny", messages=asked, tools=[WEATHER], stream=True
            )
        )
        calls = [c.choices[0].delta.tool_calls for c in chunks if c.choices[0].delta.tool_calls]
        assert calls[0][0].function.arguments == call.function.arguments
        assert chunks[-1].choices[0].finish_reason == "tool_calls"
        again = [
            *asked,
            choice.message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": "예"},
        ]
        client.chat.completions.create(model="tiny", messages=again, tools=[WEATHER])
        assert called.replace("x <", "<")[12:30] in encoder.tokenizer.decode(given[-1].prompt)
        plain = client.chat.completions.create(
            model="tiny", messages=asked, tools=[WEATHER], tool_choice="none"
        )
        assert plain.choices[0].message.content == called
        assert given[-1].prompt == encoder.prompt(asked)  # type: ignore[arg-type]


def test_models_of_other_families_answer_too(tmp_path: Path) -> None:
    model = load(write_folder(tmp_path, "gemma3_text"))
    with (
        running(served(model)) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client,
    ):
        how = {"model": "tiny", "messages": ASKED, "max_tokens": 8, "n": 2, "seed": 3}
        first, second = (client.chat.completions.create(**how) for _ in range(2))  # type: ignore[call-overload]
        assert first.choices == second.choices
        assert first.choices[0].message.content != first.choices[1].message.content
        with pytest.raises(openai.BadRequestError, match="by models of this family"):
            client.chat.completions.create(model="tiny", messages=ASKED, logprobs=True)

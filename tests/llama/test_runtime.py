"""The reference's results and errors, on random checkpoints in Meta's form and tiny models."""

import inspect
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from kollama2.errors import BadData, BadUsage, Fault
from kollama2.llama import Llama, ModelArgs, Tokenizer, dialog, sample_top_p
from kollama2.llama.faults import Outside, Unmet
from kollama2.model.messages import Message
from tests import tiny
from tests.llama import meta_files

PROMPTS = [
    "The fox",
    "Mira has three red apples and",
    "안녕",
    "The small dog sleeps under the table",
]


@pytest.fixture(scope="module")
def meta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return meta_files.write(tmp_path_factory.mktemp("meta") / "llama-2-tiny", "tiny", 2)


@pytest.fixture(scope="module")
def llama(meta: Path, tiny_tokenizer: Path) -> Llama:
    return Llama.build(str(meta), str(tiny_tokenizer / "tokenizer.model"), 64, 4)


@pytest.fixture(scope="module")
def plain(meta: Path) -> Any:
    (folder,) = meta.glob("safetensors-*")
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def said(*contents: str, system: str | None = None) -> list[Message]:
    chat: list[Message] = [] if system is None else [{"role": "system", "content": system}]
    for i, content in enumerate(contents):
        chat.append({"role": "assistant" if i % 2 else "user", "content": content})
    return chat


def test_signatures_and_defaults() -> None:
    def parameters(function: Callable[..., Any]) -> str:
        found = inspect.signature(function).parameters.values()
        return ", ".join(
            p.name if p.default is p.empty else f"{p.name}={p.default}"
            for p in found
            if p.name != "self"
        )

    assert parameters(Llama.build) == (
        "ckpt_dir, tokenizer_path, max_seq_len, max_batch_size, model_parallel_size=None, seed=1"
    )
    sampling = "temperature=0.6, top_p=0.9"
    assert parameters(Llama.generate) == (
        f"prompt_tokens, max_gen_len, {sampling}, logprobs=False, echo=False"
    )
    assert parameters(Llama.text_completion) == (
        f"prompts, {sampling}, max_gen_len=None, logprobs=False, echo=False"
    )
    assert parameters(Llama.chat_completion) == (
        f"dialogs, {sampling}, max_gen_len=None, logprobs=False"
    )
    assert parameters(sample_top_p) == "probs, p"
    assert parameters(Tokenizer.encode) == "s, bos, eos"
    args = ModelArgs()
    assert (args.dim, args.n_layers, args.n_heads, args.n_kv_heads) == (4096, 32, 32, None)
    assert (args.vocab_size, args.multiple_of, args.ffn_dim_multiplier) == (-1, 256, None)
    assert (args.norm_eps, args.max_batch_size, args.max_seq_len) == (1e-5, 32, 2048)


def test_prompts_of_any_length_give_the_text_of_plain_transformers(
    llama: Llama, plain: Any
) -> None:
    prompts = [llama.tokenizer.encode(text, bos=True, eos=False) for text in PROMPTS]
    assert len({len(prompt) for prompt in prompts}) > 2
    tokens, scores = llama.generate(prompts, 20, temperature=0, logprobs=True, echo=True)
    assert scores is not None
    for prompt, row, found in zip(prompts, tokens, scores, strict=True):
        ids = torch.tensor([prompt])
        whole = plain.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, do_sample=False,
            pad_token_id=0,
        )[0]  # fmt: skip
        assert row == whole.tolist()
        with torch.no_grad():
            logits = plain(whole[None]).logits[0].log_softmax(-1)
        expected = [0.0] + [logits[i, row[i + 1]].item() for i in range(len(row) - 1)]
        assert found == pytest.approx(expected, abs=1e-5)
    alone = [llama.generate([prompt], 20, temperature=0)[0][0] for prompt in prompts]
    assert alone == [row[len(p) :] for p, row in zip(prompts, tokens, strict=True)]
    streamed = [list(llama.stream(prompt, 20, temperature=0)) for prompt in prompts]
    assert streamed == alone


def test_the_cache_holds_nothing_of_earlier_calls(llama: Llama) -> None:
    prompts = [llama.tokenizer.encode(text, bos=True, eos=False) for text in PROMPTS]
    first = llama.generate(prompts, 30, temperature=0)
    order = list(range(4))
    for seed in range(3):
        random.Random(seed).shuffle(order)
        again = llama.generate([prompts[i] for i in order], 30, temperature=0)[0]
        assert again == [first[0][i] for i in order]


def test_lengths(llama: Llama) -> None:
    tokens, scores = llama.generate([[1] * 64], 10, temperature=0)
    assert (tokens, scores) == ([[]], None)  # a prompt that fills the cache
    assert llama.generate([[1] * 64], 10, echo=True)[0] == [[1] * 64]
    full, short = llama.generate([[1] * 60, [1, 5]], 10, temperature=0)[0]
    assert (len(full), len(short)) == (4, 10)
    assert llama.generate([[1, 5]], 0, logprobs=True, echo=True)[0] == [[1, 5]]
    answer = llama.text_completion(["The fox"], temperature=0)[0]["generation"]
    ids = llama.tokenizer.encode("The fox", bos=True, eos=False)
    assert llama.tokenizer.decode(llama.generate([ids], 63, temperature=0)[0][0]) == answer


def test_full_prompts_have_shifted_logprobs_too(llama: Llama, plain: Any) -> None:
    row = [1, 300, 17, 5]
    _, scores = llama.generate([row], 0, logprobs=True, echo=True)
    with torch.no_grad():
        logits = plain(torch.tensor([row])).logits[0].log_softmax(-1)
    expected = [0.0] + [logits[i, row[i + 1]].item() for i in range(3)]
    assert scores == [pytest.approx(expected, abs=1e-5)]


def test_echo_keeps_a_prompt_that_holds_eos_and_generation_ends_at_eos(
    llama: Llama, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = [1, 5, 2, 6, 7]
    (row,) = llama.generate([prompt], 6, temperature=0, echo=True)[0]
    assert row[:5] == prompt
    assert len(row) == 11
    # Let another of its new tokens be the end, in a batch of different lengths too.
    end = next(token for token in row[6:] if token != row[5])
    other = llama.generate([[1, 300, 17]], 6, temperature=0)[0][0]
    monkeypatch.setattr(llama.encoder, "stop_ids", (end,))
    found = llama.generate([[1, 300, 17], prompt], 6, temperature=0)[0]
    assert found == [other[: [*other, end].index(end)], row[5 : 5 + row[5:].index(end)]]
    assert len(found[1]) >= 1


def test_text_completion_returns_single_pieces(llama: Llama) -> None:
    (one,) = llama.text_completion(
        ["The fox 안"], temperature=0, max_gen_len=0, logprobs=True, echo=True
    )
    assert one["generation"] == "The fox 안"
    assert one["tokens"][:2] == ["", "The"]
    assert one["tokens"][-3:] == ["�", "�", "�"]  # the three bytes of 안
    assert one["logprobs"][0] == 0.0
    assert len(one["logprobs"]) == len(one["tokens"])
    assert set(llama.text_completion(["The fox"], max_gen_len=2)[0]) == {"generation"}


def test_more_prompts_than_the_batch_are_run_in_turn(llama: Llama) -> None:
    texts = [f"{text} {i}" for i, text in enumerate(PROMPTS * 3)]
    many = llama.text_completion(texts, temperature=0, max_gen_len=5)
    assert many == [llama.text_completion([t], temperature=0, max_gen_len=5)[0] for t in texts]
    chats = [said(text) for text in texts]
    answers = llama.chat_completion(chats, temperature=0, max_gen_len=5)
    assert answers == [llama.chat_completion([c], temperature=0, max_gen_len=5)[0] for c in chats]


def test_sampling(llama: Llama) -> None:
    def kept(p: float) -> set[int]:
        torch.manual_seed(0)
        probs = torch.tensor([[0.5, 0.3, 0.2]]).expand(2000, -1)
        return set(sample_top_p(probs, p)[:, 0].tolist())

    assert [kept(p) for p in (0, 0.5, 0.8, 1)] == [{0}, {0, 1}, {0, 1, 2}, {0, 1, 2}]
    assert sample_top_p(torch.tensor([[0.1, 0.9]]), 0.0).tolist() == [[1]]
    torch.manual_seed(0)
    drawn = sample_top_p(torch.tensor([[0.2, 0.5, 0.3]]).expand(20000, -1), 0.5)
    share = (drawn == 1).float().mean().item()
    assert share == pytest.approx(0.5 / 0.8, abs=0.02)
    with pytest.raises(Unmet, match=r"top_p is -0\.1; it must be between 0 and 1"):
        llama.generate([[1, 5]], 3, temperature=1.0, top_p=-0.1)

    def text(seed: int) -> str:
        torch.manual_seed(seed)
        return llama.text_completion(["The"], temperature=1.0, max_gen_len=12)[0]["generation"]

    assert text(1) == text(1)
    assert text(1) != text(2)

    def first(*prompts: list[int]) -> list[int]:
        torch.manual_seed(1)
        return llama.generate(prompts, 12, temperature=1.0)[0][0]

    assert first([1, 5], [1, 9]) == first([1, 5], [1, 9])
    assert first([1, 5]) != first([1, 5], [1, 9])  # all rows draw from one stream, as in Meta's
    greedy = llama.generate([[1, 5]], 9, temperature=0)
    assert llama.generate([[1, 5]], 9, temperature=-1) == greedy
    assert llama.generate([[1, 5]], 9, temperature=0.7, top_p=0) == greedy


def test_logprobs_are_of_the_raw_logits(llama: Llama) -> None:
    torch.manual_seed(3)
    (row,), scores = llama.generate([[1, 5]], 8, temperature=1.7, top_p=0.9, logprobs=True)
    assert scores is not None
    (_,), echoed = llama.generate([[1, 5, *row]], 0, logprobs=True, echo=True)
    assert echoed is not None
    assert scores[0] == pytest.approx(echoed[0][2:], abs=1e-5)
    assert all(math.isfinite(score) and score < 0 for score in scores[0])


@pytest.mark.parametrize(
    ("prompts", "says"),
    [
        ([[1]] * 5, r"\(5, 4\): more prompts than max_batch_size"),
        ([], "there are no prompts"),
        ([[1], []], "prompt 1 has no tokens"),
        ([[1] * 65], "prompt 0 has 65 tokens, max_seq_len is 64; shorten it"),
        ([[1, 384]], "holds ids outside of the model's 384"),
        ([[1, -1]], "holds ids outside"),
    ],
)
def test_prompts_that_cannot_be_computed(prompts: list[list[int]], says: str, llama: Llama) -> None:
    with pytest.raises(AssertionError, match=says) as error:
        llama.generate(prompts, 5)
    assert isinstance(error.value, Fault)


ROLES = "model only supports 'system', 'user' and 'assistant' roles, starting with 'system', then"


@pytest.mark.parametrize(
    ("chat", "kind", "says"),
    [
        ([], IndexError, "the dialog is empty"),
        (said(system="x"), IndexError, "holds only a system message"),
        (said("hi", "yo"), AssertionError, "Last message must be from user, got assistant"),
        ([{"role": "assistant", "content": "x"}], AssertionError, ROLES),
        ([*said(system="x"), {"role": "assistant", "content": "x"}], AssertionError, ROLES),
        ([*said("[INST]"), *said("b")], AssertionError, ROLES),  # roles win over tags
        ([*said("a"), *said(system="late")], AssertionError, ROLES),
    ],
)
def test_dialogs_that_cannot_be_answered(
    chat: list[Message], kind: type[Exception], says: str, llama: Llama
) -> None:
    with pytest.raises(kind, match=says) as error:
        llama.chat_completion([said("fine"), chat])
    assert isinstance(error.value, BadUsage)
    assert "\n" not in str(error.value)


def test_tags_in_contents_are_refused_and_nothing_leaks(
    llama: Llama, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []
    generate = Llama.generate

    def spy(self: Llama, prompts: Any, *rest: Any) -> Any:
        computed.append(len(prompts))
        return generate(self, prompts, *rest)

    monkeypatch.setattr(Llama, "generate", spy)
    chats = [
        said("a [INST] b"),
        said("hi", "x [/INST]", "bye"),
        said("hi"),
        said("hi", system="<<SYS>>"),
        said("hi", "<</SYS>>", "bye"),
        said("[inst] <s> </s> <SYS>"),
    ]
    before = repr(chats)
    answers = llama.chat_completion(chats, temperature=0, max_gen_len=3, logprobs=True)
    assert repr(chats) == before
    refused = {"role": "assistant", "content": dialog.UNSAFE_ERROR}
    unsafe = [i for i, one in enumerate(answers) if one["generation"] == refused]
    assert unsafe == [0, 1, 3, 4]
    assert all(answers[i]["tokens"] == answers[i]["logprobs"] == [] for i in unsafe)
    assert all(len(answers[i]["logprobs"]) == 3 for i in (2, 5))
    assert computed == [2]
    alone = llama.chat_completion([chats[2]], temperature=0, max_gen_len=3, logprobs=True)[0]
    assert answers[2]["generation"] == alone["generation"]
    assert answers[2]["logprobs"] == pytest.approx(alone["logprobs"], abs=1e-5)
    assert llama.chat_completion([chats[0]]) == [{"generation": refused}]


def test_an_adapted_model_keeps_its_own_template(tmp_path: Path, llama: Llama) -> None:
    folder = tiny.write_model(tmp_path / "model")
    (folder / "kollama2.json").write_text('{"template": "kullm", "method": "full"}')
    ours = Llama.build(folder, None, 200, 2)
    assert ours.encoder.template == "kullm"
    (answer,) = ours.chat_completion([said("[INST] 는 여기서 글자일 뿐입니다")], max_gen_len=2)
    assert answer["generation"]["content"] != dialog.UNSAFE_ERROR


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        ({"ckpt_dir": "nowhere"}, AssertionError, "no checkpoint files found in nowhere"),
        ({"ckpt_dir": "."}, AssertionError, r"no checkpoint files found in \."),
        ({"tokenizer_path": "none.model"}, AssertionError, "none.model is not there"),
        ({"model_parallel_size": 2}, AssertionError, "for MP=2 but world size is 1; start the pr"),
        ({"max_seq_len": 5000}, BadUsage, "max_seq_len is 5000, but the model was made for 4096"),
        ({"max_batch_size": 0}, BadUsage, "max_batch_size is 0"),
    ],
)
def test_what_cannot_be_built(
    change: dict[str, Any],
    kind: type[Exception],
    says: str,
    meta: Path,
    tiny_tokenizer: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = {
        "ckpt_dir": meta,
        "tokenizer_path": tiny_tokenizer / "tokenizer.model",
        "max_seq_len": 64,
        "max_batch_size": 4,
    }
    with pytest.raises(kind, match=says) as error:
        Llama.build(**(arguments | change))
    assert isinstance(error.value, Fault)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_of_another_size_is_refused(meta: Path, tmp_path: Path) -> None:
    other = tiny.write_tokenizer(tmp_path / "other", vocab_size=383)
    with pytest.raises(BadData, match="has 383 tokens but the checkpoint 384 embeddings"):
        Llama.build(meta, other / "tokenizer.model", 64, 4)


def test_the_tokenizer(tiny_tokenizer: Path) -> None:
    tokenizer = Tokenizer(str(tiny_tokenizer / "tokenizer.model"))
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (1, 2, -1)
    assert tokenizer.n_words == 384
    assert tokenizer.encode("", bos=True, eos=True) == [1, 2]
    assert tokenizer.encode("", bos=False, eos=False) == []
    with pytest.raises(TypeError):
        tokenizer.encode("x")  # type: ignore[call-arg]
    with pytest.raises(AssertionError, match="only a str can be encoded, got bytes"):
        tokenizer.encode(b"x", bos=True, eos=True)  # type: ignore[arg-type]
    with pytest.raises(IndexError, match="the id -1 is outside of the 384 ids"):
        tokenizer.decode([-1])
    with pytest.raises(Outside, match="the id 384 is outside"):
        tokenizer.decode(384)

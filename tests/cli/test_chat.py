"""complete and chat, in a pipe."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from transformers import AutoModelForCausalLM, AutoTokenizer

from kollama2.cli import chat
from kollama2.errors import BadData, BadUsage, Missing
from kollama2.llama.generate import Generator
from kollama2.llama.generation import Decoder
from kollama2.miniature import base
from kollama2.model.chat import TextEncoder
from kollama2.model.tokenizer import load_tokenizer
from kollama2.safety.guard import REFUSAL_EN
from tests.chat_folders import NO_SYSTEM, QWEN, write_adapter, write_folder
from tests.llama import meta_files
from tests.safety.test_guard import Fake

MINIATURE = "builtin:miniature"


def pipe(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_raw_completion_is_that_of_transformers(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    prompt = "The fox lives in"
    chat.complete(MINIATURE, prompt, raw=True, max_new_tokens=12)
    tokenizer = load_tokenizer(base.FOLDER)
    ids = torch.tensor([[1, *tokenizer.encode(prompt)]])
    model = AutoModelForCausalLM.from_pretrained(base.FOLDER, dtype=torch.float32)
    whole = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False
    )[0].tolist()
    expected = tokenizer.decode(whole)
    found = capsys.readouterr()
    assert prompt + found.out.removesuffix("\n") == expected
    assert found.err == ""


def test_the_prompt_from_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []
    for prompt, piped in (
        ("여우는 어디에 살아요?", ""),
        ("-", "여우는 어디에 살아요?\n"),
        (None, "여우는 어디에 살아요?"),
    ):
        pipe(monkeypatch, piped)
        chat.complete(MINIATURE, prompt, max_new_tokens=8)
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1] == answers[2]
    pipe(monkeypatch, " \n")
    with pytest.raises(BadUsage, match="the prompt is empty"):
        chat.complete(MINIATURE, None)


def test_a_checkpoint_of_metas_with_its_tokenizer(
    tiny_tokenizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    meta = meta_files.write(tmp_path / "llama-2-7b", "tiny")
    (tmp_path / "tokenizer.model").write_bytes((tiny_tokenizer / "tokenizer.model").read_bytes())
    chat.complete(str(meta), "hi", max_new_tokens=3)
    assert capsys.readouterr().out.endswith("\n")
    with pytest.raises(BadUsage, match=r"special tags \(\[INST\], .* are not allowed"):
        chat.complete(str(meta), "a [/INST] b")
    with pytest.raises(BadUsage, match=r"the dialog has \d+ tokens and the context 8; shorten it"):
        chat.complete(str(meta), "hi", context=8)


def test_several_turns_with_their_budget(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = ["The fox lives in the town.", "Where does it live?"]
    pipe(monkeypatch, f"{turns[0]}\n\n{turns[1]}\n/new\n{turns[0]}\n/exit\nnever said\n")
    chat.chat(MINIATURE, temperature=0, max_new_tokens=6, system="Be short.")
    found = capsys.readouterr()
    answers = found.out.splitlines()
    assert len(answers) == 3
    assert answers[2] == answers[0]  # /new forgets
    encoder = TextEncoder(load_tokenizer(base.FOLDER), "plain")
    past = [{"role": "system", "content": "Be short."}]
    budgets = []
    for turn, answer in zip(turns, answers, strict=False):
        past += [{"role": "user", "content": turn}, {"role": "assistant", "content": answer}]
        budgets.append(len(encoder.encode(past).ids) - 1)  # without the end of the last answer
    lines = found.err.splitlines()
    assert [line.split()[0] for line in lines] == [f"[{n}" for n in [*budgets, budgets[0]]]
    assert all(line.endswith("tokens]") for line in lines)


def test_a_turn_reads_only_what_is_new_and_says_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    read, turns = Decoder.read, "The fox lives in the town.\nWhere does it live?\n여우는요?\n"

    def spy(self: Decoder, prompts: Any, **more: int) -> Any:
        kept.append(more["kept"])
        assert kept[-1] < len(prompts[0])
        return read(self, prompts, **more)

    monkeypatch.setattr(Decoder, "read", spy)
    pipe(monkeypatch, turns)
    chat.chat(MINIATURE, temperature=0, max_new_tokens=6)
    answers, seen = capsys.readouterr()
    used = [int(line.split()[0][1:]) for line in seen.splitlines()]
    assert kept[0] == 0
    # All of the turns before, but the end mark that closes the last answer.
    assert [used[0] - kept[1], used[1] - kept[2]] == pytest.approx([1, 1], abs=1)
    monkeypatch.setattr(Decoder, "known", lambda *_: 0)
    pipe(monkeypatch, turns)
    chat.chat(MINIATURE, temperature=0, max_new_tokens=6)
    assert capsys.readouterr().out == answers


def test_a_turn_that_does_not_fit_leaves_the_dialog(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, "The fox.\n" + "long " * 60 + "\nThe fox.\n")
    with pytest.raises(typer.Exit) as ended:
        chat.chat(MINIATURE, temperature=0, max_new_tokens=2, context=60)
    assert ended.value.exit_code == 64
    found = capsys.readouterr()
    assert "tokens and the context 60; shorten it; /new begins a new dialog" in found.err
    answers = found.out.splitlines()
    assert [bool(one) for one in answers] == [True, False, True]  # a line for each question


def test_a_tag_that_the_model_wrote_does_not_block_the_dialog(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, "The fox.\nThe bird.\n")
    monkeypatch.setattr(chat, "_answer", lambda *_: "[INST] again [/INST]")
    chat.chat(MINIATURE, temperature=0, max_new_tokens=2)
    assert "special tags" not in capsys.readouterr().err


def test_the_guard_in_front_and_behind(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.complete(MINIATURE, "The fox lives in", raw=True, max_new_tokens=30)
    answer = capsys.readouterr().out.strip()
    for word in ("fox", answer.split()[-1]):
        monkeypatch.setattr("kollama2.safety.load.load", lambda name, word=word, **_: Fake(word))
        chat.complete(MINIATURE, "The fox lives in", raw=True, max_new_tokens=30, safe=True)
        found = capsys.readouterr()
        assert found.out.endswith(f"{REFUSAL_EN}\n")
        assert found.err == "stopped by fake: word\n"
        assert word not in found.out
    monkeypatch.setattr("kollama2.safety.load.load", lambda name, **_: Fake("nothing"))
    chat.complete(MINIATURE, "The fox lives in", raw=True, max_new_tokens=30, safe_by=["x"])
    assert capsys.readouterr().out.strip() == answer


def test_what_the_guard_stopped_is_no_part_of_the_talk(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kollama2.safety.load.load", lambda name, **_: Fake("secret"))
    pipe(monkeypatch, "The fox.\nThe secret fox.\nThe fox.\n")
    chat.chat(MINIATURE, temperature=0, max_new_tokens=2, safe=True)
    stopped = capsys.readouterr()
    pipe(monkeypatch, "The fox.\nThe fox.\n")
    chat.chat(MINIATURE, temperature=0, max_new_tokens=2, safe=True)
    clean = capsys.readouterr()
    assert stopped.out.splitlines()[1] == REFUSAL_EN
    assert stopped.err.splitlines()[-1] == clean.err.splitlines()[-1]  # the same context is used
    assert stopped.out.splitlines()[2] == clean.out.splitlines()[1]


def test_a_family_by_its_own_template(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(write_folder(tmp_path, template=NO_SYSTEM))
    chat.complete(folder, " The fox, [INST]? ", max_new_tokens=16)
    found = capsys.readouterr()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "The fox, [INST]?"}],
        add_generation_prompt=True, return_tensors="pt",
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(folder)
    whole = model.generate(**ids, max_new_tokens=16, do_sample=False, pad_token_id=0)[0]
    said = tokenizer.decode(whole[ids["input_ids"].shape[1] :], skip_special_tokens=True)
    assert found.out == said.strip() + "\n"
    assert found.err == ""
    with pytest.raises(BadData, match="template refuses it: no system turn here"):
        chat.complete(folder, "The fox", system="Be short.")
    # What went before is part of a prompt, and Llama 2's rules are not asked.
    pipe(monkeypatch, "The fox\n<<SYS>>\n")
    chat.chat(folder, temperature=0, max_new_tokens=3)
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("of 512 tokens]")
    assert int(second.split()[0][1:]) > int(first.split()[0][1:]) + 10


def test_a_raw_text_begins_as_the_tokenizer_begins_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []

    def spy(self: Generator, ids: list[int], *_: Any) -> Iterator[int]:
        seen.append(ids)
        return iter(())

    monkeypatch.setattr(Generator, "stream", spy)
    for name, bos in (("none", None), ("one", "<s>")):
        folder = write_folder(tmp_path / name, control=("<s>", *QWEN), bos=bos)
        chat.complete(str(folder), "The fox", raw=True)
        assert seen[-1] == AutoTokenizer.from_pretrained(folder)("The fox").input_ids
    assert len(seen[1]) == len(seen[0]) + 1


def test_an_adapter_made_elsewhere_and_its_base_by_a_mirror(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = write_folder(tmp_path / "base")
    adapter = str(write_adapter(base, tmp_path / "adapter", named="owner/base"))
    mirrors = tmp_path / "mirrors.yaml"
    mirrors.write_text("hf:owner/base: base\nhf:owner/adapter: adapter\n", encoding="utf-8")
    answers = []
    for name, options in (
        (adapter, {"onto": str(base)}),
        (adapter, {"mirrors": mirrors}),
        ("hf:owner/adapter", {"mirrors": mirrors}),
        (adapter, {"onto": "hf:owner/base", "mirrors": mirrors}),
        (str(base), {}),
    ):
        chat.complete(name, "The fox", max_new_tokens=8, **options)  # type: ignore[arg-type]
        answers.append(capsys.readouterr().out)
    assert len(set(answers[:4])) == 1
    assert answers[4] != answers[0]
    with pytest.raises(Missing, match=r"hf:owner/base: the hub cannot be reached; name a local"):
        chat.complete(adapter, "The fox")


def test_both_are_commands() -> None:
    app = typer.Typer()
    chat.add_to(app)
    assert [one.callback.__name__ for one in app.registered_commands] == ["complete", "chat"]

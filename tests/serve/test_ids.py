"""The ids that a served model reads are those that training saw before its answers."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kollama2.errors import BadData
from kollama2.exporting.ollama import spoken
from kollama2.llama.talk import dialog_ids, encoder_of
from kollama2.miniature.chats import conversations
from kollama2.miniature.corpora import alpaca
from kollama2.model import bounded
from kollama2.model.chat import IGNORED
from kollama2.model.find import find_folder
from kollama2.model.folder import ModelFolder
from kollama2.model.gguf.file import Gguf
from kollama2.model.gguf.prove import chats
from kollama2.model.gguf.tokenizer import Vocabulary, rule_of
from kollama2.model.gguf.write import write_gguf
from kollama2.model.messages import Message
from kollama2.serve.ask import Chat, read
from kollama2.serve.model import Model
from kollama2.serve.refusal import Refusal
from tests.chat_folders import CHATML, write_folder
from tests.exporting.test_ollama import rendered
from tests.serve.conftest import load, running, served


def dialogs() -> list[list[Message]]:
    """Talks of several turns, and questions in both languages; some with a system message."""
    roles = {"human": "user", "gpt": "assistant"}
    found: list[list[Any]] = []
    for one in islice(conversations(3), 150):
        turns = [
            {"role": roles[turn["from"]], "content": turn["value"]} for turn in one["conversations"]
        ]
        found.append(turns[turns[0]["role"] == "assistant" :])  # some are greeted first
    for lang in ("en", "ko"):
        for row in islice(alpaca(3, lang), 75):
            asked = f"{row['instruction']}\n{row['input']}".strip()
            turns = [
                {"role": "user", "content": asked},
                {"role": "assistant", "content": row["output"]},
            ]
            found.append(turns)
    for number in range(0, len(found), 5):
        found[number].insert(0, {"role": "system", "content": "Answer in one sentence. 짧게."})
    return found


@pytest.fixture(scope="module")
def long_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, made for texts in which every Hangul syllable is three tokens."""
    folder = tmp_path_factory.mktemp("long") / "model"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["max_position_embeddings"] = 4096
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="module", params=["llama2", "chatml"])
def model(
    request: pytest.FixtureRequest, long_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    if request.param == "llama2":
        folder = long_model
    else:
        folder = write_folder(
            tmp_path_factory.mktemp("chatml"), "llama", model={"max_position_embeddings": 4096}
        )
    found = load(folder)
    yield found
    found.engine.close()


def test_a_prompt_is_the_beginning_of_what_training_saw(model: Model) -> None:
    encoder, compared = model.talker.encoder, 0
    for dialog in dialogs():
        assert dialog[-1]["role"] == "assistant"
        trained = encoder.encode(dialog)
        body = Chat(model="m", messages=dialog[:-1])  # type: ignore[arg-type]
        sent = read(Chat, body.model_dump_json(exclude_none=True).encode())
        prompt = model.chat_ids(sent.dialog())
        assert trained.ids[: len(prompt)] == prompt
        learned = trained.labels[len(prompt) :]
        assert learned[0] != IGNORED
        assert IGNORED not in learned[: trained.ends[-1] - len(prompt)]
        compared += 1
    assert compared == 300


def test_what_is_read_is_counted(long_model: Path) -> None:
    with running(served(load(long_model))) as server, server.client() as client:
        for dialog in dialogs()[:3]:
            body = {"model": "tiny", "messages": dialog[:-1], "max_tokens": 1}
            told = client.post("/v1/chat/completions", json=body).json()
            ids = server.model.talker.encoder.prompt(dialog[:-1])
            assert told["usage"] == {
                "prompt_tokens": len(ids), "completion_tokens": 1, "total_tokens": len(ids) + 1
            }  # fmt: skip


def test_ids_that_the_weights_lack_are_none_of_the_model(model: Model) -> None:
    known = model.talker.encoder.tokenizer.vocabulary()
    assert model.words == len(known)
    assert model.text_ids([model.words - 1]) == [model.words - 1]
    fewer = replace(model, words=model.words - 1)
    with pytest.raises(Refusal, match="it holds ids that the model has not"):
        fewer.text_ids([fewer.words])
    assert fewer.text_of([fewer.words]) == ""


ENDLESS = (
    "{% if messages | length > 100 %}{% for a in range(99999) %}{% for b in range(99999) %}"
    "{% endfor %}{% endfor %}{% endif %}"
)
ONE_TURN = "{% if messages | length > 2 %}{{ raise_exception('one question') }}{% endif %}"


def test_a_template_is_tried_with_a_long_dialog_where_it_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "SECONDS", 0.5)
    endless = write_folder(tmp_path / "endless", "llama", template=ENDLESS + CHATML)
    with pytest.raises(BadData, match=r"chat template refuses it: it takes longer than 0\.5"):
        load(endless)
    load(write_folder(tmp_path / "one", "llama", template=ONE_TURN + CHATML)).engine.close()


def real_dialogs(folder: Path) -> Iterator[list[Message]]:
    """Dialogs that end with an answer, of every length that real talks in Korean have."""
    roles = {"human": "user", "gpt": "assistant"}
    for file in sorted((folder / "multiturn_ko").rglob("*.json")):
        for talk in json.loads(file.read_text(encoding="utf-8")):
            turns: list[Any] = [
                {"role": roles[turn["from"]], "content": turn["value"]}
                for turn in talk["conversations"]
            ]
            turns = turns[turns[0]["role"] == "assistant" :]  # some are greeted first
            yield from (turns[:end] for end in range(2, len(turns) + 1, 2))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["tiny", "smollm2"])
def test_all_who_write_a_chat_give_the_ids_of_training(
    name: str, request: pytest.FixtureRequest, real_data: Path, tmp_path: Path
) -> None:
    """The server, transformers' template, llama.cpp's rule on the GGUF, and Ollama's template."""
    if name == "tiny":
        folder = ModelFolder.read(write_folder(tmp_path / "model", "llama"))
        write_gguf(folder, tmp_path / "model.gguf", "F16", {})
        file = tmp_path / "model.gguf"
    else:
        file = request.getfixturevalue("real_models") / "smollm2-135m-instruct.gguf"
        folder = ModelFolder.read(find_folder(file))
    encoder, (go, system) = encoder_of(folder), spoken(folder)
    served: Any = SimpleNamespace(encoder=encoder)
    found = list(islice(real_dialogs(real_data), 2000))
    for dialog in found:
        asked: list[Any] = [dict(message) for message in dialog[:-1]]
        prompt = encoder.prompt(dialog[:-1])
        assert encoder.encode(dialog).ids[: len(prompt)] == prompt
        body = json.dumps({"model": "m", "messages": asked}).encode()
        assert dialog_ids(served, read(Chat, body).dialog()) == prompt
        plain = folder.plain_tokenizer
        assert bounded.render_ids(plain, asked, add_generation_prompt=True) == prompt
        said = [{"role": "system", "content": system}] if system else []
        text = bounded.render(plain, asked, add_generation_prompt=True)
        assert rendered(go, [*said, *asked]) == text
    about = Vocabulary(Gguf(file))
    assert chats(about, rule_of(about), folder, [dialog[:-1] for dialog in found]) == ""
    assert len(found) == 2000

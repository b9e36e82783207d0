"""The two real models as GGUF files: their text, their ids, and llama.cpp's."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from kollama2.model import kept
from kollama2.model.folder import ModelFolder
from kollama2.model.gguf.convert import cached
from kollama2.model.gguf.file import Gguf
from kollama2.model.gguf.prove import prove
from kollama2.model.gguf.write import write_gguf
from kollama2.model.load import whole
from kollama2.model.probe import mixed_lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SMOLLM2, GEMMA = "smollm2-135m-instruct.gguf", "gemma-3-270m.gguf"


@pytest.fixture(scope="module")
def unpacked(
    real_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], ModelFolder]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(kept.CACHE, str(tmp_path_factory.mktemp("unpacked")))
        yield lambda name: ModelFolder.read(cached(real_models / name))


def greedy(folder: ModelFolder, ids: list[int], count: int) -> str:
    model = whole(folder.path, "float32").eval()
    with torch.no_grad():
        found = model.generate(torch.tensor([ids]), max_new_tokens=count, do_sample=False)
    return folder.tokenizer.decode(found[0, len(ids) :].tolist())


def test_smollm2_answers_under_its_own_template(unpacked: Callable[[str], ModelFolder]) -> None:
    folder = unpacked(SMOLLM2)
    assert (folder.template, folder.stop_ids, folder.tokenizer.bos_id) == ("own", (0, 2), None)
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    ids = folder.plain_tokenizer.apply_chat_template(
        asked, add_generation_prompt=True, return_dict=False
    )
    assert greedy(folder, ids, 16) == "The capital of France is Paris."


def test_gemma_3_goes_on_with_a_text(unpacked: Callable[[str], ModelFolder]) -> None:
    folder = unpacked(GEMMA)
    assert (folder.stop_ids, folder.tokenizer.bos_id) == ((1, 106), 2)
    ids = [2, *folder.tokenizer.encode("Water boils at a temperature of")]
    assert greedy(folder, ids, 12) == " 100 degrees Celsius.\n\nThe boiling point of"


@pytest.fixture
def llama_cpp(real_models: Path) -> Iterator[Callable[[str], Callable[..., Any]]]:
    """llama.cpp's server on one of the files, or on another one."""
    xllamacpp = pytest.importorskip("xllamacpp")
    servers = []

    def start(name: str | Path) -> Callable[..., Any]:
        params = xllamacpp.CommonParams()
        params.model.path, params.port = str(real_models / name), 0
        params.n_ctx, params.n_parallel, params.cpuparams.n_threads = 512, 1, 1
        servers.append(xllamacpp.Server(params))
        address = servers[-1].listening_address

        def ask(path: str, **what: Any) -> Any:
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(address + path, json.dumps(what).encode(), headers)
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)

        return ask

    yield start
    servers.clear()


@pytest.mark.parametrize("name", [SMOLLM2, GEMMA])
def test_ids_and_probabilities_are_llama_cpps(
    name: str,
    unpacked: Callable[[str], ModelFolder],
    llama_cpp: Callable[[str], Callable[..., Any]],
) -> None:
    folder, ask = unpacked(name), llama_cpp(name)
    lines = [line for line in mixed_lines(600) if "</s>" not in line]  # which it makes a stop
    ours = folder.tokenizer.encode_batch(lines)
    theirs = [ask("/tokenize", content=line, add_special=False)["tokens"] for line in lines]
    assert [line for line, a, b in zip(lines, ours, theirs, strict=True) if a != b] == []
    begin = [] if folder.tokenizer.bos_id is None else [folder.tokenizer.bos_id]
    prompt = [*begin, *folder.tokenizer.encode("The capital of France is")]
    asked = {"n_predict": 1, "n_probs": 20, "temperature": 0.0}
    (token,) = ask("/completion", prompt=prompt, **asked)["completion_probabilities"]
    with torch.no_grad():
        logits = whole(folder.path, "float32")(torch.tensor([prompt])).logits[0, -1]
    found = logits.log_softmax(-1)
    # llama.cpp packs what goes through its matrices into eight bits, which the weights do not.
    for one in token["top_logprobs"]:
        assert found[one["id"]].item() == pytest.approx(one["logprob"], abs=0.5)
    assert found.argmax().item() == token["top_logprobs"][0]["id"]


@pytest.mark.parametrize("name", [SMOLLM2, GEMMA])
def test_a_written_file_is_read_back_and_packed(
    name: str, real_models: Path, unpacked: Callable[[str], ModelFolder], tmp_path: Path
) -> None:
    folder = unpacked(name)
    write_gguf(folder, tmp_path / "model.gguf", "BF16", {})
    found = prove(tmp_path / "model.gguf", folder, "BF16")
    assert (found.exact, found.lines >= 1999, found.chats) == (True, True, "")
    own = Gguf(tmp_path / "model.gguf").metadata
    known = Gguf(real_models / name).metadata
    for key in ("tokens", "token_type", "merges", "pre", "bos_token_id", "eos_token_id"):
        key = f"tokenizer.ggml.{key}"
        assert own.get(key) == known.get(key), key


@pytest.mark.parametrize("name", [SMOLLM2, GEMMA])
def test_llama_cpp_goes_on_like_the_model_that_was_written(
    name: str,
    unpacked: Callable[[str], ModelFolder],
    llama_cpp: Callable[[str | Path], Callable[..., Any]],
    tmp_path: Path,
) -> None:
    folder = unpacked(name)
    write_gguf(folder, tmp_path / "model.gguf", "BF16", {})
    ask = llama_cpp(tmp_path / "model.gguf")
    for text in ("The capital of France is", "한국의 수도는"):
        begin = [] if folder.tokenizer.bos_id is None else [folder.tokenizer.bos_id]
        prompt = [*begin, *folder.tokenizer.encode(text)]
        assert ask("/tokenize", content=text, add_special=True)["tokens"] == prompt
        what = {"n_predict": 24, "temperature": 0.0, "return_tokens": True}
        theirs = ask("/completion", prompt=prompt, **what)["tokens"]
        assert folder.tokenizer.decode(theirs).startswith(greedy(folder, prompt, 24))
    if folder.template is not None:
        chat = [{"role": "user", "content": "한국의 수도는 어디입니까?"}]
        text = ask("/apply-template", messages=chat)["prompt"]
        ids = ask("/tokenize", content=text, add_special=True, parse_special=True)["tokens"]
        assert ids == folder.encoder().prompt(chat)

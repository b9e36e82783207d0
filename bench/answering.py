"""The sides of `bench/gpu.py` that score and generate; `bench/sides.py` runs each in a process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sides import SHAPES, device, finished

PROMPT = 128  # tokens


def whole(job: dict[str, Any]) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        job["model"], dtype=torch.bfloat16, device_map=device()
    ).eval()


def score(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Items a second: a context of 256 tokens and four choices of 12 tokens."""
    random, top = np.random.default_rng(2), SHAPES[job["shape"]]["vocab_size"]
    asked = []
    for _ in range(job["items"]):
        context = random.integers(3, top, 256).tolist()
        asked += [(context, random.integers(3, top, 12).tolist()) for _ in range(4)]
    scorer = scored_ours(job) if job["side"] == "kollama2" else scored_by_lm_eval(job)
    scorer(asked[:16])
    began = finished()
    scorer(asked)
    return {"speed": job["items"] / (finished() - began)}


Scored = Callable[[list[tuple[list[int], list[int]]]], Any]


def scored_ours(job: dict[str, Any]) -> Scored:
    from kollama2.evaluation.scorer import Scorer
    from kollama2.evaluation.sharing import Request

    scorer = Scorer(whole(job), batch_tokens=job["batch_tokens"])
    return lambda asked: scorer.score([Request(tuple(a), tuple(b)) for a, b in asked])


def scored_by_lm_eval(job: dict[str, Any]) -> Scored:
    from lm_eval.models.huggingface import HFLM
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2}, unk_token="<unk>"))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", pad_token="<unk>"
    )
    rows_of_batch = max(1, job["batch_tokens"] // 268)
    lm = HFLM(pretrained=whole(job), tokenizer=tokenizer, batch_size=rows_of_batch)
    return lambda asked: lm._loglikelihood_tokens(
        [((str(n), ""), a, b) for n, (a, b) in enumerate(asked)], disable_tqdm=True
    )


def generate(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Tokens a second after prompts of 128 tokens, prompts included in the time, greedy."""
    random, top = np.random.default_rng(3), SHAPES[job["shape"]]["vocab_size"]
    prompts = random.integers(3, top, (job["batch"], PROMPT)).tolist()
    sides = {"kollama2": spoken_ours, "transformers": spoken_theirs, "vllm": spoken_by_vllm}
    speak = sides[job["side"]](job)
    speak(prompts, 8)
    began = finished()
    speak(prompts, job["new"])
    return {"speed": job["batch"] * job["new"] / (finished() - began)}


Spoken = Callable[[list[list[int]], int], Any]


def spoken_ours(job: dict[str, Any]) -> Spoken:
    import torch

    from kollama2.llama.generation import Decoder, Settings, stream

    decoder = Decoder(whole(job), job["batch"], PROMPT + job["new"])

    def speak(prompts: list[list[int]], new: int) -> None:
        with torch.inference_mode():
            logits = decoder.read(prompts)[0]
            for _ in stream(decoder, logits, [PROMPT] * len(prompts), Settings(new)):
                pass

    return speak


def spoken_theirs(job: dict[str, Any]) -> Spoken:
    import torch

    model = whole(job)

    def speak(prompts: list[list[int]], new: int) -> None:
        ids = torch.tensor(prompts, device=device())
        model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=new,
            min_new_tokens=new, pad_token_id=0,
        )  # fmt: skip

    return speak


def spoken_by_vllm(job: dict[str, Any]) -> Spoken:
    from vllm import LLM, SamplingParams, TokensPrompt

    engine = LLM(job["model"], skip_tokenizer_init=True, max_model_len=1024)

    def speak(prompts: list[list[int]], new: int) -> None:
        settings = SamplingParams(temperature=0, max_tokens=new, ignore_eos=True, detokenize=False)
        engine.generate([TokensPrompt(prompt_token_ids=ids) for ids in prompts], settings)

    return speak

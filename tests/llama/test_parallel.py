"""Model parallelism over real processes: the same text and log-probabilities at any degree."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from kollama2.errors import BadUsage
from kollama2.llama import parallel
from tests.llama import meta_files, rank

REPOSITORY = Path(__file__).parents[2]


def run(degree: int, checkpoint: Path, tokenizer: Path, out: Path) -> list[Any]:
    """What each process found, and that only the first spoke."""
    out.mkdir()
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        f"--nproc-per-node={degree}", "-m", "tests.llama.rank",
        str(checkpoint), str(tokenizer / "tokenizer.model"), str(out),
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [json.loads((out / f"{i}.json").read_text()) for i in range(degree)]
    assert json.loads(done.stdout) == found[0]
    return found


def check(degree: int, kind: str, shards: int, tokenizer: Path, tmp_path: Path) -> None:
    meta = meta_files.write(tmp_path / "meta", kind, shards)
    found = run(degree, meta, tokenizer, tmp_path / "found")
    assert all(one == found[0] for one in found)
    (folder,) = meta.glob("safetensors-*")
    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    rows = zip(rank.PROMPTS, found[0]["tokens"], found[0]["logprobs"], strict=True)
    for prompt, row, scores in rows:
        ids = torch.tensor([prompt])
        whole = plain.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False,
            pad_token_id=0,
        )[0]  # fmt: skip
        assert row == whole.tolist()
        with torch.no_grad():
            logits = plain(whole[None]).logits[0].log_softmax(-1)
        expected = [0.0] + [logits[i, row[i + 1]].item() for i in range(len(row) - 1)]
        assert scores == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", [pytest.param("tiny", marks=pytest.mark.slow), "gqa"])
def test_two_processes_equal_plain_transformers(
    kind: str, tiny_tokenizer: Path, tmp_path: Path
) -> None:
    check(2, kind, 8 if kind == "gqa" else 1, tiny_tokenizer, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tiny", "gqa"])
def test_eight_processes_equal_plain_transformers(
    kind: str, tiny_tokenizer: Path, tmp_path: Path
) -> None:
    check(8, kind, 2, tiny_tokenizer, tmp_path)


@pytest.mark.slow
def test_a_fault_reaches_every_process(tiny_tokenizer: Path, tmp_path: Path) -> None:
    meta = meta_files.write(tmp_path / "meta", "tiny", 2)
    path = meta / "consolidated.01.pth"
    path.write_bytes(path.read_bytes()[:-50])
    found = run(2, meta, tiny_tokenizer, tmp_path / "found")
    assert found[0] == found[1]
    assert found[0] == {"fault": f"{path} is truncated; fetch it again", "code": 65}


def test_a_degree_that_does_not_divide_is_refused_before_loading() -> None:
    from transformers import LlamaConfig

    config = LlamaConfig(num_attention_heads=64, num_key_value_heads=8, intermediate_size=28672)
    for degree in (1, 2, 8):
        parallel.check(config, degree)
    with pytest.raises(BadUsage, match="16 does not divide the model's 8 key-value heads"):
        parallel.check(config, 16)
    with pytest.raises(BadUsage, match="3 does not divide the model's 64 heads"):
        parallel.check(config, 3)

"""One side of a comparison, in a process of its own, for `bench/train.py` and `bench/gpu.py`.

Models have random weights, which cost the time of trained ones and need no download.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

SHAPES: dict[str, dict[str, Any]] = {
    "7b": {
        "vocab_size": 32_000, "hidden_size": 4096, "intermediate_size": 11_008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
    },
    "1b": {
        "vocab_size": 128_256, "hidden_size": 2048, "intermediate_size": 8192,
        "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
        "tie_word_embeddings": True,
    },
    "smollm2": {
        "vocab_size": 49_152, "hidden_size": 576, "intermediate_size": 1536,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "tie_word_embeddings": True,
    },
    "gemma3-270m": {
        "vocab_size": 262_144, "hidden_size": 640, "intermediate_size": 2048,
        "num_hidden_layers": 18, "num_attention_heads": 4, "num_key_value_heads": 1,
        "head_dim": 256, "sliding_window": 512, "tie_word_embeddings": True,
    },
    "miniature": {
        "vocab_size": 4096, "hidden_size": 256, "intermediate_size": 688,
        "num_hidden_layers": 5, "num_attention_heads": 4, "num_key_value_heads": 4,
    },
    "tiny": {
        "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    },
}  # fmt: skip
BATCHES = {"gemma3-270m": 2}  # rows of a step; 8 of the others
MAX_LENGTH, LR = 1024, 1e-4
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# Multiplications and additions per weight and token: forward, gradients of inputs, of weights.
WORK = {"full": 6, "lora": 4, "qlora": 4}


def threads() -> int:
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def finished() -> float:
    """The clock, once the device has done all that was asked of it."""
    import torch

    if device() == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def peak() -> int:
    """The most memory of the device, or on a CPU of the process, in bytes."""
    import torch

    if device() == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def write_model(job: dict[str, Any]) -> None:
    """A model folder with random weights."""
    import torch
    from transformers import AutoModelForCausalLM, Gemma3TextConfig, LlamaConfig

    torch.manual_seed(0)
    torch.set_default_dtype(getattr(torch, job["dtype"]))
    kind = Gemma3TextConfig if job["shape"].startswith("gemma3") else LlamaConfig
    about = {"max_position_embeddings": 2048, "bos_token_id": 1, "eos_token_id": 2}
    with torch.device(device()):
        model = AutoModelForCausalLM.from_config(kind(**SHAPES[job["shape"]], **about))
    model.save_pretrained(job["model"])


def rows_of_a_step(shape: str) -> int:
    return BATCHES.get(shape, 8)


def lengths(batch: int, steps: int, seed: int = 0) -> np.ndarray:
    """Tokens of the rows of so many batches: log-normal with median 127 and mean 176.

    `train_sampling_strategy="group_by_length"` sorts within 50 batches, but on few rows within
    fewer. So the rows are whole batches picked evenly from 50 sorted ones, and the grouped side
    reads them sorted: it wastes as little on them (4 %) as it would on a large corpus.
    """
    count = 50 * batch
    sigma = (2 * np.log(176 / 127)) ** 0.5
    normal = np.array([NormalDist().inv_cdf((k + 0.5) / count) for k in range(count)])
    drawn = np.exp(np.log(127) + sigma * normal).round().clip(8, MAX_LENGTH).astype(int)
    picked = ((np.arange(steps) + 0.5) * 50 / steps).astype(int)
    return np.random.default_rng(seed).permutation(drawn.reshape(50, batch)[picked].ravel())


def rows(shape: str, steps: int) -> list[tuple[list[int], list[int]]]:
    """Ids and labels of rows as long as Korean instructions are, a third of each the question."""
    random, top = np.random.default_rng(1), SHAPES[shape]["vocab_size"]
    ids = [random.integers(3, top, n).tolist() for n in lengths(rows_of_a_step(shape), steps)]
    return [(row, [-100] * (len(row) // 3) + row[len(row) // 3 :]) for row in ids]


def write_rows(folder: Path, ids: list[list[int]], labels: list[list[int]]) -> None:
    """Write encoded rows as the loop reads them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = {
        "id": [str(i) for i in range(len(ids))],
        "input_ids": pa.array(ids, pa.list_(pa.int32())),
        "labels": pa.array(labels, pa.list_(pa.int32())),
        "bytes": [3 * len(row) for row in ids],
        "ko_bytes": [3 * len(row) for row in ids],
    }
    (folder / "rows").mkdir()
    pq.write_table(pa.table(table), folder / "rows" / "rows.parquet")


class Lap:
    """Seconds of the second of two epochs, whose first warms up."""

    def __init__(self, steps: int) -> None:
        self.steps, self.done = steps, 0
        self.began = self.ended = self.processors = 0.0

    def step(self) -> None:
        """Called after each optimiser step."""
        self.done += 1
        if self.done == self.steps:
            self.began, self.processors = finished(), -time.process_time()
        if self.done == 2 * self.steps:
            self.ended = finished()
            self.processors += time.process_time()

    def callback(self) -> Any:
        """The same for a transformers Trainer."""
        from transformers import TrainerCallback

        lap = self

        class Each(TrainerCallback):
            def on_step_end(self, *_: Any, **__: Any) -> None:
                lap.step()

        return Each()


def train_ours(job: dict[str, Any], folder: Path) -> Lap:
    from kollama2.engine.profile import Resources
    from kollama2.train.batches import BatchPlan, Rows
    from kollama2.train.loop import Loop
    from kollama2.train.prepare import prepare
    from kollama2.train.settings import TrainSettings

    ids, labels = map(list, zip(*rows(job["shape"], job["steps"]), strict=True))
    write_rows(folder, ids, labels)
    settings = TrainSettings(
        method=job["method"], batch=rows_of_a_step(job["shape"]), epochs=2, dtype=job["dtype"],
        max_length=MAX_LENGTH, lr=LR,
    )  # fmt: skip
    resources = Resources(
        device=device(),
        threads=threads(),
        micro_batch_tokens=8192 if device() == "cuda" else 4096,
        gradient_checkpointing=job["checkpointing"],
    )
    plan, lap = BatchPlan(Rows(folder / "rows"), settings), Lap(job["steps"])
    network = prepare(Path(job["model"]), settings, device())
    loop = Loop(settings, plan, network, resources, folder)
    loop.add_callback(lap.callback())
    loop.run()
    return lap


def load(job: dict[str, Any]) -> Any:
    """The base as the other sides' documentation loads it."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    about: dict[str, Any] = {
        "dtype": torch.float32 if job["method"] == "full" else getattr(torch, job["dtype"]),
        "device_map": device(),
    }
    if job["method"] == "qlora":
        about["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
        )
    return AutoModelForCausalLM.from_pretrained(job["model"], **about)


def lora() -> Any:
    from peft import LoraConfig

    return LoraConfig(r=16, lora_alpha=32, target_modules=TARGETS, task_type="CAUSAL_LM")


def train_trl(job: dict[str, Any], folder: Path) -> Lap:
    """SFTTrainer as its documentation shows it, or with sorted rows and Liger where present."""
    from importlib.util import find_spec

    from datasets import Dataset
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast
    from trl import SFTConfig, SFTTrainer

    best, found = job["side"] == "trl best", rows(job["shape"], job["steps"])
    if best:
        found.sort(key=lambda row: -len(row[0]))
    words = Tokenizer(WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2}, unk_token="<unk>"))
    lap = Lap(job["steps"])
    trainer = SFTTrainer(
        model=load(job),
        args=SFTConfig(
            output_dir=str(folder),
            per_device_train_batch_size=rows_of_a_step(job["shape"]),
            num_train_epochs=2,
            max_length=MAX_LENGTH,
            learning_rate=LR,
            bf16=job["dtype"] == "bfloat16",
            gradient_checkpointing=job["checkpointing"],
            use_liger_kernel=best and find_spec("liger_kernel") is not None,
            train_sampling_strategy="sequential" if best else "random",
            save_strategy="no",
            report_to="none",
            use_cpu=device() == "cpu",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list([{"input_ids": a, "labels": b} for a, b in found]),
        processing_class=PreTrainedTokenizerFast(
            tokenizer_object=words, eos_token="</s>", pad_token="<unk>"
        ),
        peft_config=None if job["method"] == "full" else lora(),
        callbacks=[lap.callback()],
    )
    trainer.train()
    return lap


def train_peft(job: dict[str, Any], folder: Path) -> Lap:
    """A loop of one's own as PEFT's examples write it: padded batches and AdamW."""
    import torch
    from peft import get_peft_model, prepare_model_for_kbit_training

    model = load(job)
    if job["method"] == "qlora":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    if job["method"] != "full":
        model = get_peft_model(model, lora())
    if job["checkpointing"]:
        model.gradient_checkpointing_enable()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=LR)
    lap, found = Lap(job["steps"]), rows(job["shape"], job["steps"])
    count = rows_of_a_step(job["shape"])
    for _ in range(2):
        for start in range(0, len(found), count):
            batch = found[start : start + count]
            longest = max(len(ids) for ids, _ in batch)
            ids, labels, mask = (
                torch.tensor([row + [fill] * (longest - len(row)) for row in part])
                for part, fill in (
                    ([ids for ids, _ in batch], 0),
                    ([labels for _, labels in batch], -100),
                    ([[1] * len(ids) for ids, _ in batch], 0),
                )
            )
            with torch.autocast(device(), torch.bfloat16, enabled=job["dtype"] == "bfloat16"):
                loss = model(
                    input_ids=ids.to(device()),
                    attention_mask=mask.to(device()),
                    labels=labels.to(device()),
                ).loss
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            lap.step()
    return lap


def train(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Useful tokens a second of the second epoch, and work in floating-point operations."""
    sides: dict[str, Callable[..., Lap]] = {"kollama2": train_ours, "peft": train_peft}
    lap = sides.get(job["side"], train_trl)(job, folder)
    tokens = sum(len(ids) for ids, _ in rows(job["shape"], job["steps"]))
    speed = tokens / (lap.ended - lap.began)
    return {
        "speed": speed,
        "by_processor": tokens / lap.processors,
        "flops": WORK[job["method"]] * weights(job["shape"]) * speed,
    }


def weights(shape: str) -> int:
    """Weights that a token is multiplied by: all but the table, and the head once."""
    about = SHAPES[shape]
    size, heads = about["hidden_size"], about["num_attention_heads"]
    keys = size // heads * about["num_key_value_heads"]
    layer = 2 * size * size + 2 * size * keys + 3 * size * about["intermediate_size"]
    return int(about["num_hidden_layers"] * layer + size * about["vocab_size"])


@contextmanager
def told(answer: dict[str, Any]) -> Iterator[None]:
    """What goes wrong on one side is told in its row and stops no other."""
    import torch

    try:
        yield
    except ImportError as error:
        answer["error"] = f"needs {error.name}"
    except torch.OutOfMemoryError:
        answer["error"] = "out of memory"
    except Exception as error:
        answer["error"] = f"{type(error).__name__}: {error}"[:160]
    answer["peak"] = peak()


def measured(job: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The answer of one measurement in a process of its own, which ends after so many seconds."""
    command = [sys.executable, __file__, json.dumps(job)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            said, trouble = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return {"error": f"no answer in {seconds:.0f} s"}
    lines = [line for line in said.splitlines() if line.startswith('{"answer"')]
    if lines:
        found: dict[str, Any] = json.loads(lines[-1])["answer"]
        return found
    last = (trouble.strip().splitlines() or ["no output"])[-1]
    return {"error": f"ended with {process.returncode}: {last}"[:160]}


def one(job: dict[str, Any]) -> None:
    """One measurement in this process; its answer is the last line of the output."""
    import answering

    answer: dict[str, Any] = {}
    parts = {"train": train, "score": answering.score, "generate": answering.generate}
    with tempfile.TemporaryDirectory() as scratch, told(answer):
        if job["part"] == "write":
            write_model(job)
        else:
            answer |= parts[job["part"]](job, Path(scratch))
    print("\n" + json.dumps({"answer": answer}), flush=True)


if __name__ == "__main__":
    one(json.loads(sys.argv[1]))

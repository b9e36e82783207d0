"""Tokens per second and time to the first token: kollama2, transformers' generate, llama.cpp.

    python bench/generate.py [--json] [--repeats 3] [--new 64] [--compile]

Two cores, float32, a random Llama of 15 M parameters with the vocabulary of Llama 2, prompts of 128
tokens, greedy, batch 1 and 8. transformers runs `generate` with its default dynamic cache. They
share one process and take turns, so that a busy machine disturbs both alike; the answer is the
median of the ratios of neighbouring turns, by the clock and by the processors' time. Beside it
stands the share of the memory bandwidth that decoding at batch 1 reaches: bytes of all weights but
the embedding, times tokens per second, by the bandwidth of a large copy measured in the same run.
llama.cpp takes part where llama-cpp-python is installed, on the same weights as an F32 GGUF file
and with a float32 cache. `--compile` adds transformers' static cache with torch.compile, and
kollama2's step compiled; compiling takes a minute that no figure counts. The count at the end of a
line says how many tokens of the first row are the same as kollama2's.
"""

import argparse
import copy
import json
import operator
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROMPT, VOCABULARY = 128, 32000
SHAPE = {
    "vocab_size": VOCABULARY, "hidden_size": 288, "intermediate_size": 768,
    "num_hidden_layers": 6, "num_attention_heads": 6, "num_key_value_heads": 6,
    "max_position_embeddings": 512, "bos_token_id": 1, "eos_token_id": None,
}  # fmt: skip
# Seconds to the first token, seconds of the rest, of processors; the first row's tokens.
Turn = tuple[float, float, float, list[int]]
Side = Callable[[list[list[int]], int], Turn]


def timed(first: Callable[[], Any], rest: Callable[[Any], list[int]]) -> Turn:
    """Seconds of both parts, the processors' time of the second, and what that returns."""
    start = time.perf_counter()
    state = first()
    middle, processors = time.perf_counter(), time.process_time()
    tokens = rest(state)
    end = time.perf_counter()
    return middle - start, end - middle, time.process_time() - processors, tokens


def ours(model: Any, compiled: bool = False) -> Side:
    """kollama2's decoder with its fixed cache."""
    import torch

    from kollama2.llama.generation import Decoder, Settings, stream

    decoder = Decoder(model, 8, 512)
    if compiled:
        decoder.direct = torch.compile(decoder.direct, dynamic=True)

    def run(prompts: list[list[int]], new: int) -> Turn:
        def first() -> Any:
            steps = stream(
                decoder, decoder.read(prompts)[0], [PROMPT] * len(prompts), Settings(new + 1)
            )
            return next(steps), steps

        def rest(state: Any) -> list[int]:
            return [step.tokens[0] for step in (state[0], *state[1])]

        with torch.inference_mode():
            return timed(first, rest)

    return run


def theirs(model: Any, cache: str | None = None) -> Side:
    """Transformers' generate; the time to the first token is a run of one.

    The cache is the default dynamic one, or "static", by which the step is compiled.
    """
    import torch

    if cache:
        model.forward = torch.compile(model.forward, dynamic=False)

    def run(prompts: list[list[int]], new: int) -> Turn:
        ids = torch.tensor(prompts)

        def generate(count: int) -> list[int]:
            found = model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=count,
                min_new_tokens=count, pad_token_id=0, cache_implementation=cache,
            )  # fmt: skip
            return list(found[0, PROMPT:].tolist())

        first, whole, processors, tokens = timed(lambda: generate(1), lambda _: generate(new + 1))
        return first, whole - first, processors * (1 - first / whole), tokens

    return run


def llama_cpp(model: Any, folder: Path, threads: int) -> Side | None:
    """llama.cpp on the same weights; None where it is not installed. Batch 1 only."""
    try:
        import llama_cpp
    except ImportError:
        return None
    path = gguf_of(model, folder)
    whole = llama_cpp.GGML_TYPE_F32
    engine = llama_cpp.Llama(
        str(path), n_ctx=512, n_threads=threads, n_threads_batch=threads, verbose=False,
        type_k=whole, type_v=whole,
    )  # fmt: skip

    def run(prompts: list[list[int]], new: int) -> Turn:
        def first() -> int:
            engine.reset()
            engine.eval(prompts[0])
            return int(engine.sample(temp=0))

        def rest(token: int) -> list[int]:
            tokens = [token]
            for _ in range(new):
                engine.eval(tokens[-1:])
                tokens.append(int(engine.sample(temp=0)))
            return tokens

        return timed(first, rest)

    return run


def gguf_of(model: Any, folder: Path) -> Path:
    """The weights as F32 with a vocabulary of placeholders."""
    from kollama2.model.folder import ModelFolder
    from kollama2.model.gguf.write import write_gguf
    from kollama2.model.pieces import BYTE, CONTROL, NORMAL, UNKNOWN, new_proto, write_pieces

    pieces = [("<unk>", 0.0, UNKNOWN), ("<s>", 0.0, CONTROL), ("</s>", 0.0, CONTROL)]
    pieces += [(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)]
    pieces += [(f"t{i}", 0.0, NORMAL) for i in range(len(pieces), VOCABULARY)]
    write_pieces(new_proto(pieces, unknown=0, bos=1, eos=2, prefix=True), folder)
    model.save_pretrained(folder)
    write_gguf(ModelFolder.read(folder), folder / "model.gguf", "F32", {})
    return folder / "model.gguf"


def bandwidth() -> float:
    """Bytes per second that reading and writing a large array moves."""
    import torch

    source, target = torch.ones(1 << 25), torch.empty(1 << 25)
    tries = []
    for _ in range(5):
        start = time.perf_counter()
        target.copy_(source)
        tries.append(2 * source.nbytes / (time.perf_counter() - start))
    return max(tries)


def measure(repeats: int, new: int, threads: int, compiled: bool) -> dict[str, Any]:
    """Take turns and compare."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SHAPE)).eval()
    weights = sum(w.nbytes for w in model.parameters()) - model.model.embed_tokens.weight.nbytes
    answer: dict[str, Any] = {"threads": threads, "bandwidth": bandwidth(), "batches": {}}
    with tempfile.TemporaryDirectory() as folder:
        # Copies, because kollama2 turns the weights of its own.
        sides: dict[str, Side] = {
            "kollama2": ours(copy.deepcopy(model)),
            "transformers": theirs(copy.deepcopy(model)),
        }
        if other := llama_cpp(model, Path(folder), threads):
            sides["llama.cpp"] = other
        if compiled:
            sides["static compiled"] = theirs(copy.deepcopy(model), "static")
            sides["ours compiled"] = ours(copy.deepcopy(model), compiled=True)
        for batch in (1, 8):
            prompts = torch.randint(3, VOCABULARY, (batch, PROMPT)).tolist()
            here = {name: side for name, side in sides.items() if batch == 1 or name != "llama.cpp"}
            for side in here.values():
                side(prompts, 4)
                side(prompts, 4)  # once more: shapes that vary compile again
            turns: dict[str, list[Turn]] = {name: [] for name in here}
            for _ in range(repeats):
                for name, side in here.items():
                    turns[name].append(side(prompts, new))
            answer["batches"][batch] = compared(turns, batch, new, weights, answer["bandwidth"])
    return answer


def compared(
    turns: dict[str, list[Turn]], batch: int, new: int, weights: int, limit: float
) -> dict[str, Any]:
    """Medians of each side, and of kollama2's ratio to each other one."""
    found: dict[str, Any] = {}
    for name, taken in turns.items():
        seconds = statistics.median(turn[1] for turn in taken)
        pairs = list(zip(taken, turns["kollama2"], strict=True))
        speed = batch * new / seconds
        found[name] = {
            "tokens_per_second": speed,
            "first_token_ms": 1000 * statistics.median(turn[0] for turn in taken),
            "bandwidth_share": weights * speed / batch / limit,
            "kollama2_is": statistics.median(other[1] / own[1] for other, own in pairs),
            "by_processor": statistics.median(other[2] / own[2] for other, own in pairs),
            "first_token": statistics.median(other[0] / own[0] for other, own in pairs),
            "same_tokens": [sum(map(operator.eq, taken[0][3], turns["kollama2"][0][3])), new + 1],
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--new", type=int, default=64, help="tokens after the first")
    parser.add_argument("--compile", action="store_true", help="also what torch.compile gains")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    answer = measure(options.repeats, options.new, options.threads, options.compile)
    if options.json:
        print(json.dumps(answer, indent=1))
        return
    print(
        f"{options.threads} threads, float32, copy bandwidth {answer['bandwidth'] / 1e9:.1f} GB/s"
    )
    for batch, sides in answer["batches"].items():
        for name, found in sides.items():
            line = (
                f"batch {batch} {name:>16}{found['tokens_per_second']:>8.0f} tokens/s"
                f"{found['first_token_ms']:>8.0f} ms to the first"
            )
            if batch == 1:
                line += f"{found['bandwidth_share']:>7.0%} of bandwidth"
            if name != "kollama2":
                line += (
                    f"   kollama2 is {found['kollama2_is']:.2f} x as fast"
                    f" ({found['by_processor']:.2f} x by processor time),"
                    f" {found['first_token']:.2f} x to the first token;"
                    f" {found['same_tokens'][0]} of {found['same_tokens'][1]} tokens the same"
                )
            print(line)


if __name__ == "__main__":
    main()

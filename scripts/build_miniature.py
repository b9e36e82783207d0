"""Builds the miniature's base model: tokenizer, English pre-training, card. About 20 CPU minutes.

    python scripts/build_miniature.py [--megabytes 9] [--output src/kollama2/miniature/base/model]

The text is written by the miniature's own grammar, so nothing is borrowed and anyone can build the
same model again.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import sentencepiece
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from kollama2.data.encode import Input, encode
from kollama2.engine.profile import Resources
from kollama2.miniature import base, corpora
from kollama2.train.loop import train
from kollama2.train.settings import TrainSettings

VOCABULARY = 2048
SETTINGS = {
    "method": "full",
    "lr": 3e-3,
    "schedule": "cosine",
    "warmup": 0.05,
    "weight_decay": 0.1,
    "betas": (0.9, 0.95),
    "batch": 4,
    "max_length": 512,
    "packing": True,
    "epochs": 1,
    "dtype": "bfloat16",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=9.0, help="English text to learn from")
    parser.add_argument("--output", type=Path, default=base.FOLDER)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        text = write_text(work / "text", round(options.megabytes * 1e6))
        start = random_model(work / "start", text)
        began = time.monotonic()
        counts = encode(
            [Input(text)], start, work / "rows", template="plain", max_length=512, loss="all"
        )
        figures = train(
            TrainSettings(**SETTINGS),
            model=start,
            rows=work / "rows",
            out=work / "out",
            scratch=work / "scratch",
            resources=Resources(threads=options.threads),
            progress=show,
        )
        print()
        finish(work / "out" / "model", options.output)
        write_card(options.output, figures, counts, time.monotonic() - began)
    print(json.dumps(figures, indent=1))


def write_text(folder: Path, size: int) -> Path:
    """English text of the miniature's world, documents separated by blank lines."""
    folder.mkdir()
    file = folder / "text-en.jsonl"
    with file.open("w", encoding="utf-8") as stream:
        for document in corpora.english(size):
            stream.write(json.dumps({"text": document}, ensure_ascii=False) + "\n")
    return file


def random_model(folder: Path, text: Path) -> Path:
    """A Llama of 3.4 million parameters with a tokenizer like Llama 2's, not yet trained."""
    folder.mkdir()
    lines = (json.loads(line)["text"] for line in text.open(encoding="utf-8"))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(line for _, line in zip(range(20000), lines, strict=False)),
        model_prefix=str(folder / "tokenizer"),
        model_type="bpe",
        vocab_size=VOCABULARY,
        byte_fallback=True,
        split_digits=True,
        character_coverage=0.9995,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        minloglevel=2,
    )
    (folder / "tokenizer.vocab").unlink()
    about = {
        "tokenizer_class": "LlamaTokenizer",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "add_bos_token": True,
        "add_eos_token": False,
        "legacy": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=6,
        max_position_embeddings=1024,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def finish(model: Path, output: Path) -> None:
    """Copy the model to its place, its weights rounded to bfloat16."""
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(model, output)
    weights = load_file(output / "model.safetensors")
    small = {name: w.to(torch.bfloat16).contiguous() for name, w in weights.items()}
    save_file(small, output / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((output / "config.json").read_text(encoding="utf-8"))
    config["dtype"] = "bfloat16"
    (output / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def write_card(output: Path, figures: dict, counts: dict, seconds: float) -> None:
    """The model card, with the figures of this very training."""
    lines = [
        "# The miniature's base model",
        "",
        "A Llama of "
        f"{figures['total_parameters'] / 1e6:.1f} million parameters (6 layers, hidden size 192, "
        f"vocabulary {VOCABULARY}, SentencePiece BPE with byte fallback), trained on "
        f"{figures['bytes'] / 1e6:.1f} MB of English text that the miniature's grammar wrote.",
        "",
        "- **Purpose**: the embedded, offline base of kollama2's quick study and tests. It is an "
        "instrument for comparing methods, not a language model for use.",
        "- **Language**: English; 0.06 % of its text is Korean, as for Llama 2. Hangul falls to "
        "bytes.",
        f"- **Training**: `python scripts/build_miniature.py`; {figures['tokens']:,} tokens, "
        f"{figures['steps']:,} steps, {seconds / 60:.0f} minutes on two CPU cores, "
        f"settings {json.dumps(SETTINGS)}; loss at the end {figures['loss_end']:.3f}.",
        "- **Data**: generated, no borrowed text and no real people.",
        "- **Licence**: Apache-2.0.",
        "",
    ]
    (output / "README.md").write_text("\n".join(lines), encoding="utf-8")


def show(done: float, total: float, unit: str, **figures: float) -> None:
    if done % 50 == 0:
        print(f"\r{done:.0f}/{total:.0f} {unit}, loss {figures['loss']:.3f}, "
              f"{figures['tokens_per_second']:,.0f} tokens/s", end="", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()

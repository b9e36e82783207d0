"""Builds a small English base model: tokenizer, pre-training, card. About 20 CPU minutes.

    python scripts/build_base.py                                        the miniature's base
    python scripts/build_base.py --text FOLDER --output bases/english   a base from your own text

The miniature's text is written by its own grammar, so nothing is borrowed and anyone can build the
same model again.
"""

import argparse
import json
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import sentencepiece
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from kollama2.data.encode import Input, encode
from kollama2.data.read import Example, read
from kollama2.engine.profile import Resources
from kollama2.miniature import base
from kollama2.miniature.texts import english_text
from kollama2.model.pieces import LLAMA_SETTINGS, write_fast
from kollama2.train.loop import train
from kollama2.train.settings import TrainSettings

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
    "dtype": "float32",
}


def main() -> None:
    """Build and write the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, help="file or folder; the miniature's by default")
    parser.add_argument("--megabytes", type=float, default=9.0, help="text to learn from")
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument("--output", type=Path, default=base.FOLDER)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    size = round(options.megabytes * 1e6)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        text = write_text(work / "text", documents(options.text), size)
        start = random_model(work / "start", text, options.vocabulary)
        began = time.monotonic()
        encode(
            [Input(text)],
            start,
            work / "rows",
            template="plain",
            max_length=SETTINGS["max_length"],
            loss="all",
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
        write_card(options, figures, time.monotonic() - began)
    print(json.dumps(figures, indent=1))


def documents(place: Path | None) -> Iterator[str]:
    """The miniature's English text, or the documents of a file or folder in a fixed mixed order."""
    if place is None:
        yield from english_text()
        return
    texts = [e.text for e in read(place) if isinstance(e, Example) and e.text]
    random.Random(0).shuffle(texts)
    yield from texts


def write_text(folder: Path, texts: Iterator[str], size: int) -> Path:
    """Write documents as JSON lines until there are `size` bytes of text."""
    folder.mkdir()
    file = folder / "text-en.jsonl"
    written = 0
    with file.open("w", encoding="utf-8") as stream:
        for text in texts:
            if written >= size:
                break
            written += len(text.encode())
            stream.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    return file


def random_model(folder: Path, text: Path, vocabulary: int) -> Path:
    """A Llama of a few million parameters with a tokenizer like Llama 2's, not yet trained."""
    folder.mkdir()
    lines = (json.loads(line)["text"] for line in text.open(encoding="utf-8"))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(line for _, line in zip(range(20000), lines, strict=False)),
        model_prefix=str(folder / "tokenizer"),
        model_type="bpe",
        vocab_size=vocabulary,
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
    settings = json.dumps(LLAMA_SETTINGS, indent=1)
    (folder / "tokenizer_config.json").write_text(settings, encoding="utf-8")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
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
    (output / "model.safetensors").chmod(0o644)
    write_fast(output)  # so that transformers gives SentencePiece's ids
    config = json.loads((output / "config.json").read_text(encoding="utf-8"))
    config["dtype"] = "bfloat16"
    (output / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def write_card(options: argparse.Namespace, figures: dict, seconds: float) -> None:
    """The model card, with the figures of this very training."""
    source = (
        "text that the miniature's own grammar wrote: no borrowed text, no real people"
        if options.text is None
        else f"the files of `{options.text.name}`"
    )
    card = f"""# A small English base model

A Llama of {figures["total_parameters"] / 1e6:.1f} million parameters (6 layers, hidden size 192,
vocabulary {options.vocabulary}, SentencePiece BPE with byte fallback), pre-trained on
{figures["bytes"] / 1e6:.1f} MB of English.

- **Purpose**: the base of kollama2's own studies and tests. It is an instrument for comparing
  methods, not a language model for use.
- **Language**: English. Of the miniature's text 0.06 % is Korean, as for Llama 2; Hangul falls to
  bytes.
- **Data**: {source}.
- **Training**: `scripts/build_base.py`, {figures["tokens"]:,} tokens in {figures["steps"]:,} steps,
  {seconds / 60:.0f} minutes on {options.threads} CPU cores; loss {figures["loss_end"]:.3f} nats per
  token at the end. Settings: `{json.dumps(SETTINGS)}`.
"""
    (options.output / "README.md").write_text(card, encoding="utf-8")


def show(done: float, total: float, unit: str, **figures: float) -> None:
    """Print progress now and then."""
    if done % 50 == 0:
        print(f"\r{done:.0f}/{total:.0f} {unit}, loss {figures['loss']:.3f}, "
              f"{figures['tokens_per_second']:,.0f} tokens/s", end="", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()

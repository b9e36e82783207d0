"""Tiny real models and tokenizers, made in a temporary folder in a second or two.

The tokenizer is SentencePiece BPE with byte fallback and split digits, like Llama 2's, so Hangul
falls to bytes exactly as there; the model is a Llama with hidden size 64 (one NF4 block).
"""

import json
from pathlib import Path

ENGLISH = [
    "The fox lives in the old town.",
    "Mira has three red apples and one green pear.",
    "A teacher reads a long book in the quiet garden.",
    "What does the farmer sell? The farmer sells bread and milk.",
    "He was born in the north and works at the harbor.",
    "The small dog sleeps under the table every evening.",
]
KOREAN = ["미라는 사과를 세 개 샀습니다.", "여우가 숲에서 잡니다.", "선생님이 책을 읽었어요."]


def write_tokenizer(folder: Path, vocab_size: int = 384) -> Path:
    """Write `tokenizer.model` (SentencePiece BPE, byte fallback) and `tokenizer_config.json`."""
    import sentencepiece

    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(ENGLISH * 20),
        model_prefix=str(folder / "tokenizer"),
        model_type="bpe",
        vocab_size=vocab_size,
        byte_fallback=True,
        split_digits=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        minloglevel=2,
    )
    (folder / "tokenizer.vocab").unlink()
    config = {
        "tokenizer_class": "LlamaTokenizer",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "add_bos_token": True,
        "add_eos_token": False,
        "legacy": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def write_model(
    folder: Path, *, hidden: int = 64, layers: int = 2, seed: int = 0, vocab_size: int = 384
) -> Path:
    """Write a random Llama with its tokenizer; about 0.1 M parameters by default."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    write_tokenizer(folder, vocab_size)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder

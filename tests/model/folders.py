"""Tokenizer folders with a chat template, in the forms that families of models have."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests import tiny

LINES = (
    *tiny.ENGLISH,
    *tiny.KOREAN,
    "안녕하세요. 한국의 수도는 서울입니다.\n\n",
    "user\n\nmodel\n",
)
# GPT-2's: white space before a word is split from it. Later families keep line ends together.
GPT2 = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
LATER = (
    r"""(?i:'(?:[sdmt]|ll|ve|re))|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"""
    r"""| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
)


def byte_level(
    folder: Path,
    template: Any,
    special: Sequence[str],
    *,
    eos: str,
    bos: str | None = None,
    adds_bos: bool = False,
    plain: Sequence[str] = (),
    rstrip: bool = False,
    generation: Sequence[str] = (),
    regex: str = LATER,
) -> Path:
    """Write a byte-level BPE tokenizer of 500 tokens with control tokens and a template.

    Args:
        folder: where.
        template: Jinja, or several by name.
        special: the control tokens.
        eos: the one that ends a text.
        bos: the one that begins it.
        adds_bos: whether the tokenizer puts it there.
        plain: added tokens that are not special.
        rstrip: whether control tokens take the white space behind them along.
        generation: tokens that the generation configuration names as its ends.
        regex: how texts are split before they are merged.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, processors
    from tokenizers import pre_tokenizers as before
    from tokenizers.trainers import BpeTrainer

    one = Tokenizer(models.BPE())
    split = before.Split(Regex(regex), "isolated")
    one.pre_tokenizer = before.Sequence([split, before.ByteLevel(False, use_regex=False)])
    one.decoder = decoders.ByteLevel()
    alphabet = before.ByteLevel.alphabet()
    one.train_from_iterator(LINES * 20, BpeTrainer(vocab_size=500, initial_alphabet=alphabet))
    one.add_special_tokens([AddedToken(n, normalized=False, rstrip=rstrip) for n in special])
    one.add_tokens([AddedToken(name, normalized=False) for name in plain])
    steps = [processors.ByteLevel(trim_offsets=True)]
    if adds_bos:
        pair = [(bos, one.token_to_id(bos))]
        steps.append(processors.TemplateProcessing(f"{bos} $A", f"{bos} $A {bos} $B", pair))
    one.post_processor = processors.Sequence(steps)
    folder.mkdir(parents=True, exist_ok=True)
    one.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": eos, "bos_token": bos}
    _write(folder, settings, template)
    if generation:
        ids = [one.token_to_id(name) for name in generation]
        (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ids}))
    return folder


def sentencepiece(folder: Path, template: Any, special: Sequence[str] = (), **changes: Any) -> Path:
    """Write a tokenizer like Llama 2's, with added control tokens and a template."""
    tiny.write_tokenizer(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    flags = dict.fromkeys(("lstrip", "rstrip", "normalized", "single_word"), False)
    settings["added_tokens_decoder"] = {
        str(384 + number): {"content": name, "special": True, **flags}
        for number, name in enumerate(special)
    }
    _write(folder, settings | changes, template)
    return folder


def _write(folder: Path, settings: dict[str, Any], template: Any) -> None:
    if isinstance(template, dict):
        template = [{"name": name, "template": text} for name, text in template.items()]
    settings["chat_template"] = template
    text = json.dumps(settings, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")

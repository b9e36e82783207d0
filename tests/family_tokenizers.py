"""Model folders of every family: random weights, a tokenizer and chat template of its form.

Vocabularies are learned from lines of the miniature. Names, places and flags of control tokens,
what is put in front, the class that `tokenizer_config.json` names, and the stop ids are those of
the family; the chat templates are in `family_templates`.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sentencepiece
import torch
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from kollama2.miniature.corpora import pairs
from tests import family_templates as templates
from tests.family_models import FAMILIES

FAST = "PreTrainedTokenizerFast"
_WORDS = Regex(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_PIECES, _MERGED = 420, 520


FOREIGN = ("Лиса живёт в старом лесу.", "Старый учитель читает книгу.", "Η αλεπού κοιμάται.")
"""Scripts that a Korean and English model has no use for."""


@cache
def lines() -> tuple[str, ...]:
    """English and Korean sentences, and the signs that every text has."""
    found = [text for pair in islice(pairs(0), 300) for text in (pair["en"], pair["ko"])]
    rng = random.Random(0)
    numbers = [f"{rng.randint(0, 2030)}, {rng.randint(1, 99)}%" for _ in range(50)]
    return (*found, *numbers)


def learned(*, hangul: bool) -> list[str]:
    """What vocabularies are learned from; without Hangul, it falls to bytes as in Llama 2's."""
    return [*FOREIGN * 20, *(line for line in lines() if hangul or line.isascii())]


@dataclass(frozen=True)
class Form:
    """How a family's folder looks.

    Attributes:
        model: its key in `FAMILIES`.
        make: the tokenizer, from its control tokens; writes a `tokenizer.model` too if it has one.
        control: the control tokens, in the order of their ids.
        eos: the token that ends a text.
        template: its chat template; None where the family has none.
        bos: the token that is put in front of a text.
        pad: the token of padding.
        stops: the tokens at which generation ends, by the generation configuration.
        kind: the class of `tokenizer_config.json`.
        plain: added tokens that are text, not control, such as `<think>`.
        settings: what else `tokenizer_config.json` says.
        spare: rows of the model behind its tokens.
        config: of the language model.
        dtype: of the weights.
    """

    model: str
    make: Callable[["Form", Path], Tokenizer]
    control: tuple[str, ...]
    eos: str
    template: str | None
    bos: str | None = None
    pad: str | None = None
    stops: tuple[str, ...] = ()
    kind: str = FAST
    plain: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    spare: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)
    dtype: torch.dtype = torch.float32


def added(name: str, *, special: bool = True, rstrip: bool = False) -> AddedToken:
    return AddedToken(name, special=special, normalized=False, rstrip=rstrip)


def _bytes(
    words: Any = None, *, first: bool = False, digits: bool = False, nfc: bool = False
) -> Any:
    """A byte-level BPE: cut by `words` or GPT-2's expression; control tokens first or last."""

    def make(form: Form, _: Path) -> Tokenizer:
        made = Tokenizer(models.BPE())
        before = []
        if digits:
            before.append(pre_tokenizers.Digits(individual_digits=True))
        if words is not None:
            before.append(pre_tokenizers.Split(words, behavior="isolated"))
        before.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=words is None))
        made.pre_tokenizer = pre_tokenizers.Sequence(before)
        if nfc:
            made.normalizer = normalizers.NFC()
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=_MERGED + first * len(form.control),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=[added(name) for name in form.control] if first else [],
            show_progress=False,
        )
        made.train_from_iterator(learned(hangul=True), trainer)
        made.add_special_tokens([added(name) for name in form.control])
        made.add_tokens([added(name, special=False) for name in form.plain])
        return made

    return make


def _pieces(base: int = 3, *, inside: str = "", spaces: str = "first", rstrip: str = "") -> Any:
    """SentencePiece's BPE with byte fallback, and the `tokenizer.json` that belongs to it.

    Args:
        base: how many control tokens every model has: unk, bos and eos, with pad four.
        inside: the others are control_symbols or user_defined_symbols of the model, or behind it.
        spaces: a text's own first space by the older normalizer (prepend), by a pre-tokenizer
            (first), or none.
        rstrip: how those control tokens begin that strip what follows.
    """

    def make(form: Form, folder: Path) -> Tokenizer:
        vocab, merges = _trained(form, folder, base, inside, prefix=spaces != "none")
        made = Tokenizer(
            models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
        )
        decoder = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        if spaces == "first":
            made.pre_tokenizer = pre_tokenizers.Metaspace("▁", "first", split=False)
        elif spaces == "prepend":
            steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
            made.normalizer = normalizers.Sequence(steps)
        else:
            made.normalizer = normalizers.Replace(" ", "▁")
            made.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
        if spaces != "none":
            decoder.append(decoders.Strip(" ", 1, 0))
        made.decoder = decoders.Sequence(decoder)
        strips = [bool(rstrip) and name.startswith(rstrip) for name in form.control]
        pairs = zip(form.control, strips, strict=True)
        made.add_special_tokens([added(name, rstrip=strip) for name, strip in pairs])
        return made

    return make


def _trained(
    form: Form, folder: Path, base: int, inside: str, *, prefix: bool
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Write `tokenizer.model`; answers its vocabulary and merges."""
    kinds = ("unk", "bos", "eos") if base == 3 else ("pad", "eos", "bos", "unk")
    named = dict(zip(kinds, form.control[:base], strict=True))
    ids = {f"{kind}_id": number for number, kind in enumerate(kinds)}
    with TemporaryDirectory() as place:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(learned(hangul=base == 4)),
            model_prefix=f"{place}/tokenizer",
            model_type="bpe",
            vocab_size=_PIECES + 256,
            byte_fallback=True,
            split_digits=True,
            character_coverage=0.99,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=prefix,
            minloglevel=2,
            **{"pad_id": -1, **ids},
            **{f"{kind}_piece": name for kind, name in named.items()},
            **({inside: list(form.control[base:])} if inside else {}),
        )
        content = (Path(place) / "tokenizer.model").read_bytes()
    (folder / "tokenizer.model").write_bytes(content)
    model = sentencepiece.SentencePieceProcessor(model_proto=content)
    vocab = {model.id_to_piece(i): i for i in range(model.get_piece_size())}
    found = [
        (-model.get_score(i), vocab[piece[:at]], vocab[piece[at:]], piece[:at], piece[at:])
        for piece, i in vocab.items()
        if not (model.is_byte(i) or model.is_control(i) or piece in form.control)
        for at in range(1, len(piece))
        if piece[:at] in vocab and piece[at:] in vocab
    ]
    return vocab, [(left, right) for *_, left, right in sorted(found)]


_CHATML = ("<|im_start|>", "<|im_end|>")
_THINK = ("<think>", "</think>")
_LLAMA3 = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
           "<|eom_id|>", "<|eot_id|>")  # fmt: skip
_MISTRAL = ("[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[TOOL_CALLS]")
_GEMMA = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>")
_LLAMA2 = ("<unk>", "<s>", "</s>")
_END = "<|endoftext|>"

FORMS: dict[str, Form] = {
    "Llama 2": Form(
        "llama", _pieces(spaces="prepend"), _LLAMA2, "</s>", templates.LLAMA2, bos="<s>",
        kind="LlamaTokenizer", settings={"add_bos_token": True, "legacy": False},
        stops=("</s>",),
    ),
    "Llama 3.2": Form(
        "llama3.2", _bytes(_WORDS), _LLAMA3, "<|eot_id|>", templates.LLAMA3_2,
        bos="<|begin_of_text|>", stops=("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"),
        dtype=torch.bfloat16,
    ),
    "Mistral": Form(
        "mistral-narrow", _pieces(inside="control_symbols"), (*_LLAMA2, *_MISTRAL), "</s>",
        templates.MISTRAL, bos="<s>", kind="LlamaTokenizer", stops=("</s>",),
        settings={"add_bos_token": True, "legacy": False},
    ),
    "Mistral 3": Form(
        "mistral3", _bytes(_WORDS, first=True),
        (*_LLAMA2, *_MISTRAL, "[IMG]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"), "</s>",
        templates.MISTRAL3, bos="<s>", pad="<unk>", kind="LlamaTokenizerFast", stops=("</s>",),
        dtype=torch.bfloat16,
    ),
    "Qwen 2": Form(
        "qwen2", _bytes(_WORDS, nfc=True), (_END, *_CHATML), "<|im_end|>", templates.QWEN2,
        pad=_END, kind="Qwen2Tokenizer", stops=("<|im_end|>", _END), spare=29,
        config={"bos_token_id": 520},
    ),
    "Qwen 3": Form(
        "qwen3", _bytes(_WORDS, nfc=True), (_END, *_CHATML), "<|im_end|>", templates.QWEN3,
        pad=_END, kind="Qwen2Tokenizer", stops=("<|im_end|>", _END), plain=_THINK, spare=27,
    ),
    "Qwen 3.5": Form(
        "qwen3_5", _bytes(_WORDS, nfc=True), (_END, *_CHATML), "<|im_end|>", templates.QWEN3_5,
        pad=_END, kind="Qwen2Tokenizer", stops=("<|im_end|>", _END), plain=_THINK, spare=27,
        dtype=torch.bfloat16,
    ),
    "Qwen 3-Next": Form(
        "qwen3_next", _bytes(_WORDS, nfc=True), (_END, *_CHATML), "<|im_end|>", templates.QWEN3,
        pad=_END, kind="Qwen2Tokenizer", stops=("<|im_end|>", _END), plain=_THINK, spare=27,
    ),
    "Gemma 2": Form(
        "gemma2", _pieces(4, inside="user_defined_symbols", spaces="none"), _GEMMA, "<eos>",
        templates.GEMMA2, bos="<bos>", pad="<pad>", kind="GemmaTokenizer", spare=64,
        stops=("<eos>", "<end_of_turn>"), settings={"add_bos_token": True},
    ),
    "Gemma 3": Form(
        "gemma3", _pieces(4, inside="user_defined_symbols", spaces="none"), _GEMMA, "<eos>",
        templates.GEMMA3, bos="<bos>", pad="<pad>", kind="GemmaTokenizer", spare=64,
        stops=("<eos>", "<end_of_turn>"), settings={"add_bos_token": True}, dtype=torch.bfloat16,
    ),
    "Phi-3": Form(
        "phi3", _pieces(spaces="prepend", rstrip="<|"),
        (*_LLAMA2, _END, "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"), _END,
        templates.PHI3, pad=_END, kind="LlamaTokenizer", spare=56,
        stops=(_END, "<|end|>", "<|assistant|>"),
        settings={"bos_token": "<s>", "add_bos_token": False, "legacy": False},
    ),
    "OLMo 3": Form(
        "olmo3", _bytes(_WORDS), (_END, *_CHATML, "<|pad|>"), _END, templates.OLMO3, pad="<|pad|>",
        kind="GPT2Tokenizer", stops=("<|im_end|>", _END), spare=20,
        settings={"bos_token": _END, "unk_token": _END},
    ),
    "SmolLM2": Form(
        "llama", _bytes(digits=True, first=True), (_END, *_CHATML, "<repo_name>"), "<|im_end|>",
        templates.SMOLLM2, pad="<|im_end|>", kind="GPT2Tokenizer", stops=("<|im_end|>",),
        settings={"bos_token": "<|im_start|>", "unk_token": _END},
        config={"tie_word_embeddings": True}, dtype=torch.bfloat16,
    ),
    "SmolLM3": Form(
        "smollm3", _bytes(_WORDS), (*_LLAMA3, *_CHATML), "<|im_end|>", templates.SMOLLM3,
        pad="<|im_end|>", stops=("<|im_end|>",), plain=_THINK, spare=16,
    ),
    "Granite": Form(
        "granite", _bytes(first=True),
        ("<|end_of_text|>", "<fim_prefix>", "<|start_of_role|>", "<|end_of_role|>"),
        "<|end_of_text|>", templates.GRANITE, pad="<|end_of_text|>", kind="GPT2Tokenizer",
        stops=("<|end_of_text|>",),
        settings={"bos_token": "<|end_of_text|>", "unk_token": "<|end_of_text|>"},
    ),
    "EXAONE 4": Form(
        "exaone4", _bytes(_WORDS, first=True),
        ("[PAD]", "[BOS]", "[EOS]", "[UNK]", "[|system|]", "[|user|]", "[|assistant|]",
         "[|endofturn|]"),
        "[|endofturn|]", templates.EXAONE4, pad="[PAD]", kind="GPT2Tokenizer",
        stops=("[|endofturn|]",), plain=_THINK, spare=40,
        settings={"bos_token": "[BOS]", "unk_token": "[UNK]"},
    ),
    "polyglot-ko": Form(
        "gpt_neox", _bytes(first=True), (_END, "<|sep|>", "<|acc|>"), _END, None, pad=_END,
        stops=(_END,), spare=20, dtype=torch.float16,
        settings={"bos_token": _END, "unk_token": _END},
    ),
    "LFM2": Form(
        "lfm2", _bytes(_WORDS, first=True), ("<|pad|>", "<|startoftext|>", _END, *_CHATML),
        "<|im_end|>", templates.LFM2, bos="<|startoftext|>", pad="<|pad|>", plain=_THINK,
        stops=("<|im_end|>",), dtype=torch.bfloat16,
    ),
    "Falcon-H1": Form(
        "falcon_h1", _bytes(_WORDS, first=True), ("<|pad|>", "<|begin_of_text|>", _END, *_CHATML),
        _END, templates.FALCON_H1, bos="<|begin_of_text|>", pad="<|pad|>",
        stops=(_END, "<|im_end|>"), spare=24,
    ),
    "gpt-oss": Form(
        "gpt_oss", _bytes(_WORDS),
        ("<|startoftext|>", _END, "<|return|>", "<|channel|>", "<|start|>", "<|end|>",
         "<|message|>", "<|call|>"),
        "<|return|>", templates.GPT_OSS, pad=_END, stops=("<|return|>", _END, "<|call|>"),
        spare=32, settings={"bos_token": "<|startoftext|>"}, dtype=torch.bfloat16,
    ),
}  # fmt: skip


def write_family(name: str, folder: Path) -> Path:
    """Write a folder of a family: random weights, tokenizer, template, generation settings."""
    form = FORMS[name]
    folder.mkdir(parents=True)
    made = form.make(form, folder)
    if form.bos:
        one = (form.bos, made.token_to_id(form.bos))
        made.post_processor = processors.TemplateProcessing(
            single=f"{form.bos} $A", pair=f"{form.bos} $A {form.bos} $B", special_tokens=[one]
        )
    made.save(str(folder / "tokenizer.json"))
    ids = {"bos_token_id": form.bos, "eos_token_id": form.eos, "pad_token_id": form.pad}
    known = {key: made.token_to_id(token) for key, token in ids.items() if token}
    size = made.get_vocab_size() + form.spare
    model = FAMILIES[form.model](
        **{"vocab_size": size, "bos_token_id": None, **known, **form.config}
    )
    model.to(form.dtype).save_pretrained(folder)
    stops = [made.token_to_id(token) for token in form.stops]
    generation = {**known, "eos_token_id": stops if len(stops) > 1 else stops[0]}
    _write(folder / "generation_config.json", generation)
    _write(folder / "tokenizer_config.json", _settings(form, made))
    if form.template is not None:
        (folder / "chat_template.jinja").write_text(form.template, encoding="utf-8")
    return folder


def _settings(form: Form, made: Tokenizer) -> dict[str, Any]:
    """What `tokenizer_config.json` says."""
    decoder = {
        str(i): {
            "content": token.content,
            "lstrip": False,
            "normalized": False,
            "rstrip": token.rstrip,
            "single_word": False,
            "special": token.special,
        }
        for i, token in sorted(made.get_added_tokens_decoder().items())
    }
    unk = "<unk>" if "<unk>" in form.control else None
    return {
        "tokenizer_class": form.kind,
        "bos_token": form.bos,
        "eos_token": form.eos,
        "unk_token": unk,
        "pad_token": form.pad,
        "clean_up_tokenization_spaces": False,
        "added_tokens_decoder": decoder,
        **form.settings,
    }


def _write(path: Path, tree: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(tree, indent=1, ensure_ascii=False), encoding="utf-8")

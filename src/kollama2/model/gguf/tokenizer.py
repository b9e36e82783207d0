"""The tokenizer of a GGUF as the files of a model folder, proved by the file's own rules.

transformers' reader of GGUF files makes another tokenizer where pieces share a score or a text
begins with a space, and heeds neither `add_space_prefix` nor the flags of BOS.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kollama2.errors import BadData
from kollama2.model.files import GENERATION, TEMPLATE_FILE, TOKENIZER_CONFIG, write_json
from kollama2.model.gguf.file import Gguf
from kollama2.model.gguf.rules import Rule, byte_rule
from kollama2.model.gguf.splits import SPLITS, Split
from kollama2.model.handover import GENERIC
from kollama2.model.merging import Llamacpp
from kollama2.model.pieces import (
    BYTE,
    CONTROL,
    NORMAL,
    SPACE,
    UNKNOWN,
    USER_DEFINED,
    new_proto,
    put_in_front,
    save_fast,
    write_fast,
    write_pieces,
)
from kollama2.model.probe import mixed_lines

LINES = 2000
"""On which the files must give the ids of the rules."""
# Tokens that end a turn by their names, where a file does not number them.
_ENDS = (
    "<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>",
    "<|end_of_text|>", "[|endofturn|]",
)  # fmt: skip
_SHOWN = 60


def write_tokenizer(file: Gguf, out: Path) -> None:
    """Write a GGUF's tokenizer, chat template and stop ids, and prove the ids.

    Args:
        file: the file; it needs no tensors.
        out: an existing folder, with the model's `config.json` if there is a model: transformers
            chooses its reader by it.

    Raises:
        BadData: the kind of tokenizer is not read, or the files give other ids than the rules.
    """
    about = Vocabulary(file)
    rule = rule_of(about)
    if about.kind == "llama":
        write_pieces(_pieces(about), out)
        write_fast(out, about.begins)
    else:
        _write_bytes(about, out)
    _write_settings(about, out)
    _prove(about, rule, out)


class Vocabulary:
    """What a file says of its tokens.

    Raises:
        BadData: two are the same, or there are fewer kinds than tokens.
    """

    def __init__(self, file: Gguf) -> None:
        self.file = file
        self.kind = str(self.get("model", "none"))
        self.tokens: list[str] = self.get("tokens", [])
        self.kinds: list[int] = self.get("token_type", [NORMAL] * len(self.tokens))
        if len(self.kinds) < len(self.tokens):
            raise BadData(f"{file.path} has {len(self.tokens)} tokens, but {len(self.kinds)} kinds")
        twice = len(self.tokens) - len(set(self.tokens))
        if twice or not all(self.tokens):
            raise BadData(f"{file.path} has {twice} tokens twice, or an empty one; convert it anew")
        self.bos, self.eos = self.id("bos"), self.id("eos")
        if self.kind == "llama":
            # As Llama 2 has them, where a file does not say it.
            self.bos = 1 if self.bos is None else self.bos
            self.eos = 2 if self.eos is None else self.eos

    def get(self, name: str, default: Any = None) -> Any:
        """A value of `tokenizer.ggml`."""
        return self.file.metadata.get(f"tokenizer.ggml.{name}", default)

    def id(self, name: str) -> int | None:
        """The id of the token for a part, such as eos."""
        found = self.get(f"{name}_token_id")
        return found if found is not None and found < len(self.tokens) else None

    def of(self, *kinds: int) -> list[str]:
        """The tokens of some kinds."""
        return [t for t, kind in zip(self.tokens, self.kinds, strict=False) if kind in kinds]

    @property
    def split(self) -> Split:
        """How texts are cut before bytes merge."""
        name = self.get("pre")
        if name not in SPLITS:
            raise BadData(
                f"{self.file.path} cuts texts as {name!r} before it merges, which is not read; "
                f"known are {', '.join(sorted(SPLITS))}"
            )
        return SPLITS[name]

    @property
    def merges(self) -> list[tuple[str, str]]:
        """The pairs that merge, in their order."""
        found = self.get("merges", [])
        # A merge is cut at its first space, but for one that it begins with.
        return [(one[:at], one[at + 1 :]) for one in found if (at := one.find(" ", 1)) > 0]

    @property
    def begins(self) -> int | None:
        """The id that the tokenizer puts before a text."""
        usual = True if self.kind == "llama" else self.split.begins
        return self.bos if self.get("add_bos_token", usual) else None

    @property
    def ends(self) -> list[int]:
        """The ids at which generation ends."""
        ids = {self.eos, self.id("eot"), self.id("eom")}
        controls = {t: i for i, t in enumerate(self.tokens) if self.kinds[i] == CONTROL}
        ids |= {controls[name] for name in _ENDS if name in controls}
        return sorted(i for i in ids if i is not None)


def rule_of(about: Vocabulary) -> Rule:
    """Texts to ids by what a file says, as llama.cpp reads it.

    Raises:
        BadData: the kind of tokenizer is not read.
    """
    if about.kind == "llama":
        return Llamacpp(_pieces(about)).encode
    if about.kind == "gpt2":
        return byte_rule(about.file, about.split, about.merges, about.of(USER_DEFINED))
    raise BadData(
        f"{about.file.path} has a tokenizer of the kind {about.kind!r}; of GGUF files llama "
        "(SentencePiece BPE) and gpt2 (byte-level BPE) are read"
    )


def _pieces(about: Vocabulary) -> Any:
    if about.kinds.count(BYTE) != 256:
        raise BadData(
            f"{about.file.path} has {about.kinds.count(BYTE)} tokens for single bytes, expected 256"
        )
    unknown = about.id("unknown") or 0
    scores = about.get("scores", [0.0] * len(about.tokens))
    pieces = []
    for i, (token, score) in enumerate(zip(about.tokens, scores, strict=False)):
        kind = UNKNOWN if i == unknown else about.kinds[i] or NORMAL
        # SentencePiece finds such tokens in the text with its spaces turned, llama.cpp before.
        token = token.replace(" ", SPACE) if kind == USER_DEFINED else token
        pieces.append((token, score, CONTROL if kind == UNKNOWN and i != unknown else kind))
    prefix = bool(about.get("add_space_prefix", True))
    return new_proto(pieces, unknown=unknown, bos=about.bos, eos=about.eos, prefix=prefix)


def _write_bytes(about: Vocabulary, out: Path) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

    ids = {token: i for i, token in enumerate(about.tokens)}
    split = about.split
    try:
        fast = Tokenizer(models.BPE(ids, about.merges, ignore_merges=split.whole))
    except Exception as error:  # the library raises nothing narrower
        raise BadData(f"{about.file.path}: its merges do not fit its tokens: {error}") from error
    fast.pre_tokenizer, fast.decoder = split.pre_tokenizer(), decoders.ByteLevel()
    if split.composed:
        fast.normalizer = normalizers.NFC()
    fast.add_special_tokens(
        [AddedToken(t, normalized=False, special=True) for t in about.of(UNKNOWN, CONTROL)]
    )
    fast.add_tokens([AddedToken(t, normalized=False) for t in about.of(USER_DEFINED)])
    if about.begins is not None:
        put_in_front(fast, about.tokens[about.begins], about.begins)
    save_fast(fast, out)


def _write_settings(about: Vocabulary, out: Path) -> None:
    if about.eos is None:
        raise BadData(f"{about.file.path} names no token that ends a text (eos_token_id)")
    named = {"eos": about.eos}
    for name, i in ("bos", about.bos), ("unk", about.id("unknown")), ("pad", about.id("padding")):
        # A file may give such a part to an ordinary token, which transformers would then cut out.
        if i is not None and about.kinds[i] != NORMAL:
            named[name] = i
    settings = {f"{name}_token": about.tokens[i] for name, i in named.items()}
    template = about.file.metadata.get("tokenizer.chat_template")
    write_json(
        out / TOKENIZER_CONFIG,
        {
            "tokenizer_class": GENERIC,
            **settings,
            "add_bos_token": about.begins is not None,
            "clean_up_tokenization_spaces": False,
        },
    )
    ids = {f"{name}_token_id": i for name, i in named.items() if name != "unk"}
    write_json(out / GENERATION, {**ids, "eos_token_id": about.ends})
    if template:
        (out / TEMPLATE_FILE).write_text(template, encoding="utf-8")


def _prove(about: Vocabulary, rule: Rule, out: Path) -> None:
    """Compare what the files give, here and in transformers, with the rules.

    Raises:
        BadData: some line has other ids.
    """
    from kollama2.model.tokenizer import load_tokenizer, plain

    lines = _lines(about)
    wanted = [rule(line) for line in lines]
    here = load_tokenizer(out).encode_batch(lines)
    _compare(about, "here", zip(lines, wanted, here, strict=True))
    fast = plain(out)
    names = about.of(UNKNOWN, CONTROL)
    free = [i for i, line in enumerate(lines) if not any(name in line for name in names)]
    there = fast([lines[i] for i in free], add_special_tokens=False).input_ids
    pairs = ((lines[i], wanted[i], ids) for i, ids in zip(free, there, strict=True))
    _compare(about, "in transformers", pairs)
    begins = fast("a").input_ids[:-1][:1]
    if begins != ([] if about.begins is None else [about.begins]):
        raise BadData(f"{about.file.path}: transformers puts {begins} before a text")


def _compare(
    about: Vocabulary, where: str, found: Iterable[tuple[str, Sequence[int], Sequence[int]]]
) -> None:
    wrong = [line for line, ids, others in found if list(ids) != list(others)]
    if wrong:
        line = wrong[0][:_SHOWN]
        raise BadData(
            f"{about.file.path}: {len(wrong)} of {LINES} lines have other ids {where} than by the "
            f"file's own rules, first {line!r}; take the model's folder in Hugging Face's form"
        )


def _lines(about: Vocabulary) -> list[str]:
    """Korean, English and hard lines, and some of the tokens that the file wants whole."""
    lines = mixed_lines(LINES)
    if about.kind == "llama" and about.get("add_space_prefix", True):
        # Programs differ in the spaces that they put around such tokens.
        return lines
    for i, token in enumerate(about.of(USER_DEFINED)[:200]):
        lines[-1 - i] = f"한국어 {token}{token} text{token}글 {lines[-1 - i]}"
    return lines

"""Handover: what stands beside the weights, and the proof that other programs read it as we do.

Whoever writes a model folder ends with `hand_over`: tokenizer, chat template, stop ids and card.
Before the folder is committed, transformers reads it and its ids are compared with those that the
model was trained on.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kollama2.errors import BadData
from kollama2.model.bounded import render_ids
from kollama2.model.card import CARD, Card, write_card
from kollama2.model.files import (
    CONFIG,
    FAST,
    GENERATION,
    PIECES,
    TEMPLATE_FILE,
    TOKENIZER_CONFIG,
    TOKENIZER_FILES,
    copy_files,
    has_tokenizer,
    read_json,
    write_json,
)
from kollama2.model.folder import OWN, ModelFolder
from kollama2.model.jinja import jinja_forms
from kollama2.model.messages import Message
from kollama2.model.pieces import put_in_front, save_fast, write_fast, write_tree
from kollama2.model.templates import TEMPLATES
from kollama2.model.tokenizer import filed, plain

if TYPE_CHECKING:
    from kollama2.model.chat import ChatEncoder

GENERIC = "PreTrainedTokenizerFast"
"""The class that reads a `tokenizer.json` as it stands; others build their pipeline anew."""

_TEXTS = (
    "The quick brown fox jumps over 12 lazy dogs.",
    "안녕하세요, 한국어 문장입니다. Mixed 한글 and English: 3.14% 😀",
    "    indented\n\n\tlines",
)
_ASK: Message = {"role": "user", "content": "한국의 수도는 어디입니까?"}
_SAY: Message = {"role": "assistant", "content": "서울입니다.\n\n  Seoul, 1394."}
_DIALOGS: tuple[tuple[Message, ...], ...] = (
    (_ASK, _SAY),
    ({"role": "system", "content": "Answer in Korean."}, _ASK, _SAY),
    (_ASK, _SAY, {"role": "user", "content": "  and 부산? "}, {**_SAY, "content": "네 😀"}),
)


def copy_tokenizer(source: Path, out: Path) -> None:
    """Copy a tokenizer's folder without the weights: its files, configurations and card."""
    copy_files(source, out, (*TOKENIZER_FILES, CONFIG, GENERATION, CARD))


def taught(folder: ModelFolder) -> str:
    """The template that what is made of a folder goes on with; plain where it has none."""
    said = folder.card.template
    if said is None and folder.base is not None:
        return taught(folder.base)
    return said or (OWN if folder.has_template else "plain")


def hand_over(out: Path, source: ModelFolder, card: Card, jinja: str | None = None) -> None:
    """Write tokenizer, template, stop ids and card beside weights, and prove the ids.

    Args:
        out: the folder, with weights and configuration.
        source: whose tokenizer, and own template, the model was trained with.
        card: what the card shall say; its template is the one of training.
        jinja: an own template in the place of the source's.

    Raises:
        BadData: transformers would read the folder with other ids than training had.
    """
    if not has_tokenizer(source.tokenizer_path):
        write_card(out, card)
        return
    copy_files(source.tokenizer_path, out, TOKENIZER_FILES)
    write_card(out, card)
    if jinja is not None:
        _own(out, jinja)
    folder = ModelFolder(out, card, source if card.method != "full" else None)
    trained = folder.encoder(card.template or OWN)
    if not (out / CONFIG).is_file():
        # The class may depend on a configuration, which an adapter's folder does not hold.
        used = type(folder.plain_tokenizer).__name__
        _settings(out, tokenizer_class=GENERIC if used == "TokenizersBackend" else used)
    fault = ""
    for _ in _forms(out, trained):
        fault = difference(plain(out), trained)
        if not fault:
            break
    else:
        raise BadData(f"{out} would be handed over with other ids than training had: {fault}")
    write_stops(out, trained.stop_ids)


def _forms(out: Path, trained: "ChatEncoder") -> Iterator[None]:
    """The ways to write a template and tokenizer for transformers, the most faithful first."""
    name, bos = trained.template, trained.tokenizer.bos_id
    pieces = trained.tokenizer.source == PIECES
    if not pieces:
        _begin(out, bos)
    if name == OWN:
        if pieces and not (out / FAST).is_file():
            write_fast(out, bos)
        yield
        return
    said = read_json(out / TOKENIZER_CONFIG).get("tokenizer_class")
    for kind in (GENERIC,) if pieces else (said, GENERIC):
        if pieces:
            write_fast(out, bos)
        elif kind == GENERIC:
            _keep_spaces(out)
        if kind != said:
            _settings(out, tokenizer_class=kind)
        for form in jinja_forms(name, bos):
            _own(out, form)
            yield


def _begin(out: Path, bos: int | None) -> None:
    """Let a `tokenizer.json` put BOS in front itself; transformers 5 heeds no setting for it."""
    if bos is None:
        return
    fast = filed(out)
    if fast.encode("a").ids[:1] == [bos]:
        return
    put_in_front(fast, fast.id_to_token(bos), bos)
    save_fast(fast, out)


def _keep_spaces(out: Path) -> None:
    """Let a `tokenizer.json` of SentencePiece's kind keep the leading spaces of texts."""
    tree = read_json(out / FAST)
    before = tree.get("pre_tokenizer") or {}
    if before.get("type") != "Metaspace" or before.get("prepend_scheme") != "first":
        return
    space = before["replacement"]
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": space}
    steps = [{"type": "Prepend", "prepend": space}, replace]
    tree |= {"normalizer": {"type": "Sequence", "normalizers": steps}, "pre_tokenizer": None}
    write_tree(out, tree)


def _own(out: Path, jinja: str) -> None:
    """Make a Jinja text the only chat template of a folder."""
    (out / TEMPLATE_FILE).write_text(jinja, encoding="utf-8")
    if "chat_template" in read_json(out / TOKENIZER_CONFIG):
        _settings(out, chat_template=None)


def _settings(out: Path, **changes: Any) -> None:
    """Change settings of a tokenizer; None removes one."""
    tree = {**read_json(out / TOKENIZER_CONFIG), **changes}
    gone = {name for name, value in changes.items() if value is None}
    write_json(out / TOKENIZER_CONFIG, {k: v for k, v in tree.items() if k not in gone})


def difference(plain: Any, trained: "ChatEncoder") -> str:
    """What transformers encodes otherwise than training did, in one sentence; empty if nothing."""
    for text in _TEXTS:
        ours, theirs = trained.tokenizer.begun(text), list(plain(text).input_ids)
        theirs = theirs[:-1] if theirs[-1:] == [plain.eos_token_id] else theirs
        if ours != theirs and not _space_lost(text, ours, theirs, trained):
            return _told(text, ours, theirs)
    for dialog in _DIALOGS:
        try:
            taught_ids = trained.on(date.today()).encode(dialog).ids
        except BadData:
            continue  # the template cannot write it
        read = render_ids(plain, [dict(m) for m in dialog])
        if taught_ids != read and not _parted(plain, trained, dialog, taught_ids, read):
            return _told(dialog[-1]["content"], taught_ids, read)
    return ""


def _parted(
    plain: Any,
    trained: "ChatEncoder",
    dialog: Sequence[Message],
    ours: Sequence[int],
    theirs: Sequence[int],
) -> bool:
    """Whether prompts and texts are equal, and only tokens across the end of a prompt are not.

    Some tokenizers read a prompt's last white space together with the answer; training keeps the
    prompt as generation has it.
    """
    asked = dialog[: [m["role"] for m in dialog].index("user") + 1]
    prompt = render_ids(plain, [dict(m) for m in asked], add_generation_prompt=True)
    return (
        trained.template not in TEMPLATES
        and trained.on(date.today()).prompt(asked) == prompt
        and plain.decode(ours) == plain.decode(theirs)
    )


def _space_lost(
    text: str, ours: Sequence[int], theirs: Sequence[int], trained: "ChatEncoder"
) -> bool:
    """Whether the only difference is the first of the leading spaces.

    transformers' own class LlamaTokenizer loses it, in the base as in what is made of it.
    """
    skip = 0 if trained.tokenizer.bos_id is None else 1
    return (
        text.startswith(" ")
        and trained.template == OWN
        and trained.tokenizer.decode(ours[skip:]) == " " + trained.tokenizer.decode(theirs[skip:])
    )


def differ_at(ours: Sequence[int], theirs: Sequence[int]) -> int | None:
    """The first place where both have an id, and not the same; None where there is none."""
    pairs = enumerate(zip(ours, theirs, strict=False))
    return next((i for i, (a, b) in pairs if a != b), None)


def _told(text: str, ours: Sequence[int], theirs: Sequence[int]) -> str:
    at = differ_at(ours, theirs) or 0
    return f"{text!r} gives …{theirs[at : at + 4]} in transformers and …{ours[at : at + 4]} here"


def write_stops(out: Path, stop_ids: Sequence[int]) -> None:
    """Let the generation configuration of whole weights name every stop id."""
    if not (out / CONFIG).is_file():
        return
    tree = read_json(out / GENERATION)
    said = tree.get("eos_token_id", read_json(out / CONFIG).get("eos_token_id"))
    known = set(said) if isinstance(said, list) else {said}
    if not set(stop_ids) <= known:
        ids = sorted({*stop_ids, *(i for i in known if isinstance(i, int))})
        write_json(out / GENERATION, {**tree, "eos_token_id": ids})

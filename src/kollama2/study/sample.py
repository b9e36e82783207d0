"""Sample: what rows will hold, from some of them read by the tokenizer that will encode them."""

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from kollama2.data.curriculum import Sizes, wanted
from kollama2.data.fit import fit_chat, fit_text
from kollama2.data.forms import Example
from kollama2.data.read import read
from kollama2.engine.store import Store
from kollama2.errors import Fault
from kollama2.korean import hangul
from kollama2.miniature import base as miniature
from kollama2.model.chat import ChatEncoder
from kollama2.model.files import has_tokenizer
from kollama2.model.folder import ModelFolder
from kollama2.model.gguf.file import Gguf
from kollama2.stages import Encode, Order, Source
from kollama2.stages.costly import bytes_at_hand
from kollama2.stages.models import ChangedTokenizer, TokenizerStage
from kollama2.stages.source import content

ENCODED, COUNTED = 300, 20_000
"""Rows of a source that are encoded, evenly spaced among those that are counted at most."""

_known: dict[str, dict[str, float] | None] = {}  # a plan asks for the same rows many times


def sampled(rows: Encode | Order, store: Store) -> Mapping[str, float] | None:
    """About how many rows, tokens, bytes and ko_bytes encoding will find, and chats to cut.

    None where a source or the tokenizer is not on this machine, or cannot be read: what is wrong
    with it is said by the stage that needs it.
    """
    encoded = rows.rows if isinstance(rows, Order) else (rows,)
    found = [_once(one, store) for one in encoded]
    if None in found:
        return None
    known = [one for one in found if one is not None]
    if isinstance(rows, Order):
        whole = [Sizes(one["tokens"], one["bytes"], one["ko_bytes"]) for one in known]
        taken = wanted(rows.curriculum, whole, rows.bytes, rows.korean_bytes, rows.mix_by)
        known = [
            {name: count * size / max(one["bytes"], 1) for name, count in one.items()}
            for one, size in zip(known, taken, strict=True)
        ]
    return {name: sum(one[name] for one in known) for name in known[0]}


def _once(rows: Encode, store: Store) -> dict[str, float] | None:
    if rows.name not in _known:
        try:
            _known[rows.name] = _sampled(rows, store)
        except Fault:
            _known[rows.name] = None
    return _known[rows.name]


def _sampled(rows: Encode, store: Store) -> dict[str, float] | None:
    tokenizer, left = rows.tokenizer, 1.0
    while isinstance(tokenizer, ChangedTokenizer) and store.record(tokenizer) is None:
        left *= tokenizer.left
        tokenizer = tokenizer.tokenizer
    sources = [
        (one, place)
        for one in rows.sources
        if isinstance(one, Source) and (place := _place(one, store)) is not None
    ]
    with TemporaryDirectory() as scratch:
        folder = _folder(tokenizer, store, Path(scratch))
        if folder is None or len(sources) < len(rows.data):
            return None
        encoder = ModelFolder.read(folder).encoder(rows.template)
        total = Counter[str]()
        for source, place in sources:
            total.update(_counted(source, place, encoder, rows))
    return {**total, "tokens": left * total["tokens"]}


def _counted(source: Source, place: Path, encoder: ChatEncoder, rows: Encode) -> dict[str, float]:
    most = min(COUNTED, rows.limit or COUNTED)
    usable = (one for one in read(place, source.form, dict(source.columns))
              if isinstance(one, Example))  # fmt: skip
    counted = list(islice(usable, most))
    times = float(len(counted))
    if len(counted) == COUNTED and rows.limit is None and next(usable, None) is not None:
        texts = sum(len(t.encode()) for one in counted for t in encoder.contents(one))
        times *= max(1.0, (bytes_at_hand([source]) or 0) / texts)
    chosen = counted[:: -(-len(counted) // ENCODED)]
    found = Counter[str]()
    for one, encoded in zip(chosen, encoder.encode_batch(chosen, rows.loss), strict=True):
        parts = encoder.contents(one)
        fitted = (fit_chat if encoder.is_chat(one) else fit_text)(encoded, rows.max_length)
        found["cut"] += encoder.is_chat(one) and bool(fitted.change)
        if not fitted.reason:
            found["rows"] += len(fitted.rows)
            found["tokens"] += sum(len(ids) for ids, _, _ in fitted.rows)
            kept = sum(share for _, _, share in fitted.rows)
            found["bytes"] += round(kept * sum(len(part.encode()) for part in parts))
            found["ko_bytes"] += round(kept * sum(map(hangul.hangul_bytes, parts)))
    return {name: count * times / len(chosen) for name, count in found.items()}


def _place(source: Source, store: Store) -> Path | None:
    if source.place is not None:
        return source.place
    return content(store.path(source)) if store.record(source) is not None else None


def _folder(tokenizer: TokenizerStage, store: Store, scratch: Path) -> Path | None:
    """A folder with the tokenizer; that of a GGUF which is not unpacked is written to scratch."""
    if not isinstance(tokenizer, Source):
        return store.path(tokenizer) / "model"
    if tokenizer.uri == "builtin:miniature":
        return miniature.FOLDER
    if store.record(tokenizer) is not None:
        place = content(store.path(tokenizer))
    elif tokenizer.place is not None and tokenizer.place.is_file():
        from kollama2.model.gguf.tokenizer import write_tokenizer

        write_tokenizer(Gguf(tokenizer.place), scratch)
        return scratch
    elif tokenizer.place is not None:
        place = tokenizer.place
    else:
        return None
    return place if has_tokenizer(ModelFolder.read(place).tokenizer_path) else None

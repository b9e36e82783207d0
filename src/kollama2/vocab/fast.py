"""`tokenizer.json` from `tokenizer.model`, with the same ids.

Programs that convert a bare `tokenizer.model` themselves may order its merges by id; Llama 2's
pieces of white space alone have the lowest score in spite of their low ids, so that such programs
(transformers 5 among them) encode indented text differently.
"""

import json
from pathlib import Path

from kollama2.errors import BadData

# The types of pieces in SentencePiece's model file.
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = 1, 2, 3, 4


def write_fast(folder: str | Path) -> Path:
    """Write `tokenizer.json` beside the `tokenizer.model` of a folder, for transformers and others.

    A merge ranks by the score of the piece that it makes, as in SentencePiece's own encoder.

    Returns:
        The file.

    Raises:
        BadData: there is no SentencePiece BPE model in the folder, or it changes texts before it
            encodes them.
    """
    from sentencepiece import sentencepiece_model_pb2
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    path = Path(folder) / "tokenizer.model"
    if not path.is_file():
        raise BadData(f"{folder} holds no tokenizer.model")
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(path.read_bytes())
    if proto.trainer_spec.model_type != proto.trainer_spec.BPE:
        raise BadData(f"{path} is not a BPE model; only those have merges")
    changes = proto.normalizer_spec
    if changes.precompiled_charsmap or changes.remove_extra_whitespaces:
        raise BadData(f"{path} changes texts before it encodes them; keep to tokenizer.model")
    vocab = {one.piece: i for i, one in enumerate(proto.pieces)}
    named = {kind: [o.piece for o in proto.pieces if o.type == kind] for kind in range(1, 7)}
    scores = {one.piece: one.score for one in proto.pieces if one.type == _NORMAL}
    merges = [
        (-score, vocab[piece], piece[:cut], piece[cut:])
        for piece, score in scores.items()
        for cut in range(1, len(piece))
        if piece[:cut] in scores and piece[cut:] in scores
    ]
    fast = Tokenizer(
        models.BPE(
            vocab,
            [(left, right) for _, _, left, right in sorted(merges)],
            unk_token=named[_UNKNOWN][0],
            fuse_unk=True,
            byte_fallback=proto.trainer_spec.byte_fallback,
        )
    )
    prefix = "first" if changes.add_dummy_prefix else "never"
    fast.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prefix, split=False)
    fast.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", int(changes.add_dummy_prefix), 0),
        ]
    )
    special = named[_UNKNOWN] + named[_CONTROL]
    fast.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in special])
    fast.add_tokens([AddedToken(name, normalized=False) for name in named[_USER_DEFINED]])
    target = Path(folder) / "tokenizer.json"
    target.write_text(json.dumps(json.loads(fast.to_str()), ensure_ascii=False), encoding="utf-8")
    return target

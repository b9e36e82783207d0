#!/usr/bin/env bash
# transformers: LlamaTokenizer merges a tokenizer.model's pieces by id, SentencePiece by score.
#
# Expected: a folder that holds a SentencePiece BPE model gives SentencePiece's ids.
# Seen: the conversion orders merges by the ids of their results. Where a later id has the better
# score (white-space pieces of Llama 2) other pieces win. Where pieces share a score, as appended
# ones may, SentencePiece merges the leftmost pair first, which no list of merges can say
# (tokenizers ranks every pair), so that scores alone would not mend it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check transformers==5.23.0 \
    tokenizers==0.23.3 sentencepiece==0.2.3 protobuf==7.36.2 >/dev/null 2>&1
"$work/venv/bin/python" - "$work" <<'PYTHON' 2>/dev/null
import itertools
import json
import sys
from pathlib import Path

import sentencepiece
import tokenizers
import transformers
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer

letters = ["▁", "a", "b", "c"]
cases = {"better": {"ab": -2.0, "bc": -1.0}, "equal": {"ab": -1.0, "bc": -1.0, "ca": -1.0}}
print(f"transformers {transformers.__version__}, sentencepiece {sentencepiece.__version__}")
found = {}
for case, scores in cases.items():
    model = sentencepiece_model_pb2.ModelProto()
    model.trainer_spec.model_type = 2
    for piece, kind in (("<unk>", 2), ("<s>", 3), ("</s>", 3)):
        model.pieces.add(piece=piece, score=0, type=kind)
    for piece, score in {**dict.fromkeys(letters, -9.0), **scores}.items():
        model.pieces.add(piece=piece, score=score, type=1)
    folder = Path(sys.argv[1], case)
    folder.mkdir()
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer"}))
    reference = sentencepiece.SentencePieceProcessor(str(folder / "tokenizer.model"))
    read = AutoTokenizer.from_pretrained(folder)
    text = "abc" if case == "better" else "cab"
    found[case] = (reference.encode(text, out_type=str)[1:], read.tokenize(text)[1:])
    print(f"{scores}: '{text}' is {found[case][0]}, in transformers {found[case][1]}")

vocabulary = {piece: index for index, piece in enumerate([*letters, "ab", "bc", "ca"])}
texts = ["abc", "bca", "cab"]
wanted = [reference.encode(text, out_type=str)[1:] for text in texts]
right = 0
for order in itertools.permutations([("a", "b"), ("b", "c"), ("c", "a")]):
    merged = Tokenizer(models.BPE(vocabulary, list(order)))
    right += [merged.encode(text).tokens for text in texts] == wanted
print(f"tokenizers {tokenizers.__version__}: of six orders of these merges {right} give {wanted}")
expected = {"better": (["a", "bc"], ["ab", "c"]), "equal": (["ca", "b"], ["c", "ab"])}
sys.exit(found != expected or right != 0)
PYTHON
echo "unchanged: merges follow ids, and equal scores cannot be said"

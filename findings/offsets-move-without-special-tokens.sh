#!/usr/bin/env bash
# tokenizers: the post-processor ByteLevel changes offsets although add_special_tokens is False.
#
# Expected: `encode(text, add_special_tokens=False)` leaves the post-processor out, whose work is to add
# special tokens; offsets then say which characters each token came from.
# Seen: with `ByteLevel(trim_offsets=True)` (what GPT-2's, GPT-NeoX's and many other tokenizer.json
# files hold) the offsets of a token move behind the spaces that it begins with. A loss mask made of
# offsets then leaves out the first space of an answer, or gives it to nobody.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check tokenizers==0.23.3 >/dev/null 2>&1
"$work/venv/bin/python" - <<'PYTHON'
import sys

import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
alphabet = pre_tokenizers.ByteLevel.alphabet()
tokenizer.train_from_iterator(
    ["answer: yes"] * 20, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet)
)


def last(text):
    return tokenizer.encode(text, add_special_tokens=False).offsets[-1]


before = last("answer: yes")
tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
after = last("answer: yes")
print(f"tokenizers {tokenizers.__version__}, add_special_tokens=False")
print("last token without a post-processor:", before)
print("with ByteLevel(trim_offsets=True):  ", after)
sys.exit((before, after) != ((7, 11), (8, 11)))
PYTHON
echo "unchanged: the offsets move by the leading space"

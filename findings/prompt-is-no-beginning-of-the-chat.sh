#!/usr/bin/env bash
# transformers: the ids of a prompt need not be the beginning of the ids of the same chat.
#
# Expected: `apply_chat_template(chat[:-1], add_generation_prompt=True)` is the beginning of
# `apply_chat_template(chat)`, so that rows trained on whole chats begin as generation begins.
# Seen: the texts are, the ids are not. A byte-level tokenizer with GPT-2's pattern (GPT-2, GPT-NeoX,
# SmolLM2) reads the white space at the end of a prompt as one token when nothing follows, and as two
# when an answer does. With a template that ends its prompt in two line breaks (Llama 3's form) it
# happens in every chat: training sees a context that generation never gives.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    transformers==5.23.0 tokenizers==0.23.3 jinja2==3.1.6 >/dev/null 2>&1
"$work/venv/bin/python" - <<'PYTHON' 2>/dev/null
import sys

import tokenizers
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
alphabet = pre_tokenizers.ByteLevel.alphabet()
tokenizer.train_from_iterator(
    ["one\n\ntwo\n\n"] * 20, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet)
)
plain = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
plain.chat_template = (
    "{% for m in messages %}{{ m.role + '\n\n' + m.content + ';' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant\n\n' }}{% endif %}"
)
chat = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
whole = plain.apply_chat_template(chat, return_dict=False)
prompt = plain.apply_chat_template(chat[:1], add_generation_prompt=True, return_dict=False)
text = plain.apply_chat_template(chat, tokenize=False)
begins = plain.apply_chat_template(chat[:1], add_generation_prompt=True, tokenize=False)
print(f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}")
print("the prompt's text begins the chat's:", text.startswith(begins))
print("the prompt's ids begin the chat's: ", whole[: len(prompt)] == prompt)
print("end of the prompt:", plain.convert_ids_to_tokens(prompt[-2:]))
print("there in the chat:", plain.convert_ids_to_tokens(whole[len(prompt) - 2 : len(prompt) + 1]))
sys.exit(not text.startswith(begins) or whole[: len(prompt)] == prompt)
PYTHON
echo "unchanged: a prompt's ids are no beginning of the chat's"

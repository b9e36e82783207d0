#!/usr/bin/env bash
# transformers: a function given to a chat template as a variable arrives there as text.
#
# Expected: `apply_chat_template(..., now=function)` hands further keywords to the template, as its
# documentation says, so that `{{ now('%Y') }}` calls the function (a fixed date, for example, in the
# place of the built-in strftime_now).
# Seen: the function has become its own repr, a str; calling it raises TypeError. Numbers, lists and
# dicts arrive as they are, and the environment's own functions can be called.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    transformers==5.23.0 tokenizers==0.23.3 jinja2==3.1.6 >/dev/null 2>&1
"$work/venv/bin/python" - <<'PYTHON'
import sys

import transformers
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

plain = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE({"a": 0}, [])))
chat = [{"role": "user", "content": "a"}]


def shown(template, **variables):
    try:
        return plain.apply_chat_template(chat, chat_template=template, tokenize=False, **variables)
    except TypeError as error:
        return f"TypeError: {error}"


kind = shown("{{ now is callable }} {{ now is string }}", now=lambda form: "2024")
called = shown("{{ now('%Y') }}", now=lambda form: "2024")
builtin = shown("{{ strftime_now('%Y') | length }}")
listed = shown("{{ now[1] + 1 }}", now=[1, 2])
print(f"transformers {transformers.__version__}")
print(f"callable, string: {kind}")
print(f"called: {called}")
print(f"strftime_now can be called: {builtin} digits; a list arrives as a list: {listed}")
expected = ("False True", "TypeError: 'str' object is not callable", "4", "3")
sys.exit((kind, called, builtin, listed) != expected)
PYTHON
echo "unchanged: functions become text on their way into a chat template"

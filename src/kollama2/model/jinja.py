"""The chat templates as Jinja, for the model folders that other programs read."""

import json
import re
from collections.abc import Iterator

from kollama2.errors import BadUsage
from kollama2.model.templates import FORMS, TEMPLATES, Template

_SHAPE = """\
{%- set said = namespace(system=none, turns=0) -%}
{%- for message in messages -%}
{%- if message.role == 'system' and loop.first -%}
{%- set said.system = message.content -%}
{%- elif message.role == ('user', 'assistant')[said.turns % 2] -%}
{%- if message.role == 'user' -%}
{%- set input = (message.input or '') | trim -%}
{%- set content = message.content -%}
@MERGE@
{%- set before = '' -%}
{%- if said.turns == 0 -%}
{%- set system = said.system -%}
{%- if system is none -%}
{%- set system = @DEFAULT@ -%}
{%- endif -%}
@STRIP@
{%- if system -%}
{%- set before = @SYSTEM@ -%}
{%- endif -%}
{%- endif -%}
@INSIDE@
{%- set content = content | trim -%}
{%- if @BOS@ -%}{{ bos_token }}{%- endif -%}
{{ @GAP@ + before + @TURN@ }}
{%- else -%}
{%- set content = message.content | trim -%}
{{ @ANSWER@ + eos_token }}
{%- endif -%}
{%- set said.turns = said.turns + 1 -%}
{%- else -%}
{{ raise_exception('after an optional system message, user and assistant must take turns') }}
{%- endif -%}
{%- endfor -%}
"""


def jinja_template(template: str, *, dummy_prefix: bool = True, bos: bool = True) -> str:
    """Return a template as Jinja that gives the ids of `ChatEncoder` through transformers.

    Args:
        template: one of `templates.TEMPLATES`.
        dummy_prefix: the tokenizer begins texts with a space of its own (SentencePiece); after a
            control token it has to be written out.
        bos: the tokenizer begins texts with BOS; some name one that they never put in front.

    Raises:
        BadUsage: there is no such template.
    """
    if template not in TEMPLATES:
        raise BadUsage(f"there is no template {template!r}; there are {', '.join(TEMPLATES)}")
    pieces = _pieces(TEMPLATES[template])
    if not bos:
        pieces["BOS"] = "false"
    pieces["GAP"] = _literal(" " if dummy_prefix else "")
    text = re.sub("@([A-Z]+)@", lambda hit: pieces[hit[1]], _SHAPE)
    return "".join(line.strip() for line in text.splitlines())


def jinja_forms(template: str, bos: int | None) -> Iterator[str]:
    """The texts that may say a template by name in transformers; ids tell which of them does.

    Args:
        template: a name other than "own".
        bos: what the tokenizer begins texts with.

    Raises:
        BadUsage: there is no such template.
    """
    if template in FORMS:
        yield FORMS[template].jinja
        return
    for gap in (False, True):
        yield jinja_template(template, dummy_prefix=gap, bos=bos is not None)


def _pieces(template: Template) -> dict[str, str]:
    turn, default = _expression(template.turn), _literal(template.default)
    merge = "{%- if input -%}{%- set content = content | trim + '\\n' + input -%}{%- endif -%}"
    if template.turn_input:
        turn = f"({_expression(template.turn_input)} if input else {turn})"
        default = f"({_literal(template.default_input)} if input else {default})"
        merge = ""
    inside = "{%- set content = before + content -%}{%- set before = '' -%}"
    return {
        "MERGE": merge,
        "DEFAULT": default,
        "SYSTEM": _expression(template.system),
        "INSIDE": inside if template.system_inside else "",
        "STRIP": "" if template.system_inside else "{%- set system = system | trim -%}",
        "BOS": "true" if template.bos_each_turn else "said.turns == 0",
        "TURN": turn,
        "ANSWER": _expression(template.answer),
    }


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _expression(shape: str) -> str:
    """Turn `a {content} b` into the Jinja expression `"a " + content + " b"`."""
    parts = re.split(r"\{(\w+)\}", shape)
    terms = [part if i % 2 else _literal(part) for i, part in enumerate(parts)]
    return "(" + " + ".join(term for term in terms if term != '""') + ")"

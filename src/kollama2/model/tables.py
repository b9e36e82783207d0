"""Tables of a model: its embeddings and its head, by whatever names its family gives them.

Llama has `model.embed_tokens` and `lm_head`, GPT-NeoX `gpt_neox.embed_in` and `embed_out`, wrappers
have theirs inside. So nothing knows a name: a model in memory is asked, and for weights in a file
its class, which says what may be tied to what.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple


class Tables(NamedTuple):
    """Names of the embeddings and of the head."""

    embed: str
    head: str


def table_names(model: Any) -> Tables:
    """The last names of both modules of a model in memory, such as embed_tokens and lm_head."""
    places = {id(module): name for name, module in model.named_modules(remove_duplicate=False)}
    embed, head = model.get_input_embeddings(), model.get_output_embeddings()
    return Tables(*(places[id(module)].rpartition(".")[2] for module in (embed, head)))


def of_table(parameter: str, tables: Tables) -> Literal["embed", "head"] | None:
    """Which table a parameter belongs to, by its name; None for the body."""
    parts = parameter.split(".")
    if tables.embed in parts:
        return "embed"
    return "head" if tables.head in parts else None


def tied(model: Any) -> bool:
    """Whether the head of a model in memory is its embeddings."""
    embed, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    return bool(embed.data_ptr() == head.data_ptr())


def tensor_names(shapes: Mapping[str, Sequence[int]], model_class: type) -> Tables:
    """The names of both tensors in files; those of a tied model may hold no head.

    Args:
        shapes: of all tensors of a model folder, by name.
        model_class: of the model, in transformers.
    """
    ties = getattr(model_class, "_tied_weights_keys", None) or {}
    head, embed = next(
        ((_last(h), _last(e)) for h, e in ties.items() if h.endswith(".weight")),
        ("lm_head.weight", "embed_tokens.weight"),
    )
    embed = next((name for name in shapes if _last(name) == embed), embed)
    others = [name for name, shape in shapes.items() if shape == shapes.get(embed)]
    # GPT-NeoX's `embed_out` is an `lm_head` once it is loaded: then the shape tells it.
    for name in sorted(others, key=lambda name: _last(name) != head):
        if name != embed:
            return Tables(embed, name)
    return Tables(embed, head)


def _last(name: str) -> str:
    """The last two parts of a name: a module and its parameter."""
    return ".".join(name.rsplit(".", 2)[-2:])

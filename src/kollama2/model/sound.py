"""Sound: whether weights, configuration and model belong together, and whether the model computes.

What is refused here would else end in an error of a library far from its cause, take all memory, or
give a model that speaks, and is wrong.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig
from transformers.initialization import no_init_weights

from kollama2.errors import BadData, Notice
from kollama2.model.files import CONFIG, read_json
from kollama2.model.reading import reading
from kollama2.model.stored import finite, opened

_SPARE = 1 << 26  # numbers of a table or a mask, 256 MB
_COUNTS_LAYERS = re.compile(r"(?!max_)(\w+_)?(layers?|depth)")
_LAYER = re.compile(r"\.\d+\.")
_DAMAGED = f"; its weights or its {CONFIG} are damaged, so fetch it again"


def configuration(folder: Path) -> Any:
    """The transformers configuration of a folder.

    Raises:
        BadData: transformers cannot read it.
    """
    with reading(folder, f"holds a {CONFIG} that transformers cannot read"):
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def check_size(folder: Path, model_class: Any) -> None:
    """Refuse a configuration of more parameters than the files hold, before it takes memory.

    A few too many are named one by one when they are missed.
    """
    raw = read_json(folder / CONFIG)
    with opened(folder) as files:
        numbers = sum(file.numbers(name) for name, file in files.items())
        whole = {name for name, file in files.items() if file.dtype(name) is None}
    if (layers := max(_layers(raw), default=0)) > len(files):
        raise BadData(
            f"{folder}: its {CONFIG} describes {layers:,} layers, and its files hold {len(files)} "
            "tensors; they do not belong together"
        )
    if "quantization_config" in raw:
        return  # packed numbers are fewer
    config = configuration(folder)
    verdict = f"holds a {CONFIG} that describes no model"
    with reading(folder, verdict), torch.device("meta"), no_init_weights():
        model = model_class(config)
        asked = sum(weight.numel() for weight in (*model.parameters(), *model.buffers()))
    for name, _ in model.named_parameters():
        if name in whole:
            raise BadData(f"{folder} holds whole numbers or bytes in {name}, and no quantisation")
    if asked > 2 * numbers + _SPARE:
        raise BadData(
            f"{folder}: its {CONFIG} describes {asked:,} parameters, and its files hold "
            f"{numbers:,}; they do not belong together"
        )


def _layers(config: Mapping[str, Any]) -> Iterator[int]:
    """How many layers a configuration describes, and those in it."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _layers(value)
        elif isinstance(value, int) and _COUNTS_LAYERS.fullmatch(key):
            yield value


def loaded(folder: Path, kind: Any, **options: Any) -> Any:
    """Whole weights read by a class of transformers, and compared with what the class asks for.

    Args:
        folder: whole weights in safetensors.
        kind: the class, or one of the `AutoModel…`.
        options: further ones of `from_pretrained`.

    Returns:
        A `PreTrainedModel`. Tensors that it does not read are told (`Notice`).

    Raises:
        BadData: transformers cannot load it, or its weights are not those of the model, or a
            parameter or a table of rotary frequencies holds NaN or an infinity.
        Missing: a package or the memory that it needs is not here.
    """
    with reading(folder, "cannot be loaded"):
        model, report = kind.from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # else it draws a table and refuses to say more
            **options,
        )
    _check_report(folder, model, report)
    _check_numbers(folder, model)
    return model


def _check_report(folder: Path, model: Any, report: Mapping[str, Any]) -> None:
    """Refuse weights that are not those of the model, and tell of those that are not read.

    A layer or a bias that is left out in silence gives a model that speaks, and is wrong.
    """
    wrong = sorted(report["mismatched_keys"])
    if wrong:
        name, stored, asked = wrong[0]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise BadData(
            f"{folder}: {name} has the shape {list(stored)}, its {CONFIG} asks for "
            f"{list(asked)}{more}; they do not belong together"
        )
    absent = sorted(report["missing_keys"])
    if absent:
        raise BadData(f"{folder} lacks {len(absent)} weights of its model, such as {absent[0]}")
    kinds = {_LAYER.sub(".#.", name).rpartition(".")[0] for name, _ in model.named_parameters()}
    others = sorted(report["unexpected_keys"])
    for name in others:
        if _LAYER.sub(".#.", name).rpartition(".")[0] in kinds:
            raise BadData(
                f"{folder} holds {name}, which the model that its {CONFIG} describes does not "
                "have; they do not belong together"
            )
    tell_unread(folder, others)


def tell_unread(folder: Path, names: Sequence[str]) -> None:
    """Warn of tensors of a folder that are not read, if there are any (`Notice`)."""
    if names:
        warnings.warn(
            f"{folder} holds {len(names)} tensors that are not read, such as {names[0]}",
            Notice,
            stacklevel=1,  # the place of this line for every caller, so that it is told once
        )


def _check_numbers(folder: Path, model: Any) -> None:
    """Refuse weights that are no numbers, where they have just been read, and such angles."""
    tables = ((name, one) for name, one in model.named_buffers() if name.endswith("inv_freq"))
    for name, weight in chain(model.named_parameters(), tables):
        own = (weight.to_local() if hasattr(weight, "to_local") else weight).detach()
        if not finite(own):
            raise BadData(f"{folder}: {name} holds NaN or infinities{_DAMAGED}")


def try_once(model: Any, folder: Path | None = None) -> None:
    """Let a model read some tokens: what cannot run shall not wait for the first batch to say it.

    A norm's epsilon below zero gives NaN, zeros everywhere give one constant. There are sixteen,
    because torch's fused attention on a CPU hides NaN in fewer keys than a vector register holds.

    Args:
        model: on its device, in evaluation mode.
        folder: where it comes from; that of its base if not given.

    Raises:
        BadData: what it computes is no distribution over its tokens.
        Missing: a kernel that it needs is not installed.
    """
    folder = folder or Path(model.config.name_or_path)
    rows = model.get_input_embeddings().weight.shape[0]
    ids = torch.tensor([[rows * n // 17 for n in range(1, 17)]], device=model.device)
    with reading(folder, "cannot be run"), torch.no_grad():
        logits = model(input_ids=ids, use_cache=False).logits.float()
    if not finite(logits):
        raise BadData(f"{folder} gives NaN or infinities{_DAMAGED}")
    if logits.min() == logits.max():
        raise BadData(f"{folder} gives every token the same logit{_DAMAGED}")

"""Adapter: an adapter's folder put on the model that it belongs to."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kollama2.errors import BadData, Notice
from kollama2.model.files import ADAPTER, ADAPTER_CONFIG, read_json
from kollama2.model.reading import reading, said
from kollama2.model.sound import tell_unread, try_once
from kollama2.model.stored import opened
from kollama2.model.tables import of_table, table_names, tied


def adapter_of(model: Any, folder: Path, name: str = "default") -> Any:
    """An adapter's folder on the model that it belongs to.

    Args:
        model: whole weights, or what this returned for another adapter.
        folder: of the adapter.
        name: by which PEFT tells several adapters apart.

    Raises:
        BadData: it does not belong there, or is of a kind that adds no weights to a model.
    """
    from peft import PeftModel

    if not (folder / ADAPTER).is_file():
        raise BadData(f"{folder} holds no {ADAPTER}; pickled adapters are never read")
    _check_adapter(folder)
    _fit_rows(model, folder)
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        with reading(folder, "is an adapter that does not fit its base"):
            if isinstance(model, PeftModel):
                found = model
                found.load_adapter(folder, name, torch_device=str(model.device))
            else:
                found = PeftModel.from_pretrained(model, folder, name)
    kind = found.peft_config[name]
    if kind.is_prompt_learning:
        raise BadData(
            f"{folder} is an adapter of the kind {kind.peft_type.value}, which puts tokens before "
            "a prompt; those that change weights are read, such as LoRA"
        )
    _check_names(found, folder, name)
    for remark in remarks:
        if issubclass(remark.category, UserWarning):
            text = said(UserWarning(remark.message))
            warnings.warn(f"{folder}: PEFT says: {text}", Notice, stacklevel=1)
    try_once(found.eval(), folder)
    return found


def _check_names(found: Any, folder: Path, name: str) -> None:
    """Refuse an adapter that lacks weights, and tell of those that are not read."""
    from peft import get_peft_model_state_dict

    stated = get_peft_model_state_dict(found, adapter_name=name, save_embedding_layers=False)
    ours = set(stated)
    with opened(folder, [folder / ADAPTER]) as files:
        stored = set(files)
    if absent := sorted(ours - stored):
        raise BadData(f"{folder} lacks {len(absent)} weights of its adapter, such as {absent[0]}")
    tables = table_names(found)
    tell_unread(folder, sorted(one for one in stored - ours if of_table(one, tables) is None))


def _check_adapter(folder: Path) -> None:
    """Refuse weights that are no numbers, and a rank that they do not have."""
    settings = read_json(folder / ADAPTER_CONFIG)
    said = settings.get("r")
    said = said if isinstance(said, dict) else {"": said}  # one for each module, of some kinds
    asked = (*said.values(), *(settings.get("rank_pattern") or {}).values())
    rank = max((one for one in asked if isinstance(one, int)), default=0)
    with opened(folder, [folder / ADAPTER]) as files:
        largest = max((n for name, one in files.items() for n in one.shape(name)), default=0)
        if wrong := [name for name, file in files.items() if file.dtype(name) is None]:
            raise BadData(f"{folder} holds {wrong[0]} in numbers that are not floating")
        live = [bool(file.get(name).any()) for name, file in files.items()]  # all, for their NaN
    if rank > largest:
        raise BadData(
            f"{folder}: {ADAPTER_CONFIG} says a rank of {rank}, which its weights do not have; "
            "they do not belong together"
        )
    if not any(live):
        raise BadData(f"{folder} is an adapter whose weights are all zero; fetch it again")


def _fit_rows(model: Any, folder: Path) -> None:
    """Give a base as many rows as the tables have that an adapter brings.

    Who added tokens before training saved both tables with the adapter, and no larger base.
    """
    tables = table_names(model)
    with opened(folder, [folder / ADAPTER]) as files:
        brought = {
            table: file.shape(name)[0]
            for name, file in files.items()
            if name.endswith(".weight") and "lora_" not in name and file.shape(name)
            if (table := of_table(name, tables))
        }
    have = int(model.get_input_embeddings().weight.shape[0])
    rows = max(brought.values(), default=have)
    if rows == have:
        return
    if len(brought) == 1 and not tied(model):
        (table,) = brought
        raise BadData(
            f"{folder} was trained with {rows} tokens on a base of {have}, and brings the rows of "
            f"its {'embeddings' if table == 'embed' else 'head'} only; save both tables with it"
        )
    model.resize_token_embeddings(rows, mean_resizing=False)


@contextmanager
def quiet_peft() -> Iterator[None]:
    """PEFT 0.21 asks transformers 5 for a property by its old name."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is", FutureWarning)
        yield

"""Adapter: an adapter's folder put on the model that it belongs to."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kollama2.errors import BadData, Notice
from kollama2.model.card import read_card
from kollama2.model.files import ADAPTER, ADAPTER_CONFIG, read_json
from kollama2.model.grow import grow, weights_hash
from kollama2.model.reading import reading, said
from kollama2.model.sound import tell_unread, try_once
from kollama2.model.stored import Opened, opened
from kollama2.model.tables import of_table, table_names, tied

ROWS = "new_rows.safetensors"
"""Lies beside an adapter whose base grew: the rows of the new tokens, as they were before it."""


def adapter_of(model: Any, folder: Path, base: Path, name: str = "default") -> Any:
    """An adapter's folder on the model that it belongs to.

    Args:
        model: the base in memory, or what this returned for another adapter; a base grows if it is
            the one from before the vocabulary grew.
        folder: the adapter.
        base: the folder of the base.
        name: by which PEFT tells several adapters apart.

    Returns:
        A `PeftModel` in evaluation mode.

    Raises:
        BadData: it does not belong there, or is of a kind that adds no weights to a model.
    """
    from peft import PeftModel

    if not (folder / ADAPTER).is_file():
        raise BadData(f"{folder} holds no {ADAPTER}; pickled adapters are never read")
    if before_growth(folder, base):
        _grow(model, folder, base)
    with opened(folder, [folder / ADAPTER]) as files:
        _check_adapter(folder, files)
        _fit_rows(model, folder, files)
        stored = set(files)
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
    _check_names(found, folder, stored, name)
    for remark in remarks:
        if issubclass(remark.category, UserWarning):
            text = said(UserWarning(remark.message))
            warnings.warn(f"{folder}: PEFT says: {text}", Notice, stacklevel=1)
    try_once(found.eval(), folder)
    return found


def before_growth(adapter: Path, base: Path) -> bool:
    """Whether a base is the model from before the vocabulary of an adapter grew.

    PEFT saves the embeddings of such an adapter but cannot load it on a base of the old size,
    because nothing in it says how the base grew. Ours carries the first rows of the new pieces and
    the hash of the weights that they were added to.
    """
    grown = read_card(adapter).vocabulary
    if grown is None or not (adapter / ROWS).is_file():
        return False
    # A pruned base has a vocabulary of its own, which ended where the new rows begin.
    before = read_card(base).vocabulary
    return before is None or before.size <= grown.first


def _grow(model: Any, adapter: Path, base: Path) -> None:
    about, found = read_card(adapter).vocabulary, weights_hash(base)
    assert about is not None, "it grew"
    if found != about.base:
        raise BadData(
            f"{adapter} was trained on weights {(about.base or '(none)')[:12]}, but {base} holds "
            f"{found[:12]}; name the base that its vocabulary was added to"
        )
    with (
        reading(adapter, f"holds {ROWS} that do not fit the vocabulary of its card"),
        opened(adapter, [adapter / ROWS]) as files,
    ):
        rows = {name: file.get(name) for name, file in files.items()}
        ids = list(range(about.first, about.size))
        grow(model, about.first, ids, rows["embed"], rows.get("head"), about.size)


def _check_names(found: Any, folder: Path, stored: set[str], name: str) -> None:
    """Refuse an adapter that lacks weights, and tell of those that are not read."""
    from peft import get_peft_model_state_dict

    ours = set(get_peft_model_state_dict(found, adapter_name=name, save_embedding_layers=False))
    if absent := sorted(ours - stored):
        raise BadData(f"{folder} lacks {len(absent)} weights of its adapter, such as {absent[0]}")
    tables = table_names(found)
    tell_unread(folder, sorted(one for one in stored - ours if of_table(one, tables) is None))


def _check_adapter(folder: Path, files: Mapping[str, Opened]) -> None:
    """Refuse weights that are no numbers, and a rank that they do not have."""
    settings = read_json(folder / ADAPTER_CONFIG)
    said = settings.get("r")
    said = said if isinstance(said, dict) else {"": said}  # one for each module, of some kinds
    asked = (*said.values(), *(settings.get("rank_pattern") or {}).values())
    rank = max((one for one in asked if isinstance(one, int)), default=0)
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


def _fit_rows(model: Any, folder: Path, files: Mapping[str, Opened]) -> None:
    """Give a base as many rows as the tables have that an adapter brings.

    Who added tokens before training saved both tables with the adapter, and no larger base.
    """
    tables = table_names(model)
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

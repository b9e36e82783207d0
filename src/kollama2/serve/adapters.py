"""Adapters that share the base of a served model: weights, rows and cache are held once.

Each row of a step goes through its own adapter, as PEFT computes batches of several of them.
"""

import copy
from collections.abc import Mapping
from pathlib import Path

import torch

from kollama2.engine.hub import PREFIX
from kollama2.errors import BadData, BadUsage
from kollama2.llama.generation import BASE
from kollama2.llama.talk import encoder_of
from kollama2.model.adapter import adapter_of
from kollama2.model.card import read_card
from kollama2.model.files import ADAPTER_CONFIG, CONFIG, read_json, weights_id
from kollama2.model.find import Mirrors, find_folder
from kollama2.model.folder import HUB_NAME, ModelFolder, is_adapter
from kollama2.model.gguf.convert import Tell
from kollama2.model.reading import reading
from kollama2.serve.model import Model, try_template

_NEAR = 1e-3
"""Logits of a row beside others and alone differ by what is rounded, in parts of the largest."""


def open_adapters(
    base: Model, place: str, adapters: Mapping[str, str], mirrors: Mirrors, tell: Tell
) -> list[Model]:
    """Models that are adapters on one that is served.

    Args:
        base: the model, which nobody asks yet.
        place: where it comes from, as `open_model` was told.
        adapters: their places by their names.
        mirrors: as for `open_model`.
        tell: receives what is said of loading.

    Raises:
        BadUsage: the base is an adapter itself, or in Meta's form.
        BadData: an adapter does not belong to this base, has other tokens, is damaged, or is of a
            kind whose rows cannot share steps.
    """
    beneath = ModelFolder.read(find_folder(place, mirrors, tell))
    if beneath.base is not None or not (beneath.path / CONFIG).is_file():
        raise BadUsage(f"{place} is an adapter or in Meta's form; adapters go on whole weights")
    found = []
    for number, (name, where) in enumerate(adapters.items()):
        path = find_folder(where, mirrors, tell)
        if not is_adapter(path):
            raise BadUsage(f"{path} is no adapter; serve it as a model of its own")
        _check_base(path, beneath.path, place, tell)
        folder = ModelFolder.read(path, beneath.path)
        if folder.tokenizer.vocabulary() != beneath.tokenizer.vocabulary():
            raise BadData(f"{path} has other tokens than its base; serve it as a model of its own")
        if folder.card.quantization:
            tell(f"{name} was fitted to 4-bit weights and stands on unquantised ones here")
        found.append(_put(base, name, folder, f"adapter{number:04}"))
    return found


def _check_base(adapter: Path, base: Path, place: str, tell: Tell) -> None:
    """Refuse an adapter of other weights, by its card, or by the base that it names."""
    name = str(read_json(adapter / ADAPTER_CONFIG).get("base_model_name_or_path") or "")
    known = read_card(adapter).base_weights
    if known is None and name and Path(name).is_dir():
        known = weights_id(Path(name))
    if known is not None:
        wrong = known != weights_id(base)
    else:  # a name on the hub, or a folder of another machine
        same = place == PREFIX + name
        wrong = not same and place.startswith(PREFIX) and bool(HUB_NAME.fullmatch(name))
        if not same and not wrong:
            tell(f"{adapter} is an adapter of {name or 'an unnamed base'}; if {place} is another "
                 "one, its answers are worth nothing")  # fmt: skip
    if wrong:
        raise BadData(f"{adapter} is an adapter of other weights than those of {place}; name its "
                      f"own base{f', {name},' * bool(name)} as the model")  # fmt: skip


def _put(base: Model, name: str, folder: ModelFolder, key: str) -> Model:
    """One adapter on the base; what others say stays what it was."""
    from peft import PeftModel

    engine = base.engine
    network = engine.network
    plain = {"adapter_names": [BASE]} if isinstance(network, PeftModel) else {}
    rows = network.get_input_embeddings().weight.shape[0]
    ids = torch.arange(1, rows, max(1, rows // 16), device=network.device)[None]
    with torch.inference_mode():
        before = network(ids, **plain).logits
    network = adapter_of(network, folder.path, folder.root.path, key)
    if network.get_input_embeddings().weight.shape[0] != rows:
        raise BadData(
            f"{folder.path} has other tokens than its base; serve it as a model of its own"
        )
    with (
        reading(folder.path, "is an adapter whose rows cannot share steps with others"),
        torch.inference_mode(),
    ):
        network.set_adapter(key, inference_mode=True)
        alone = network(ids).logits
        both = network(ids.expand(2, -1), adapter_names=[BASE, key]).logits
    wanted = torch.cat([before, alone])
    if (both - wanted).abs().max() > _NEAR * wanted.abs().max():
        raise BadData(
            f"{folder.path} changes its base, or says something else beside others; serve it as a "
            "model of its own"
        )
    talker = copy.copy(base.talker)
    talker.encoder = encoder_of(folder)
    try_template(talker.encoder)
    engine.adapt(key, talker, network)
    return Model(name, talker, engine, base.most, base.length, base.words, key)

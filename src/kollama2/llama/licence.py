"""The licence of Llama 2, which whoever serves it or what was made of it has to keep to."""

import re

from kollama2.llama.convert import is_meta
from kollama2.model.files import CONFIG, read_json
from kollama2.model.find import NONE, Mirrors, find_folder
from kollama2.model.folder import is_adapter, named_base

NOTICE = (
    "Llama 2 is licensed under the LLAMA 2 Community License, Copyright (c) Meta Platforms, Inc. "
    "All Rights Reserved; whoever uses it keeps to its Acceptable Use Policy: "
    "https://ai.meta.com/llama/use-policy"
)
_NAME = re.compile(r"llama[-_ ]?2(?![\d.])", re.IGNORECASE)
_SIZES = {(4096, 32), (5120, 40), (8192, 80)}  # hidden size and layers of 7B, 13B and 70B
_WORDS = 60_000  # Llama 2's 32,000 and what was added; families of the same shape have more


def notice(name: str, mirrors: Mirrors = NONE) -> str | None:
    """What has to be said of a model: of Llama 2 or what was made of it, else None.

    Args:
        name: as for `model.find.find_folder`.
        mirrors: local copies of hub repositories.

    Raises:
        Fault: as `find_folder`.
    """
    folder = find_folder(name, mirrors)
    names = [name, folder.name]
    if is_adapter(folder):
        names.append(str(named_base(folder)))
        folder = find_folder(named_base(folder), mirrors)
    if is_meta(folder) or any(_NAME.search(one) for one in names):
        return NOTICE
    config = read_json(folder / CONFIG)
    size = (config.get("hidden_size"), config.get("num_hidden_layers"))
    same = config.get("model_type") == "llama" and config.get("max_position_embeddings") == 4096
    return NOTICE if same and size in _SIZES and config.get("vocab_size", 0) < _WORDS else None

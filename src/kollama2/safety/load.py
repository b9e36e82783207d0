"""From a name to a classifier."""

from collections.abc import Mapping
from pathlib import Path

from kollama2.errors import BadData, BadUsage
from kollama2.model.files import CONFIG, read_json
from kollama2.model.find import NONE, find_folder
from kollama2.safety.verdict import Classifier

DEFAULT = "default"


def load(
    name: str, threshold: float | None = None, mirrors: Mapping[str, Path] = NONE
) -> Classifier:
    """Load a classifier.

    Args:
        name: "default" for the embedded one; else a folder or `hf:` id of Llama Guard (a causal
            language model) or of a text classifier.
        threshold: score from which a text is unsafe; the embedded classifier's own, or 0.5, where
            it is None.
        mirrors: local copies of hub repositories.

    Raises:
        BadUsage: there is no such folder, the model is of another kind, or its labels do not say
            which of them is safe.
        BadData: it wants to run code of its own, holds no safetensors, or its chat template comes
            to no end.
        Fault: as the hub's and the model's loading.
    """
    if name == DEFAULT:
        from kollama2.safety.embedded import Embedded

        return Embedded(threshold)
    folder = find_folder(name, mirrors)
    if not folder.is_dir():
        raise BadUsage(
            f"there is no classifier {name!r}; name {DEFAULT!r}, a folder or an id hf:owner/name"
        )
    config = folder / CONFIG
    if not config.is_file():
        raise BadData(f"{folder} holds no config.json; it is no model in Hugging Face's form")
    raw = read_json(config)
    if "auto_map" in raw:
        raise BadData(f"{config} asks to run code of its own (auto_map); kollama2 never does that")
    kind = (raw.get("architectures") or ["nothing"])[0]
    limit = 0.5 if threshold is None else threshold
    from kollama2.safety.hugging_face import LlamaGuard, TextClassifier  # they need torch

    if kind.endswith("ForCausalLM"):
        return LlamaGuard(folder, limit)
    if kind.endswith("ForSequenceClassification"):
        return TextClassifier(folder, limit)
    raise BadUsage(f"{folder} holds a {kind}, which is neither Llama Guard nor a text classifier")

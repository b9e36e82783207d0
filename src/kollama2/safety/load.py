"""From a name to a classifier."""

from collections.abc import Mapping
from pathlib import Path

from kollama2.errors import BadUsage
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
        threshold: score from which a text is unsafe; the classifier's own where it is None.
        mirrors: local copies of hub repositories.

    Raises:
        BadUsage: there is no such folder, or the model is of another kind.
        Fault: as the hub's and the model's loading.
    """
    if name == DEFAULT:
        from kollama2.safety.embedded import Embedded

        return Embedded(threshold)
    from kollama2.safety.hugging_face import load_model

    folder = find_folder(name, mirrors)
    if not folder.is_dir():
        raise BadUsage(
            f"there is no classifier {name!r}; name {DEFAULT!r}, a folder or an id hf:owner/name"
        )
    return load_model(folder, threshold)

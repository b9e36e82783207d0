"""Export: a model taken away in the form that another program reads."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kollama2.api.checked import AtLeast1, checked
from kollama2.api.compute import Progress, note, silent
from kollama2.api.places import check_new, mirrors_at, store_at
from kollama2.engine.hub import load_mirrors
from kollama2.exporting.model import Exported
from kollama2.exporting.model import export as write
from kollama2.exporting.push import check_push, publish
from kollama2.model.folder import ModelFolder


@checked
def export(
    model: str | Path | ModelFolder,
    out: str | Path,
    *,
    to: str = "hf",
    kind: str | None = None,
    shards: AtLeast1 | None = None,
    onto: str | Path | None = None,
    licences: Mapping[str, str] | None = None,
    push: str | None = None,
    store: str | Path | None = None,
    mirrors: str | Path | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Take a model away; it is compared with what was trained before the folder gets its name.

    An adapter is merged onto the unquantised weights of its base for every form but `adapter`.

    Args:
        model: model folder, GGUF file, `hf:` id or `builtin:miniature`; a study, whose recommended
            recipe is meant; or `STUDY:RECIPE`.
        out: folder to make; it must be new or empty.
        to: `hf` (transformers, vLLM), `adapter` (as it is), `meta` (consolidated.NN.pth), `gguf`
            (llama.cpp) or `ollama` (GGUF and Modelfile).
        kind: numbers of a GGUF: F32, F16, BF16, Q8_0, Q4_0, or a K-quant (Q4_K_M, Q5_K_M, Q6_K);
            None: F16.
        shards: files of a checkpoint in Meta's form; None: one.
        onto: base of an adapter in the place of the one that it names: also the model from before
            its vocabulary grew.
        licences: of a base and data sets that say none, by uri.
        push: `owner/name` on the hub, where the folder is published with your token.
        store: folder of the results; None: that of `KOLLAMA2_STORE`, else `runs`.
        mirrors: YAML file that maps `hf:` ids to local copies; None: that of `KOLLAMA2_MIRRORS`.
        progress: called with a `note` for each thing that is found out; None: nothing is told.

    Returns:
        The folder, what was found out, and where it is published.

    Raises:
        BadUsage: there is no such model, study or form, or `out` holds something.
        BadData: the model has no such form, or would be another one in it.
        Missing, Denied: something is on a hub that cannot be reached, or refuses.
        TryLater, Corrupt, StorageTrouble: `out` cannot be written, or a stored file is damaged.
    """
    tell = progress or silent
    if push is not None:
        check_push(push)
    check_new(Path(out))
    found = write(
        model,
        Path(out),
        to=to,
        kind=kind,
        shards=shards,
        onto=None if onto is None else str(onto),
        store=store_at(store),
        mirrors=load_mirrors(mirrors_at(mirrors)),
        licences=licences or {},
        public=push is not None,
        tell=lambda text: note(tell, text),
    )
    return found if push is None else replace(found, hub=publish(found.folder, push))

"""Export: a model in the form that another program reads, compared before it gets its name."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from kollama2.engine.commit import MANIFEST, committing, verify
from kollama2.errors import BadData, BadUsage, Missing
from kollama2.exporting.choose import Chosen, choose
from kollama2.exporting.origin import UNKNOWN, hub_base, origins
from kollama2.locale import say
from kollama2.model.card import CARD, write_card
from kollama2.model.files import (
    ADAPTER_CONFIG,
    FAST,
    PIECES,
    has_tokenizer,
    read_json,
    weight_files,
    write_json,
)
from kollama2.model.folder import ModelFolder
from kollama2.model.gguf.convert import Tell

Note = Callable[[str], None]
To = Literal["hf", "adapter", "meta", "gguf", "ollama"]
FORMS: tuple[str, ...] = get_args(To)
_MERGED = "merged"  # an adapter's whole weights, until they are packed
_NEAR_TIE = 0.05
"""Nats: programs sum in another order, so the nearer of two tokens may change below this."""
_APART = 0.05
"""Nats a token from which a merge is told apart from its adapter in a warning."""
# What stands beside a model's safetensors in other forms, and what a hub's client leaves.
_BESIDE = ("*.bin", "*.pt", "*.pth", "*.gguf", "*.h5", "*.msgpack", "*.onnx", ".*", MANIFEST)


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: the new folder.
        name: what the model is called.
        said: what was found out on the way, as sentences.
        figures: the same as numbers, by name.
        hub: where it is published; None where it is not.
    """

    folder: Path
    name: str
    said: tuple[str, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)
    hub: str | None = None


def export(
    model: str | Path | ModelFolder,
    out: Path,
    *,
    to: str = "hf",
    kind: str | None = None,
    shards: int | None = None,
    onto: str | None = None,
    store: Path = Path("runs"),
    mirrors: Mapping[str, Path] = MappingProxyType({}),
    licences: Mapping[str, str] = MappingProxyType({}),
    public: bool = False,
    tell: Tell = lambda text: None,
) -> Exported:
    """Write a model in another program's form; the folder appears whole and compared, or not.

    An adapter is merged onto the unquantised weights of its base for every form but `adapter`.

    Args:
        model: as for `choose`: a model, a study, or `STUDY:RECIPE`.
        out: the folder to make.
        to: `hf` (safetensors), `adapter` (as it is), `meta` (consolidated.NN.pth), `gguf`
            (llama.cpp) or `ollama` (GGUF and Modelfile).
        kind: how a GGUF stores matrices: F32, F16, BF16, Q8_0, Q4_0, or a K-quant (Q4_K_M,
            Q5_K_M, Q6_K); None: F16.
        shards: files of a checkpoint in Meta's form; None: one.
        onto: the base of an adapter, in the place of its own.
        store: the store that knows the study.
        mirrors: local copies of hub repositories.
        licences: of the base and the data, by uri, where nothing else says them.
        public: whether it is to be published; an adapter's base must then be on the hub.
        tell: receives sentences as they are found.

    Returns:
        What was written.

    Raises:
        BadUsage: there is no such model, study or form.
        BadData: the model has no such form, or would be another one in it.
        Missing, Corrupt, Denied, StorageTrouble, TryLater: as `choose` and `committing`.
    """
    from kollama2.exporting.card import write_readme
    from kollama2.exporting.ollama import modelfile
    from kollama2.llama.convert import check_meta, write_meta

    _check_form(to, kind, shards)
    chosen = choose(model, store, onto=onto, mirrors=mirrors, tell=tell)
    said: list[str] = []

    def note(text: str) -> None:
        said.append(text)
        tell(text)

    if chosen.said:
        note(chosen.said)
    made_of = origins(chosen, licences)
    there = [one.uri for one in (*made_of.bases, *made_of.data)]
    for uri in licences:
        if uri not in there:
            raise BadUsage(f"a licence is given for {uri}, and there is: {', '.join(there)}")
    if public and to == "adapter" and chosen.folder.base and hub_base(chosen) is None:
        raise BadUsage(
            f"its base lies at {chosen.folder.base.path.resolve()}, which nobody else has, so the "
            "adapter is not published; take the form hf, or a base of the hub (onto hf:OWNER/NAME)"
        )
    figures: dict[str, Any] = {}
    with committing(out) as partial:
        if to == "adapter":
            _adapter(chosen, partial, out, note)
        elif to == "hf":
            figures |= _whole(chosen.folder, partial, note)
        else:
            whole, figures = _unpacked(chosen.folder, partial, note)
            if to == "meta":
                figures |= write_meta(check_meta(whole.path, shards or 1), partial, shards or 1)
            else:
                path = partial / f"{chosen.name}-{kind or 'F16'}.gguf"
                about: dict[str, Any] = {"name": chosen.name, "languages": ["ko", "en"]}
                about |= {} if made_of.licence == UNKNOWN else {"license": made_of.licence}
                figures |= _packed(whole, path, kind or "F16", about, note)
            if to == "ollama":
                (partial / "Modelfile").write_text(modelfile(path.name, whole), encoding="utf-8")
            shutil.rmtree(partial / _MERGED, ignore_errors=True)
        write_readme(partial, chosen, to, made_of, figures)
    return Exported(out, chosen.name, tuple(said), figures)


def _check_form(to: str, kind: str | None, shards: int | None) -> None:
    from kollama2.model.gguf.kquants import MIXTURES, ggml
    from kollama2.model.gguf.write import KINDS

    if to not in FORMS:
        raise BadUsage(f"there is no form {to!r}; it can be {', '.join(FORMS)}")
    if kind is not None and to not in ("gguf", "ollama"):
        raise BadUsage(f"type {kind} is of a GGUF, and the form is {to}; take gguf or ollama")
    if shards is not None and to != "meta":
        raise BadUsage(f"shards are of Meta's form, and the form is {to}; take meta")
    if kind is not None and kind not in KINDS:
        raise BadUsage(
            f"a GGUF has no type {kind!r}; it can be {', '.join(KINDS)}. Others are made of an F16 "
            "or BF16 file by llama.cpp's own llama-quantize"
        )
    if kind in MIXTURES:
        ggml()  # before an adapter is merged for it


def _adapter(chosen: Chosen, partial: Path, out: Path, note: Note) -> None:
    """An adapter as it is, with the tokenizer that it needs, and its base by a name that holds."""
    folder = chosen.folder
    if folder.base is None:
        raise BadUsage(f"{folder.path} holds whole weights, no adapter; export it with --to hf")
    ignored = shutil.ignore_patterns(*_BESIDE)
    shutil.copytree(folder.path, partial, dirs_exist_ok=True, ignore=ignored)
    base, hub = folder.base.path.resolve(), hub_base(chosen)
    settings = read_json(partial / ADAPTER_CONFIG)
    settings["base_model_name_or_path"] = hub or str(base)
    write_json(partial / ADAPTER_CONFIG, settings)
    if (partial / CARD).is_file():
        beside = None if hub else os.path.relpath(base, out.resolve())
        write_card(partial, folder.card.changed(base=beside))
    if hub is None:
        note(
            say(
                "its base lies at {base}, which others do not have: for them take --to hf",
                base=base,
            )
        )


def _whole(folder: ModelFolder, out: Path, note: Note) -> dict[str, Any]:
    """Whole weights with tokenizer, template and every stop id; an adapter is merged."""
    from kollama2.model.handover import write_stops

    if folder.base is None:
        _check_whole(folder.path)
        ignored = shutil.ignore_patterns(*_BESIDE)
        shutil.copytree(folder.path, out, dirs_exist_ok=True, ignore=ignored)
        stops = folder.encoder().stop_ids if folder.has_template else folder.stop_ids
        write_stops(out, sorted({*stops, *folder.stop_ids}))
        return {}
    return _merged(folder, out, note)


def _check_whole(folder: Path) -> None:
    """Refuse what a copy would hand on: files that changed, NaN, weights without a tokenizer."""
    from kollama2.model.stored import opened

    if (folder / MANIFEST).is_file():
        verify(folder, full=True)
    weight_files(folder)  # refuses a folder without any
    if not has_tokenizer(folder):
        raise BadData(
            f"{folder} holds no {PIECES} and no {FAST}, so nobody could use its weights; put its "
            "tokenizer beside them"
        )
    with opened(folder) as files:
        for name, file in files.items():
            file.get(name)  # refuses NaN and infinities


def _merged(adapter: ModelFolder, out: Path, note: Note) -> dict[str, Any]:
    """Merge an adapter, and say and return how far the merge is from it."""
    from kollama2.exporting.compare import divergence, hear
    from kollama2.model.load import load_folder
    from kollama2.model.write import merge

    assert adapter.base is not None, "an adapter stands on a base"
    merge(adapter.path, out, adapter.base.path)
    whole, fitted = ModelFolder.read(out), adapter.card.quantization
    try:
        trained = hear(load_folder(adapter), whole)
    except Missing as fault:
        note(
            say(
                "merged onto unquantised weights; not compared with the adapter, since {why}",
                why=fault,
            )
        )
        return {}
    nats = divergence(trained, hear(load_folder(whole), whole))
    note(
        say(
            "merged onto the base's unquantised weights: {nats:.2g} nats a token from the adapter "
            "on {form}",
            nats=nats, form=fitted,
        )
        if fitted
        else say(
            "merged onto the base's unquantised weights: {nats:.2g} nats a token from the adapter",
            nats=nats,
        )
    )  # fmt: skip
    if nats > _APART:
        why = say("it was fitted to rounded ones") if fitted else say("its numbers are rounded")
        note(
            say(
                "that is much: measure the merged model itself before you rely on it ({why})",
                why=why,
            )
        )
    return {"divergence": nats}


def _unpacked(folder: ModelFolder, partial: Path, note: Note) -> tuple[ModelFolder, dict[str, Any]]:
    """Whole weights to pack, an adapter's merged beside what is made of them."""
    if folder.base is None:
        return folder, {}
    figures = _merged(folder, partial / _MERGED, note)
    return ModelFolder.read(partial / _MERGED), figures


def _packed(
    whole: ModelFolder, path: Path, kind: str, about: dict[str, Any], note: Note
) -> dict[str, Any]:
    """A GGUF file with what is said about the model, read back and compared."""
    from kollama2.model.gguf.prove import prove
    from kollama2.model.gguf.write import write_gguf

    write_gguf(whole, path, kind, about)
    found = prove(path, whole, kind)
    note(
        say(
            "{file}: {tensors:tensor} and the ids of {lines:line} are the model's own",
            file=path.name, tensors=found.tensors, lines=found.lines,
        )
    )  # fmt: skip
    if found.chats:
        note(
            say(
                "{why}: give llama.cpp the ids of a prompt, or serve the hf form for chats",
                why=found.chats,
            )
        )
    figures = {"lines": found.lines, "tensors": found.tensors}
    return figures | _computed(whole, path, kind, found.exact, note)


def _computed(whole: ModelFolder, path: Path, kind: str, exact: bool, note: Note) -> dict[str, Any]:
    """Bits per byte and greedy tokens of a file beside those of its model."""
    from kollama2.exporting.compare import alike, hear, llama_cpp
    from kollama2.model.gguf.prove import fill
    from kollama2.model.load import load_folder

    with llama_cpp(path) as ask:
        if exact and ask is None:
            return {}  # the same numbers, settings and ids say the same
        model = load_folder(whole)
        own = hear(model, whole)
        figures: dict[str, Any] = {"bits": own.bits}
        if ask is not None:
            figures["llama.cpp"] = _asked(ask, model, whole, own.greedy, exact)
            same, count = figures["llama.cpp"]
            note(
                say(
                    "llama.cpp itself goes on like the model for {same} of {count} greedy tokens",
                    same=same, count=count,
                )
            )  # fmt: skip
    if exact:
        return figures
    fill(model, path)
    file = hear(model, whole)
    same, count = alike(own.greedy, file.greedy)
    figures |= {"file_bits": file.bits, "greedy": (same, count)}
    bits = ", ".join(f"{one} {own.bits[one]:.4f} → {file.bits[one]:.4f}" for one in own.bits)
    note(
        say(
            "bits per byte, model → {kind}: {bits}; {same} of {count} greedy tokens alike",
            kind=kind, bits=bits, same=same, count=count,
        )
    )  # fmt: skip
    return figures


def _asked(
    ask: Any, model: Any, whole: ModelFolder, greedy: list[list[int]], exact: bool
) -> tuple[int, int]:
    """How many greedy tokens llama.cpp gives like the model.

    Raises:
        BadData: the numbers are the model's, and it goes on otherwise where nothing is near a tie.
    """
    from kollama2.exporting.compare import NEW, PROMPTS, alike, gap
    from kollama2.model.handover import differ_at

    found = []
    for prompt, ours in zip(PROMPTS, greedy, strict=True):
        ids = whole.tokenizer.begun(prompt)
        said = ask("/tokenize", content=prompt, add_special=True)["tokens"]
        if said != ids:
            raise BadData(f"llama.cpp reads {prompt!r} as {said}, and the model as {ids}")
        what = {"temperature": 0.0, "return_tokens": True, "cache_prompt": False}
        theirs = ask("/completion", prompt=ids, n_predict=NEW, **what)["tokens"]
        found.append(theirs)
        at = differ_at(ours, theirs)
        if exact and at is not None:
            nats = gap(model, [*ids, *ours[:at]], ours[at], theirs[at])
            if nats > _NEAR_TIE:
                raise BadData(
                    f"llama.cpp goes on from {prompt!r} otherwise than the model from token {at} "
                    f"on, which prefers its own by {nats:.2f} nats; export it as hf"
                )
    return alike(greedy, found)

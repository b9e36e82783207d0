"""Model folders: written after training, merged from an adapter, or made at random."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from kollama2.train.load import ADAPTER, CARD, card, check, root, whole

TOKENIZER_FILES = (
    "tokenizer.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)


def write_model(
    model: Any, out: Path, *, base: Path, method: str, template: str, recipe: dict[str, Any]
) -> None:
    """Write a trained model: whole weights in the dtype of its base, or the adapter in float32.

    Args:
        model: as `prepare` made it.
        out: the folder to write; what is there is replaced.
        base: the model folder that was trained; adapters refer to it by a relative path.
        method: full, lora or qlora.
        template: name of the chat template the rows were encoded with.
        recipe: what else the card of the model shall say.
    """
    fresh(out)
    if method == "full":
        write_whole(model, out, root(base))
        tie: dict[str, Any] = {"quantization": None}
    else:
        relative = os.path.relpath(base.resolve(), out.resolve())
        _write_adapter(model, out, relative)
        tie = {"base": relative, "quantization": "nf4" if method == "qlora" else None}
    copy_tokenizer(base, out)
    if "vocabulary" in card(base):
        tie["vocabulary"] = _vocabulary(card(base)["vocabulary"], model, base, method)
    write_card(out, {"template": template, "method": method, **tie, "recipe": recipe})


def _vocabulary(about: dict[str, Any], model: Any, base: Path, method: str) -> dict[str, Any]:
    """What the card says of a vocabulary that grew: whether its rows learned, and on which base.

    The base from before the growth is forgotten when other weights than an adapter's have moved.
    """
    names = [name for name, weight in model.named_parameters() if weight.requires_grad]
    learned = any("embed_tokens" in name or "lm_head" in name for name in names)
    stands = method != "full" and root(base) == base
    return {
        **about,
        "trained": about["trained"] or learned,
        "base": about["base"] if stands else None,
    }


def merge(folder: Path, out: Path) -> dict[str, Any]:
    """Merge an adapter onto its base and write a standalone model folder.

    The sum is made in float32 onto the stored weights of the base, never onto 4-bit ones, and
    written in the base's dtype. An adapter of QLoRA was fitted to quantised weights, so its merge
    differs from what was trained by the quantisation error; the answer says so.

    Returns:
        `merged_onto` (dtype) and `trained_on` ("nf4" or the same dtype).

    Raises:
        BadData: `folder` is not an adapter with its base.
    """
    about = card(folder)
    source = root(folder)
    stored = check(source).dtype or torch.float32
    model = whole(folder, "float32")
    fresh(out)
    write_whole(model, out, source)
    copy_tokenizer(folder, out)
    recipe = {**about.get("recipe", {}), "merged": about.get("method")}
    write_card(out, {**about, "method": "full", "quantization": None, "recipe": recipe})
    name = str(stored).removeprefix("torch.")
    return {"merged_onto": name, "trained_on": about.get("quantization") or name}


def random_like(folder: Path, out: Path, seed: int) -> None:
    """Write a model of the same shape and tokenizer with fresh random weights (a control)."""
    source = root(folder)
    config = check(source)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(
            config, dtype=torch.float32, trust_remote_code=False
        )
    fresh(out)
    write_whole(model, out, source)
    copy_tokenizer(folder, out)
    about = {"template": card(folder).get("template", "plain"), "method": "full"}
    write_card(out, {**about, "quantization": None, "recipe": {"random": seed}})


def fresh(out: Path) -> None:
    """An empty folder at `out`."""
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)


def write_whole(model: Any, out: Path, source: Path) -> None:
    """Weights in the dtype of `source`; its configuration byte for byte, but for more rows."""
    stored = check(source).dtype or torch.float32
    model.to(stored).save_pretrained(out)
    for name in ("config.json", "generation_config.json"):
        (out / name).unlink(missing_ok=True)
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config", config)
    if text["vocab_size"] != model.get_input_embeddings().weight.shape[0]:
        text["vocab_size"] = model.get_input_embeddings().weight.shape[0]
        content = json.dumps(config, ensure_ascii=False, indent=2)
        (out / "config.json").write_text(content + "\n", encoding="utf-8")
    for path in out.glob("*.safetensors"):
        readable(path)


def _write_adapter(model: Any, out: Path, base: str) -> None:
    """The adapter's weights and configuration, the same bytes in every process."""
    from peft import get_peft_model_state_dict

    weights = get_peft_model_state_dict(model, save_embedding_layers=False)
    # clone: a tied head and its embeddings share memory, which safetensors refuses.
    tensors = {name: w.detach().cpu().clone() for name, w in sorted(weights.items())}
    save_file(tensors, out / ADAPTER, metadata={"format": "pt"})
    readable(out / ADAPTER)
    config = {
        **model.peft_config["default"].to_dict(),
        "base_model_name_or_path": base,
        "inference_mode": True,
    }
    plain = {k: sorted(v) if isinstance(v, set) else v for k, v in config.items()}
    text = json.dumps(plain, indent=2, sort_keys=True)
    (out / "adapter_config.json").write_text(text + "\n", encoding="utf-8")


def copy_tokenizer(source: Path, out: Path) -> None:
    """Copy the tokenizer's files byte for byte."""
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)


def write_card(out: Path, about: dict[str, Any]) -> None:
    """What a reader of the folder cannot see in its weights, as `kollama2.json`."""
    about = {k: v for k, v in about.items() if k != "base" or about["method"] != "full"}
    text = json.dumps(about, ensure_ascii=False, indent=2, sort_keys=True)
    (out / CARD).write_text(text + "\n", encoding="utf-8")


def readable(path: Path) -> None:
    """The mode any new file gets; safetensors writes 0600, unreadable to a server's user."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)

"""What `adapt`, `evaluate` and `complete` do beside a study: one stage, one export, one answer."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from kollama2.errors import BadUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kollama2.engine.stage import Stage


def compute_one(stage: "Stage", store: Path, profile: Path | None, label: str) -> Path:
    """Compute one stage and what it needs; as `compute`."""
    return compute([stage], store, profile, label)[0]


def compute(stages: "Sequence[Stage]", store: Path, profile: Path | None, label: str) -> list[Path]:
    """Compute stages and what they need, with a display; returns their folders.

    Raises:
        Fault: a stage or one of its inputs failed, with that sentence.
    """
    from kollama2.cli.study import launch, load_profile
    from kollama2.engine.failure import fault_of
    from kollama2.engine.graph import plan
    from kollama2.engine.store import Store

    kept = Store(store)
    machine = load_profile(profile, None)
    outcome = launch(plan(stages, kept), store, machine, lambda n: f"{label}: {n.split('-')[0]}")
    if outcome.failed:
        raise fault_of(outcome.exit_code, "; ".join(outcome.failed.values()))
    return [kept.path(stage) for stage in stages]


def export(model: Path, output: Path) -> None:
    """A standalone model folder: an adapter is merged onto its base, whole weights are copied."""
    from kollama2.data.chat import jinja_template
    from kollama2.engine.commit import committing
    from kollama2.train.load import card
    from kollama2.train.save import merge
    from kollama2.vocab.fast import write_fast

    with committing(output) as partial:
        if (model / "adapter_config.json").exists():
            merge(model, partial)
        else:
            shutil.copytree(model, partial, dirs_exist_ok=True)
        if (partial / "tokenizer.model").exists() and not (partial / "tokenizer.json").exists():
            write_fast(partial)  # transformers' own conversion gives other ids in rare cases
        template = card(model).get("template", "plain")
        (partial / "chat_template.jinja").write_text(jinja_template(template), encoding="utf-8")


def answer(model: str, prompt: str, max_new_tokens: int) -> str:
    """Greedy answer of a model folder to one prompt.

    Raises:
        BadUsage: there is no such folder.
    """
    import torch

    from kollama2.data.chat import ChatEncoder
    from kollama2.data.tokenizer import load_tokenizer
    from kollama2.miniature import base
    from kollama2.train.load import card, load_model

    folder = base.FOLDER if model == "builtin:miniature" else Path(model)
    if not folder.is_dir():
        raise BadUsage(f"{model} is not a model folder; give the folder that `adapt` wrote")
    network = load_model(folder)
    tokenizer = load_tokenizer(folder)
    encoder = ChatEncoder(tokenizer, card(folder).get("template", "llama2"))
    ids = torch.tensor([encoder.prompt([{"role": "user", "content": prompt}])])
    with torch.inference_mode():
        longer = network.generate(
            input_ids=ids.to(network.device),
            attention_mask=torch.ones_like(ids).to(network.device),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=list(encoder.stop_ids),
            pad_token_id=tokenizer.pad_id,
        )
    new = [int(i) for i in longer[0, ids.shape[1] :] if int(i) not in encoder.stop_ids]
    return tokenizer.decode(new).strip()

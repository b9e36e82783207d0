"""Columns of weights: trained, killed and resumed, merged, converted."""

import hashlib
import multiprocessing
import shutil
from pathlib import Path

import torch

from kollama2.cli.model import convert as convert_command
from kollama2.model.adapter import quiet_peft
from kollama2.model.load import load_model
from kollama2.train.batches import Rows
from kollama2.train.forward import held_out_loss
from kollama2.train.merging.merge import merge_models
from kollama2.train.merging.settings import MergeSettings
from kollama2.train.record import read
from tests.families.family import (
    STEPS,
    Family,
    far,
    handed_over,
    logits,
    plain_adapter,
    plain_model,
    quiet,
)


def full(family: Family) -> None:
    """All weights learn; transformers loads them by the base's own class, with our logits."""
    folder = family.trained("full")
    _learned(family, "full")
    ids = handed_over(folder)
    ours, theirs = load_model(folder, device="cpu"), plain_model(folder)
    assert type(theirs) is type(plain_model(family.base))
    assert (folder / "config.json").read_bytes() == (family.base / "config.json").read_bytes()
    assert far(logits(ours, ids), logits(theirs, ids)) < 1e-5
    assert far(logits(ours, ids), logits(plain_model(family.base), ids)) > 1e-3


def lora(family: Family) -> None:
    """An adapter learns; peft alone loads it on its base, with our logits."""
    folder = family.trained("lora")
    _learned(family, "lora")
    ids = handed_over(folder)
    ours = logits(load_model(folder, device="cpu"), ids)
    assert far(ours, logits(plain_adapter(family.base, folder), ids)) < 1e-5
    assert far(ours, logits(plain_model(family.base), ids)) > 1e-4


def qlora(family: Family) -> None:
    """An adapter on 4-bit weights learns, and is loaded on 4-bit weights."""
    folder = family.trained("qlora")
    _learned(family, "qlora")
    ids = handed_over(folder)
    ours = load_model(folder, device="cpu")
    kinds = {type(module).__name__ for module in ours.modules()}
    assert "Linear4bit" in kinds
    assert far(logits(ours, ids), logits(plain_model(family.base), ids)) > 1e-3


def _learned(family: Family, method: str) -> None:
    """The loss on all rows is lower than before."""
    assert len(read(family.place / method / "metrics.jsonl")) == STEPS
    rows, models = Rows(family.rows), (family.base, family.trained(method))
    before, after = (held_out_loss(load_model(one, device="cpu"), rows) for one in models)
    assert after < before - 0.02


def kill_and_resume(family: Family) -> None:
    """Killed by SIGKILL and continued, the weights are those of a training without that."""
    out = family.place / "killed"
    given = (3, family.settings("full").model_dump_json(), family.base, family.rows, out)
    from tests.families.killed import train_until

    child = multiprocessing.get_context("forkserver").Process(target=train_until, args=given)
    child.start()
    child.join()
    assert child.exitcode == -9
    assert not (out / "model").exists()
    assert list((out / "scratch").glob("checkpoint-*"))
    family.train("full", out)
    assert _digest(out / "model") == _digest(family.trained("full"))


def _digest(folder: Path) -> dict[str, str]:
    files = sorted(folder.glob("*.safetensors"))
    return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in files}


def merge(family: Family) -> None:
    """The mean of two models is the mean of their weights, and transformers loads it."""
    out = family.place / "merged"
    with quiet():
        merge_models(
            MergeSettings(method="linear", weight=0.5),
            out,
            ours=family.trained("full"),
            others=[family.base],
        )
    named = [dict(plain_model(one).named_parameters()) for one in
             (out, family.trained("full"), family.base)]  # fmt: skip
    mean, one, other = named
    precision = torch.finfo(family.form.dtype).eps
    for name, weight in mean.items():
        expected = (one[name] + other[name]) / 2
        assert torch.allclose(weight, expected, rtol=precision, atol=precision / 8), name
    handed_over(out)


def convert(family: Family) -> None:
    """Adapters become whole models whose weights are peft's merge, and pickles safetensors."""
    out, pickled, unpickled = (family.place / n for n in ("converted", "pickled", "unpickled"))
    with quiet():
        convert_command(str(family.trained("lora")), out)
    handed_over(out)
    with quiet_peft():
        merged = plain_adapter(family.base, family.trained("lora")).merge_and_unload()
    found = dict(plain_model(out).named_parameters())
    for name, weight in merged.named_parameters():
        assert torch.equal(found[name], weight.to(family.form.dtype).float()), name

    shutil.copytree(family.base, pickled, ignore=shutil.ignore_patterns("*.safetensors"))
    state = plain_model(family.base).to(family.form.dtype).state_dict()
    torch.save(state, pickled / "pytorch_model.bin")
    with quiet():
        convert_command(str(pickled), unpickled)
    found = dict(plain_model(unpickled).named_parameters())
    for name, weight in plain_model(family.base).named_parameters():
        assert torch.equal(found[name], weight), name

"""What is done with every family: a function for each column of the table."""

import hashlib
import json
import multiprocessing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from kollama2.cli.chat import complete as complete_command
from kollama2.cli.model import convert as convert_command
from kollama2.cli.tokenizer import expand as expand_command
from kollama2.cli.tokenizer import prune as prune_command
from kollama2.engine.profile import Resources
from kollama2.errors import BadData
from kollama2.evaluation.evaluate import evaluate as evaluate_suite
from kollama2.evaluation.records import load_items
from kollama2.evaluation.suite import Suite
from kollama2.llama.spell import spell
from kollama2.llama.talk import open_talker
from kollama2.model.folder import ModelFolder
from kollama2.model.load import load_model
from kollama2.stages.evaluate import ModelEncoder
from kollama2.stages.growth import grow_model, prune_model
from kollama2.train.batches import Rows
from kollama2.train.forward import held_out_loss
from kollama2.train.merging.merge import merge_models
from kollama2.train.merging.settings import MergeSettings
from kollama2.train.record import read
from kollama2.vocab.prune import PRUNING
from kollama2.vocab.settings import InitSettings
from tests.families.dialogs import NAMES, dialogs
from tests.families.family import (
    CHAT,
    STEPS,
    Family,
    encoder,
    far,
    logits,
    plain_adapter,
    plain_model,
    plain_tokenizer,
    quiet,
)
from tests.family_tokenizers import FOREIGN, lines
from tests.train.conftest import write_rows

KOREAN = [line for line in lines() if not line.isascii()]
ENGLISH = [line for line in lines() if line.isascii()]


def template(family: Family) -> None:
    """200 dialogs have the ids of `apply_chat_template`; see `look_alikes` for the others."""
    same, differ = compared(family)
    assert same + differ == 2 * len(dialogs())
    # What differs holds the name of one of the family's own control tokens as text.
    assert differ == 2 * look_alikes(family)


def compared(family: Family) -> tuple[int, int]:
    """Chats and prompts that have the ids of `apply_chat_template`, and those that have not."""
    folder = family.addressed
    ours, theirs = encoder(folder), plain_tokenizer(folder)
    same = differ = 0
    for dialog in dialogs():
        for prompt in (False, True):
            given = dialog[:-1] if prompt else dialog
            try:
                found = ours.prompt(given) if prompt else ours.encode(given).ids
            except BadData:
                found = None
            if found == _applied(theirs, given, prompt=prompt):
                same += 1
            else:
                differ += 1
    return same, differ


def _applied(tokenizer: Any, dialog: Any, *, prompt: bool) -> list[int] | None:
    """The ids of transformers; None where the template refuses the dialog."""
    from jinja2 import TemplateError

    try:
        ids: list[int] = tokenizer.apply_chat_template(
            [dict(m) for m in dialog], add_generation_prompt=prompt, return_dict=False
        )
    except TemplateError:
        return None
    return ids


def look_alikes(family: Family) -> int:
    """Dialogs in which a user writes the name of a control token, and that can be written."""
    folder = family.addressed
    ours, theirs = encoder(folder), plain_tokenizer(folder)
    names = [name for name in NAMES if name in ours.tokenizer.special]
    control = set(ours.tokenizer.special.values())
    count = 0
    for dialog in dialogs():
        applied = _applied(theirs, dialog, prompt=False)
        if applied is None or not any(n in m["content"] for n in names for m in dialog):
            continue
        count += 1
        plain = [{**m, "content": _without(m["content"])} for m in dialog]
        found = [i for i in ours.encode(dialog).ids if i in control]
        assert found == [i for i in ours.encode(plain).ids if i in control]
        assert len(found) < sum(i in control for i in applied)
    return count


def _without(text: str) -> str:
    for name in NAMES:
        text = text.replace(name, "x")
    return text


def packed(family: Family) -> None:
    """A document's loss behind another one is its loss alone, by transformers, to 1e-5."""
    texts = [encoder(family.base).text(line).ids for line in KOREAN[:4]]
    first, other, *chosen = sorted(texts, key=len, reverse=True)
    model = load_model(family.base, device="cpu")
    alone = plain_model(family.base)
    for number, ids in enumerate(chosen):
        score = functional.cross_entropy(logits(alone, ids)[:-1], torch.tensor(ids[1:]))
        for before in (first, other):
            place = family.place / f"packed-{number}-{len(before)}"
            masked = [[-100] * len(before), ids]
            rows = Rows(write_rows(place, [list(before), ids], masked))
            assert held_out_loss(model, rows) == pytest.approx(float(score), abs=1e-5)


def full(family: Family) -> None:
    """All weights learn; transformers loads them by the base's own class, with our logits."""
    folder = family.trained("full")
    _learned(family, "full")
    ids = _handed_over(folder)
    ours, theirs = load_model(folder, device="cpu"), plain_model(folder)
    assert type(theirs) is type(plain_model(family.base))
    assert (folder / "config.json").read_bytes() == (family.base / "config.json").read_bytes()
    assert far(logits(ours, ids), logits(theirs, ids)) < 1e-5
    assert far(logits(ours, ids), logits(plain_model(family.base), ids)) > 1e-3


def lora(family: Family) -> None:
    """An adapter learns; peft alone loads it on its base, with our logits."""
    folder = family.trained("lora")
    _learned(family, "lora")
    ids = _handed_over(folder)
    ours = logits(load_model(folder, device="cpu"), ids)
    assert far(ours, logits(plain_adapter(family.base, folder), ids)) < 1e-5
    assert far(ours, logits(plain_model(family.base), ids)) > 1e-4


def qlora(family: Family) -> None:
    """An adapter on 4-bit weights learns, and is loaded on 4-bit weights."""
    folder = family.trained("qlora")
    _learned(family, "qlora")
    ids = _handed_over(folder)
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


def _handed_over(folder: Path) -> list[int]:
    """The ids of a chat in training, which must be those of transformers."""
    ids = encoder(folder).encode(CHAT).ids
    applied = plain_tokenizer(folder).apply_chat_template(
        [dict(m) for m in CHAT], return_dict=False
    )
    assert ids == applied
    return ids


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


def evaluate(family: Family) -> None:
    """Bits per byte and choices are those of transformers' own logits."""
    folder, place = family.base, family.place / "evaluated"
    place.mkdir()
    questions = [
        {"question": line, "choices": ["사과", "배"], "gold": 1, "known_in": "ko"}
        for line in KOREAN[:3]
    ]
    asked = [{"messages": [dict(CHAT[0])]}]
    tasks = [
        _task(place, "text", "bits_per_byte", [{"text": line} for line in KOREAN[:3]]),
        _task(place, "facts", "multiple_choice", questions),
        {**_task(place, "answers", "generation", asked), "max_new_tokens": 8},
    ]
    suite = Suite.model_validate({"name": "small", "primary": "text/bpb", "tasks": tasks})
    whole = ModelFolder.read(folder)
    found = evaluate_suite(
        suite,
        model=load_model(folder, device="cpu"),
        encoder=ModelEncoder(whole.tokenizer, whole.encoder()),
        out=place,
        resources=Resources(device="cpu"),
        progress=lambda *_, **__: None,
    )
    assert found["scores"]["text/bpb"] == pytest.approx(_bits(folder), rel=1e-4)
    assert {"facts/accuracy", "answers/fidelity"} & set(found["scores"])
    assert len(list(load_items(place / "items.jsonl"))) >= 7


def _task(place: Path, name: str, kind: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    path = place / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {"name": name, "measure_kind": kind, "data": str(path)}


def _bits(folder: Path) -> float:
    """Bits per byte of the Korean lines by transformers, behind BOS or, without one, EOS."""
    tokenizer, model = plain_tokenizer(folder), plain_model(folder)
    bits = size = 0.0
    for line in KOREAN[:3]:
        ids = tokenizer(line).input_ids
        if ids == tokenizer(line, add_special_tokens=False).input_ids:
            ids = [tokenizer.eos_token_id, *ids]
        score = functional.cross_entropy(
            logits(model, ids)[:-1], torch.tensor(ids[1:]), reduction="sum"
        )
        bits += float(score) / float(torch.log(torch.tensor(2.0)))
        size += len(line.encode())
    return bits / size


def expand(family: Family) -> None:
    """New pieces keep every old id, control tokens too, and the model its logits on old text."""
    corpus, out = family.place / "corpus.txt", family.place / "expanded"
    corpus.write_text("\n".join(KOREAN), encoding="utf-8")
    with quiet():
        expand_command(
            family.base, [corpus], out / "tokenizer", 32, "hangul-append", False, 0, False, True
        )
        grow_model(
            family.base,
            out / "tokenizer",
            out / "model",
            InitSettings(),
            None,
            device="cpu",
            progress=lambda *_, **__: None,
        )
    _read_alike(out / "model", KOREAN)
    before, after = (ModelFolder.read(one).tokenizer for one in (family.base, out / "model"))
    assert before.special.items() <= after.special.items()
    spent = [sum(map(len, one.encode_batch(KOREAN))) for one in (before, after)]
    assert spent[1] < spent[0]
    ids = encoder(out / "model").text(ENGLISH[0]).ids
    assert ids == encoder(family.base).text(ENGLISH[0]).ids
    old = logits(plain_model(family.base), ids)[:, : before.vocab_size]
    new = logits(plain_model(out / "model"), ids)[:, : before.vocab_size]
    assert far(old, new) < 1e-5


def prune(family: Family) -> None:
    """Tokens of other scripts leave; Korean and English keep their pieces and their logits."""
    out = family.place / "pruned"
    with quiet():
        prune_command(family.base, ["ko", "en"], out / "tokenizer")
        prune_model(family.base, out / "tokenizer", out / "model")
    ids = json.loads((out / "tokenizer" / PRUNING).read_text(encoding="utf-8"))["kept"]
    before, after = (ModelFolder.read(one).tokenizer for one in (family.base, out / "model"))
    assert len(ids) < before.vocab_size
    assert before.special.keys() == after.special.keys()
    assert {ids[new]: name for name, new in after.special.items()} == {
        old: name for name, old in before.special.items()
    }
    _read_alike(out / "model", [*KOREAN, *ENGLISH, *FOREIGN])
    found = encoder(out / "model").text(KOREAN[0]).ids
    asked = [ids[i] for i in found]
    assert asked == encoder(family.base).text(KOREAN[0]).ids
    old, new = logits(plain_model(family.base), asked), logits(plain_model(out / "model"), found)
    assert far(old[:, ids], new) < 1e-5


def _read_alike(folder: Path, texts: list[str]) -> None:
    """No text is lost, and transformers gives the ids of training."""
    tokenizer = ModelFolder.read(folder).tokenizer
    ids = tokenizer.encode_batch(texts)
    assert [tokenizer.decode(one) for one in ids] == texts
    plain = plain_tokenizer(folder)
    assert ids == [plain(text, add_special_tokens=False).input_ids for text in texts]
    _handed_over(folder)


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
    _handed_over(out)


def convert(family: Family) -> None:
    """An adapter becomes a whole model with its logits, up to the precision of the base."""
    out = family.place / "converted"
    with quiet():
        convert_command(family.trained("lora"), out)
    ids = _handed_over(out)
    whole = logits(plain_model(out), ids)
    adapter = logits(plain_adapter(family.base, family.trained("lora")), ids)
    assert far(whole, adapter) < max(1e-5, 8 * torch.finfo(family.form.dtype).eps)


def complete(family: Family) -> None:
    """The command prints transformers' greedy answer of 64 tokens."""
    folder, asked = family.addressed, CHAT[:1]
    ids = encoder(folder).prompt(asked)
    assert ids == plain_tokenizer(folder).apply_chat_template(
        [dict(m) for m in asked], add_generation_prompt=True, return_dict=False
    )
    model = plain_model(folder)
    with torch.inference_mode(), quiet():
        found = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=64)
    answer = found[0, len(ids) :].tolist()
    if answer[-1] in ModelFolder.read(folder).stop_ids:
        del answer[-1]
    assert list(open_talker(folder).stream(ids, 64, 0)) == answer
    with pytest.MonkeyPatch.context() as patch:
        said = _printed(patch, str(folder), str(asked[0]["content"]))
    spelled = "".join(spell(ModelFolder.read(folder).tokenizer, answer))
    assert said.strip() == spelled.strip()


def _printed(patch: pytest.MonkeyPatch, folder: str, prompt: str) -> str:
    import io

    out = io.StringIO()
    patch.setattr("sys.stdout", out)
    complete_command(folder, prompt, max_new_tokens=64)
    return out.getvalue()


COLUMNS: Mapping[str, Callable[[Family], None]] = {
    "own template": template,
    "full": full,
    "LoRA": lora,
    "QLoRA": qlora,
    "kill and resume": kill_and_resume,
    "evaluate": evaluate,
    "expand": expand,
    "prune": prune,
    "merge": merge,
    "convert": convert,
    "complete": complete,
    "packed = alone": packed,
}
QUICK = ("own template", "packed = alone")

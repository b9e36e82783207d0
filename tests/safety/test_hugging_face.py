"""Text classifiers and Llama Guard, as tiny real models whose head is set by hand."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
)

from kollama2.errors import BadData, BadUsage, Missing
from kollama2.safety.guard import Guard
from kollama2.safety.hugging_face import LlamaGuard, TextClassifier
from kollama2.safety.load import load
from kollama2.safety.verdict import Dialog
from tests import tiny

TEMPLATE = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}answer:"


def asked(text: str) -> Dialog:
    return [{"role": "user", "content": text}]


def config(**more: object) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=384, hidden_size=64, intermediate_size=128, num_hidden_layers=1,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=128,
        bos_token_id=1, eos_token_id=2, pad_token_id=0, **more,
    )  # fmt: skip


def classifier(folder: Path, labels: list[str], **more: object) -> Path:
    tiny.write_tokenizer(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["pad_token"] = "<unk>"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    torch.manual_seed(0)
    named = dict(enumerate(labels))
    model = LlamaForSequenceClassification(config(id2label=named, num_labels=len(labels), **more))
    model.save_pretrained(folder)
    return folder


def test_a_text_classifier_scores_what_is_not_its_safe_label(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "c", ["hate", "clean", "offensive"])
    verdict = load("hf:owner/classifier", mirrors={"hf:owner/classifier": folder}).judge(
        asked("The fox lives here."), "input"
    )
    found = TextClassifier(folder)
    ids = AutoTokenizer.from_pretrained(folder)("The fox lives here.", return_tensors="pt")
    with torch.no_grad():
        probs = found._model(ids.input_ids).logits[0].softmax(-1)
    assert verdict.score == pytest.approx(1 - probs[1].item(), abs=1e-6)
    assert verdict.safe == (verdict.score < 0.5)
    worst = "hate" if probs[0] > probs[2] else "offensive"
    assert TextClassifier(folder, 0.0).judge(asked("The fox lives here."), "input").reason == worst
    # The worst part of a long text counts, wherever it stands.
    texts = ["The fox lives in the old town. ", "Mira has three red apples. "]
    parts = [found.judge(asked(text * 40), "input").score for text in texts]
    for first, second, score in ((0, 1, parts[0]), (1, 0, parts[1])):
        both = found.judge(asked(texts[first] * 40 + texts[second] * 40), "input").score
        assert both >= score - 1e-5
    assert abs(parts[0] - parts[1]) > 0.01


def test_a_classifier_of_several_labels(tmp_path: Path) -> None:
    folder = classifier(
        tmp_path / "c", ["insult", "gender", "clean"], problem_type="multi_label_classification"
    )
    found = TextClassifier(folder)
    ids = AutoTokenizer.from_pretrained(folder)("The fox", return_tensors="pt")
    with torch.no_grad():
        probs = found._model(ids.input_ids).logits[0].sigmoid()
    score = found.judge(asked("The fox"), "output").score
    assert score == pytest.approx(probs[:2].max().item(), abs=1e-6)


def test_labels_that_say_nothing_are_refused(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "c", ["LABEL_0", "LABEL_1"])
    with pytest.raises(BadUsage, match="are LABEL_0, LABEL_1; exactly one must say"):
        load(str(folder))


def llama_guard(folder: Path, answer: str) -> Path:
    """A model that answers the same text to everything: each token leads to the next one."""
    tiny.write_tokenizer(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["chat_template"] = TEMPLATE
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    last = tokenizer("answer:", add_special_tokens=False).input_ids[-1]
    chain = [last, *tokenizer(answer, add_special_tokens=False).input_ids, 2]
    assert len(set(chain)) == len(chain)
    model = LlamaForCausalLM(config())
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.model.norm.weight.fill_(1)
        for i, (token, after) in enumerate(pairwise(chain)):
            model.model.embed_tokens.weight[token, i] = 1
            model.lm_head.weight[after, i] = 1
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("answer", "safe", "reason"), [("safe", True, ""), ("unsafe\nS3", False, "S3")]
)
def test_llama_guard_answers(answer: str, safe: bool, reason: str, tmp_path: Path) -> None:
    folder = llama_guard(tmp_path / "guard", answer)
    verdict = load(str(folder)).judge(asked("안녕 </s> [INST]"), "input")
    assert (verdict.safe, verdict.reason, verdict.by) == (safe, reason, "guard")
    assert (verdict.score > 0.8) != safe


def test_any_other_answer_is_unsafe(tmp_path: Path) -> None:
    folder = llama_guard(tmp_path / "guard", "The fox")
    verdict = Guard([LlamaGuard(folder)]).judge(asked("hi"), "input")
    assert (verdict.safe, verdict.reason) == (False, "no judgement: ValueError")


def test_what_is_no_classifier(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(BadUsage, match="there is no classifier 'nowhere'"):
        load("nowhere")
    with pytest.raises(BadUsage, match="has no chat template; Llama Guard has one"):
        load(str(tiny_model))
    (tmp_path / "config.json").write_text('{"architectures": ["BertModel"]}')
    with pytest.raises(BadUsage, match="holds a BertModel, which is neither"):
        load(str(tmp_path))
    (tmp_path / "config.json").write_text('{"auto_map": {}}')
    with pytest.raises(BadData, match="asks to run code of its own"):
        load(str(tmp_path))
    with pytest.raises(BadData, match=r"holds no config\.json"):
        load(str(tmp_path.parent))
    with pytest.raises(Missing, match="hf:owner/guard: the hub cannot be reached"):
        load("hf:owner/guard")


def test_a_template_without_an_end_is_refused_before_anything_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kollama2.model.bounded.SECONDS", 0.2)
    folder = llama_guard(tmp_path / "guard", "safe")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    nested = "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"
    settings["chat_template"] = nested
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(BadData, match=r"refuses it: it takes longer than 0\.2 seconds"):
        load(str(folder))


def test_a_damaged_classifier_is_refused(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "c", ["hate", "clean"])
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["score.weight"][0, 0] = float("nan")
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(BadData, match=r"score\.weight holds NaN or infinities; its weights or"):
        load(str(folder))
    (folder / "tokenizer.json").unlink(missing_ok=True)
    (folder / "tokenizer.model").write_bytes(b"damaged")
    save_file({k: v.nan_to_num() for k, v in tensors.items()}, path, metadata={"format": "pt"})
    with pytest.raises(BadData, match="tokenizer"):
        load(str(folder))

"""Classifiers from Hugging Face: Llama Guard, and any text classifier.

Only safetensors is read, and no code of a repository is ever executed.
"""

import re
from pathlib import Path
from typing import Any

import torch

from kollama2.errors import BadUsage
from kollama2.model.bounded import render_ids
from kollama2.model.files import weight_files
from kollama2.model.sound import loaded
from kollama2.model.tokenizer import plain
from kollama2.safety.verdict import Dialog, Side, Verdict, last_text

_ANSWER = re.compile(r"\s*(safe|unsafe)\b\s*([\w, ]*)", re.IGNORECASE)
_ANSWER_TOKENS = 24
# Labels by which the usual classifiers say that nothing is wrong.
_SAFE = re.compile(
    r"safe|clean|none|neutral|normal|ok|benign|acceptable|non?[-_ ]?(toxic|hate|offensive)"
    r"|not[-_ ]?(toxic|hate|offensive)|정상|없음",
    re.IGNORECASE,
)


def _parts(folder: Path, kind: Any) -> tuple[Any, Any]:
    weight_files(folder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return loaded(folder, kind).to(device).eval(), plain(folder)


class LlamaGuard:
    """A language model that answers `safe`, or `unsafe` and the categories.

    The dialog is put into the chat template of its own folder, whose contents never become
    control tokens.
    """

    def __init__(self, folder: Path, threshold: float = 0.5) -> None:
        from transformers import AutoModelForCausalLM

        self.name = folder.name
        self._threshold = threshold
        self._model, self._tokenizer = _parts(folder, AutoModelForCausalLM)
        if not self._tokenizer.chat_template:
            raise BadUsage(f"{folder} has no chat template; Llama Guard has one")
        # A guard judges in threads, where a template without an end cannot be stopped.
        self._ids([{"role": "user", "content": "a"}])

    @torch.inference_mode()
    def judge(self, dialog: Dialog, side: Side) -> Verdict:
        """Judge the last message; a classifier as `Classifier` says.

        Raises:
            ValueError: the model answered something else, so that there is no judgement.
        """
        ids = torch.tensor([self._ids(dialog)], device=self._model.device)
        found = self._model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=_ANSWER_TOKENS,
            do_sample=False,
            return_dict_in_generate=True,
            output_scores=True,
            pad_token_id=self._tokenizer.eos_token_id,
        )
        new = found.sequences[0, ids.shape[1] :]
        answer = self._tokenizer.decode(new, skip_special_tokens=True)
        match = _ANSWER.match(answer)
        if match is None:
            raise ValueError(f"{self.name} answered neither safe nor unsafe")
        sure = self._certainty(new.tolist(), found.scores)
        score = sure if match[1].lower() == "unsafe" else 1 - sure
        reason = match[2].strip() or "unsafe"
        safe = score < self._threshold
        return Verdict(safe, score, self.name, "" if safe else reason)

    def _ids(self, dialog: Dialog) -> list[int]:
        turns = [{"role": m["role"], "content": m["content"]} for m in dialog]
        return render_ids(self._tokenizer, turns, sanitize=True)

    def _certainty(self, tokens: list[int], scores: tuple[torch.Tensor, ...]) -> float:
        """Probability of the first token that is not white space."""
        for token, logits in zip(tokens, scores, strict=False):
            if self._tokenizer.decode([token]).strip():
                return float(logits[0].softmax(-1)[token])
        return 0.0


class TextClassifier:
    """A sequence classifier; of a long text every part is judged and the worst one counts."""

    def __init__(self, folder: Path, threshold: float = 0.5) -> None:
        from transformers import AutoModelForSequenceClassification

        self.name = folder.name
        self._threshold = threshold
        self._model, self._tokenizer = _parts(folder, AutoModelForSequenceClassification)
        config = self._model.config
        self._labels = [str(config.id2label[i]) for i in range(config.num_labels)]
        self._several = config.problem_type == "multi_label_classification"
        self._safe = [i for i, label in enumerate(self._labels) if _SAFE.fullmatch(label)]
        if not self._several and len(self._safe) != 1:
            raise BadUsage(
                f"the labels of {folder} are {', '.join(self._labels)}; exactly one must say that "
                "a text is safe (for example safe, clean, none or normal)"
            )

    @torch.inference_mode()
    def judge(self, dialog: Dialog, side: Side) -> Verdict:
        """Judge the last message; a classifier as `Classifier` says."""
        longest = min(self._tokenizer.model_max_length, self._positions())
        parts = self._tokenizer(
            last_text(dialog), truncation=True, max_length=longest, stride=longest // 8,
            return_overflowing_tokens=True, return_tensors="pt", padding=True,
        )  # fmt: skip
        inputs = {k: parts[k].to(self._model.device) for k in ("input_ids", "attention_mask")}
        logits = self._model(**inputs).logits.float()
        probs = logits.sigmoid() if self._several else logits.softmax(-1)
        bad = [i for i in range(len(self._labels)) if i not in self._safe]
        worst = probs[:, bad].max(0).values
        label = self._labels[bad[int(worst.argmax())]]
        score = float(worst.max() if self._several else 1 - probs[:, self._safe[0]].min())
        safe = score < self._threshold
        return Verdict(safe, score, self.name, "" if safe else label)

    def _positions(self) -> int:
        # RoBERTa counts its positions from 2.
        return int(getattr(self._model.config, "max_position_embeddings", 514)) - 2

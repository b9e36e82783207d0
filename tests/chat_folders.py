"""Model folders of any family with a byte-level tokenizer and a chat template, as they are shared.

The weights are those of `family_models`; the tokenizer learns a few merges, so that it is real, and
adds the control tokens that a template is made of.
"""

import json
from pathlib import Path
from typing import Any

from tests.family_models import FAMILIES
from tests.jsons import change
from tests.tiny import ENGLISH, KOREAN

CHATML = (
    "{%- for m in messages -%}"
    "{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)
DATED = (
    "{{- '<|im_start|>system\\nToday is ' + strftime_now('%Y-%m-%d') + '<|im_end|>\\n' -}}" + CHATML
)
NO_SYSTEM = (
    "{%- if messages[0].role == 'system' -%}{{- raise_exception('no system turn here') -}}"
    "{%- endif -%}" + CHATML
)
QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def write_tokenizer(
    folder: Path,
    *,
    control: tuple[str, ...] = QWEN,
    template: str | None = CHATML,
    bos: str | None = None,
    eos: str = "<|im_end|>",
) -> dict[str, int]:
    """Write a byte-level BPE with control tokens; as Qwen's it has no BOS unless one is named.

    Returns:
        The ids of the control tokens.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from tokenizers.trainers import BpeTrainer

    folder.mkdir(parents=True, exist_ok=True)
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=360, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator((ENGLISH + KOREAN) * 5, trainer)
    made.add_special_tokens([AddedToken(one, special=True, normalized=False) for one in control])
    ids = {one: made.token_to_id(one) for one in control}
    if bos is not None:
        made.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, ids[bos])]
        )
    made.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": bos,
        "eos_token": eos,
        "unk_token": None,
        **({"chat_template": template} if template else {}),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return ids


def write_folder(
    folder: Path,
    family: str = "qwen2",
    *,
    generation: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    **tokenizer: Any,
) -> Path:
    """Write a random model of a family with its tokenizer.

    Args:
        folder: to write.
        family: one of `FAMILIES`.
        generation: fields of its `generation_config.json`.
        model: fields of its configuration.
        tokenizer: as `write_tokenizer`.
    """
    ids = write_tokenizer(folder, **tokenizer)
    end = ids[tokenizer.get("eos", "<|im_end|>")]
    # Tied tables of random weights repeat one token for ever.
    shape = {"eos_token_id": end, "bos_token_id": end, "tie_word_embeddings": False}
    made = FAMILIES[family](**shape, **(model or {}))
    for name, value in (generation or {}).items():
        setattr(made.generation_config, name, value)
    made.save_pretrained(folder)
    return folder


def write_adapter(base: Path, out: Path, *, named: str | None = None, **options: Any) -> Path:
    """Write an adapter as peft saves it: its configuration and weights, nothing of this project."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from kollama2.model.adapter import quiet_peft

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    settings = {"r": 4, "lora_alpha": 16, "target_modules": "all-linear", **options}
    with quiet_peft():
        tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for name, weight in tuned.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, 0, 0.3)
    tuned.save_pretrained(out)
    if named is not None:
        change(out / "adapter_config.json", base_model_name_or_path=named)
    for extra in out.iterdir():
        if extra.name not in ("adapter_config.json", "adapter_model.safetensors"):
            extra.unlink()
    return out

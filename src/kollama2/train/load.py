"""One loader for every model folder and every method: full, LoRA, QLoRA; adapters; NF4.

Only safetensors is read, never pickle, and no code of a model folder is ever executed.
"""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging as hf_logging

from kollama2.errors import BadData, BadUsage, Missing
from kollama2.train.settings import TrainSettings

CARD = "kollama2.json"
ADAPTER = "adapter_model.safetensors"
NF4_BLOCK = 64
Dtype = Literal["auto", "float32", "bfloat16"]

hf_logging.disable_progress_bar()  # stderr belongs to the caller's own progress


def card(folder: Path) -> dict[str, Any]:
    """What `kollama2.json` says of a model folder; empty where there is none."""
    path = folder / CARD
    if not path.is_file():
        return {}
    return dict(_json(path))


def root(folder: Path) -> Path:
    """The folder with the whole weights that `folder` stands on; itself unless an adapter.

    Raises:
        BadData: an adapter does not say where its base is, or it is not there.
    """
    while (folder / "adapter_config.json").is_file():
        folder = _base(folder)
    return folder


def _base(folder: Path) -> Path:
    base = card(folder).get("base")
    if not base:
        raise BadData(f"{folder} is an adapter, but its {CARD} names no base")
    path = (folder / str(base)).resolve()
    if not path.is_dir():
        raise BadData(f"{folder} is an adapter of {path}, which is not there")
    return path


def check(folder: Path) -> Any:
    """Read and check the configuration of a folder with whole weights.

    Returns:
        The transformers configuration.

    Raises:
        BadData: not a causal language model in safetensors, wants to run code of its own, or its
            embeddings are smaller than its tokenizer.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise BadData(f"{folder} holds no config.json; a model folder in Hugging Face form does")
    raw = _json(path)
    if "auto_map" in raw:
        raise BadData(f"{path} asks to run code of its own (auto_map); kollama2 never does that")
    kind = raw.get("model_type")
    classes = raw.get("architectures") or [MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind)]
    known = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind)
    if known is None or classes[0] not in (known if isinstance(known, tuple) else (known,)):
        raise BadData(f"{folder} holds a {classes[0] or kind}, not a causal language model")
    if not any(folder.glob("*.safetensors")):
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pth"))
        why = (
            "only pickled weights, which are never read; convert them" if pickled else "no weights"
        )
        raise BadData(f"{folder} holds {why}; expected model.safetensors")
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    need, have = tokenizer_size(folder), int(config.get_text_config().vocab_size)
    if need > have:
        raise BadData(
            f"{folder}: the tokenizer has {need} tokens but the embeddings only {have} rows; "
            "they do not belong together"
        )
    return config


def tokenizer_size(folder: Path) -> int:
    """One more than the highest id the tokenizer files of a folder can give; 0 without files."""
    size = 0
    if (folder / "tokenizer.json").is_file():
        raw = _json(folder / "tokenizer.json")
        vocab = raw.get("model", {}).get("vocab", [])
        size = 1 + max(vocab.values(), default=-1) if isinstance(vocab, dict) else len(vocab)
        size = max([size, *(1 + int(t["id"]) for t in raw.get("added_tokens", []))])
    elif (folder / "tokenizer.model").is_file():
        import sentencepiece

        try:
            model = sentencepiece.SentencePieceProcessor(str(folder / "tokenizer.model"))
        except RuntimeError as error:
            raise BadData(f"{folder / 'tokenizer.model'} is not a SentencePiece model") from error
        size = int(model.vocab_size())
    if (folder / "tokenizer_config.json").is_file():
        added = _json(folder / "tokenizer_config.json").get("added_tokens_decoder", {})
        size = max([size, *(1 + int(index) for index in added)])
    return size


def load_parallel(folder: Path, degree: int, dtype: Dtype = "auto") -> Any:
    """Load whole weights for inference over the processes of torchrun, each its share of them.

    Args:
        folder: whole weights of an architecture for which transformers has a tensor-parallel plan.
        degree: of the parallelism; the number of processes.
        dtype: as in `load_model`.

    Returns:
        A `PreTrainedModel` in evaluation mode; its forward gives the same logits in each process.

    Raises:
        BadData: the folder is not such a model.
        BadUsage: it is an adapter.
    """
    from transformers.distributed import DistributedConfig

    if (folder / "adapter_config.json").is_file():
        raise BadUsage(f"{folder} is an adapter; merge it before it is divided")
    check(folder)
    if dtype == "auto" and not torch.cuda.is_available():
        dtype = "float32"
    return _from_pretrained(
        folder, dtype, distributed_config=DistributedConfig(tp_size=degree)
    ).eval()


def load_model(folder: Path, *, dtype: Dtype = "auto", device: str = "auto") -> Any:
    """Load a finished model folder for inference; adapters stay adapters, NF4 stays NF4.

    Args:
        folder: whole weights, or an adapter whose `kollama2.json` names its base.
        dtype: of weights and arithmetic; "auto" is what the base is stored in, but float32 on a
            CPU: many have no bfloat16 instructions and emulate them ten times slower.
        device: "cpu", "cuda", or "auto" for CUDA where there is one.

    Returns:
        A `PreTrainedModel` or `PeftModel` in evaluation mode.

    Raises:
        BadData: the folder is not a model that can be loaded.
        Missing: it was trained on NF4 and this platform has no kernel for that.
    """
    if dtype == "auto" and (device == "cpu" or not torch.cuda.is_available()):
        dtype = "float32"
    if not (folder / "adapter_config.json").is_file():
        return place(whole(folder, dtype), device).eval()
    base = _base(folder)
    if card(folder).get("quantization") == "nf4":
        model = nf4(base, dtype, device)
    else:
        model = place(whole(base, dtype), device)
    return adapter_of(model, folder).eval()


def whole(folder: Path, dtype: Dtype = "auto") -> Any:
    """Load whole weights on the CPU; an adapter is merged onto its base in memory.

    The merge is onto the weights as stored, never onto 4-bit ones (see `merge`).
    """
    if (folder / "adapter_config.json").is_file():
        return adapter_of(whole(_base(folder), dtype), folder).merge_and_unload(safe_merge=True)
    check(folder)
    return _from_pretrained(folder, dtype)


def nf4(folder: Path, dtype: Dtype = "auto", device: str = "auto") -> Any:
    """Load whole weights quantised to NF4 with double quantisation (QLoRA, arXiv 2305.14314).

    Raises:
        BadUsage: the folder is an adapter; it has to be merged first.
        Missing: bitsandbytes has no kernel here, or a layer is not a multiple of an NF4 block.
    """
    if (folder / "adapter_config.json").is_file():
        raise BadUsage(f"{folder} is an adapter; merge it before it is quantised to NF4")
    config = check(folder)
    text = config.get_text_config()
    for name in ("hidden_size", "intermediate_size"):
        size = getattr(text, name, NF4_BLOCK)
        if size % NF4_BLOCK:
            raise Missing(
                f"NF4 quantises blocks of {NF4_BLOCK} weights and {name} is {size}; "
                "use lora for this model"
            )
    target = _device(device)
    arithmetic = config.dtype or torch.float32 if dtype == "auto" else getattr(torch, dtype)
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=arithmetic,
    )
    try:
        return _from_pretrained(
            folder, dtype, quantization_config=quantization, device_map={"": target}
        )
    except torch.OutOfMemoryError:
        raise  # a RuntimeError too, but no missing kernel
    except (ImportError, NotImplementedError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise Missing(
            f"bitsandbytes cannot quantise to NF4 on {target} here ({first}); use lora"
        ) from error


def prepare(folder: Path, settings: TrainSettings, device: str = "auto") -> Any:
    """Load a base for training by one of the methods; trained weights are float32.

    Args:
        folder: whole weights, or an adapter (merged in memory first).
        settings: method and adapter.
        device: as in `load_model`.

    Returns:
        A `PreTrainedModel` (full) or `PeftModel` (lora, qlora).
    """
    if settings.method == "full":
        return _freeze(place(whole(folder, "float32"), device), settings, card(folder))
    if settings.method == "qlora":
        model = nf4(folder, settings.dtype, device)
    else:
        model = place(whole(folder, settings.dtype), device)
    from peft import LoraConfig, get_peft_model

    embeddings = settings.train_embeddings
    if embeddings is None:
        # Rows of new pieces that nothing ever trained would stay as they began, unseen.
        embeddings = not card(folder).get("vocabulary", {"trained": True})["trained"]
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=(
            settings.targets if settings.targets == "all-linear" else list(settings.targets)
        ),
        use_dora=settings.dora,
        use_rslora=settings.rslora,
        modules_to_save=["embed_tokens", "lm_head"] if embeddings else None,
        ensure_weight_tying=embeddings and model.config.tie_word_embeddings,
    )
    torch.manual_seed(settings.seed)
    try:
        with quiet_peft():
            model = get_peft_model(model, config)
    except ValueError as error:
        raise BadUsage(f"the adapter does not fit {folder}: {error}") from error
    for _, weight in trained(model):
        weight.data = weight.data.float()
    return model


def _freeze(model: Any, settings: TrainSettings, about: dict[str, Any]) -> Any:
    """Leave to the optimiser only the blocks and tables of the settings."""
    if settings.layers == "all" and settings.tables:
        return model
    blocks = model.get_decoder().layers
    chosen = range(len(blocks)) if settings.layers == "all" else settings.layers
    if settings.layers == "new":
        chosen = about.get("new_blocks", ())
        if not chosen:
            raise BadUsage(
                "layers is new, but this model has no new blocks; expand_blocks makes them"
            )
    if wrong := [n for n in chosen if not -len(blocks) <= int(n) < len(blocks)]:
        raise BadUsage(f"layers names {wrong[0]}, but the model has blocks 0 to {len(blocks) - 1}")
    model.requires_grad_(settings.tables)
    for place, block in enumerate(blocks):
        block.requires_grad_(place in chosen or place - len(blocks) in chosen)
    return model


def trained(model: Any) -> list[tuple[str, torch.nn.Parameter]]:
    """Name and weight of everything that the optimiser moves."""
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]


def _from_pretrained(folder: Path, dtype: Dtype, **options: Any) -> Any:
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype if dtype == "auto" else getattr(torch, dtype),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            attn_implementation="sdpa",
            output_loading_info=True,
            **options,
        )
    except (OSError, SafetensorError) as error:
        raise BadData(f"{folder} cannot be loaded: {error}") from error
    absent = sorted(report["missing_keys"])
    if absent:
        raise BadData(f"{folder} lacks {len(absent)} weights of its model, such as {absent[0]}")
    return model


def adapter_of(model: Any, folder: Path) -> Any:
    """An adapter's folder on the model that it belongs to."""
    from peft import PeftModel

    if not (folder / ADAPTER).is_file():
        raise BadData(f"{folder} holds no {ADAPTER}; pickled adapters are never read")
    try:
        with quiet_peft():
            return PeftModel.from_pretrained(model, folder)
    except (RuntimeError, SafetensorError) as error:
        raise BadData(f"the adapter {folder} does not fit its base: {error}") from error


@contextmanager
def quiet_peft() -> Iterator[None]:
    """PEFT 0.21 asks transformers 5 for a property by its old name."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is", FutureWarning)
        yield


def _device(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise Missing("the profile asks for cuda, and this machine has no CUDA device")
    return device


def place(model: Any, device: str) -> Any:
    """A model on a device by the name that a profile gives it."""
    return model.to(_device(device))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadData(f"{path} is not JSON: {error}") from error

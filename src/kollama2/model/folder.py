"""ModelFolder: what a model folder is, decided once for everything that reads it.

Its base, tokenizer, beginning and stop ids, chat template, vocabulary, quantisation and weights.
Only safetensors is ever read, never pickle, and no code of a folder is ever executed.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kollama2.engine.hub import PREFIX
from kollama2.errors import BadData
from kollama2.model.card import CARD, Card, read_card
from kollama2.model.files import (
    ADAPTER_CONFIG,
    CONFIG,
    GENERATION,
    has_tokenizer,
    read_json,
    weights_id,
)

if TYPE_CHECKING:
    from kollama2.model.chat import ChatEncoder
    from kollama2.model.tokenizer import Tokenizer

OWN = "own"
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class ModelFolder:
    """A model folder in Hugging Face's form: whole weights, or an adapter on a base.

    Attributes:
        path: the folder.
        card: what its `kollama2.json` says.
        base: what an adapter stands on; None for whole weights.
    """

    path: Path
    card: Card
    base: "ModelFolder | None" = None

    @classmethod
    def read(cls, path: str | Path, onto: Path | None = None) -> "ModelFolder":
        """Read what a folder says of itself; nothing large is loaded.

        Args:
            path: the folder.
            onto: the base of an adapter, in the place of the one that it names.

        Raises:
            BadData: it is an adapter whose base is not there, or its card cannot be read.
        """
        folder = Path(path)
        if not is_adapter(folder):
            return cls(folder, read_card(folder))
        return cls(folder, read_card(folder), cls.read(onto or base_of(folder)))

    @property
    def root(self) -> "ModelFolder":
        """The folder with the whole weights that this one stands on; itself unless an adapter."""
        return self if self.base is None else self.base.root

    @cached_property
    def config(self) -> dict[str, Any]:
        """The `config.json` of the whole weights."""
        return read_json(self.root.path / CONFIG)

    @property
    def text_config(self) -> dict[str, Any]:
        """The part of the configuration that describes the language model of a wrapper."""
        inner = self.config.get("text_config")
        return inner if isinstance(inner, dict) else self.config

    @property
    def tokenizer_path(self) -> Path:
        """Where the tokenizer lies; adapters that bring none use their base's."""
        if self.base is not None and not has_tokenizer(self.path):
            return self.base.tokenizer_path
        return self.path

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """Contents to ids and back.

        Raises:
            BadData: there is none, or it cannot be read.
        """
        from kollama2.model.tokenizer import load_tokenizer

        return load_tokenizer(self.tokenizer_path)

    @cached_property
    def plain_tokenizer(self) -> Any:
        """The tokenizer as transformers reads it, with the ids the model was taught."""
        from kollama2.model.tokenizer import plain

        own = self.tokenizer_path
        config = self.root.path / CONFIG
        elsewhere = not (own / CONFIG).is_file() and config.is_file()
        return plain(own, config if elsewhere else None)

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """The ids at which generation ends: the tokenizer's, those of both configurations."""
        found = {self.tokenizer.eos_id}
        generation = read_json(self.root.path / GENERATION)
        for source in (generation, self.config, self.text_config):
            stated = source.get("eos_token_id")
            stated = stated if isinstance(stated, list) else [stated]
            found |= {i for i in stated if isinstance(i, int)}
        return tuple(sorted(found))

    @property
    def template(self) -> str | None:
        """How the model is addressed: a name in `templates`, or `own` for the folder's Jinja.

        None where it was never taught chats. Llama 2's own template is known by the text that it
        writes, and goes by its name: what Meta's model was taught has ids that transformers 5 no
        longer gives for that text.
        """
        from kollama2.model.jinja_chat import writes_llama2

        said = self.card.template
        if said not in (None, OWN, "plain"):
            return said
        if self.has_template and said != "plain":
            return "llama2" if writes_llama2(self.plain_tokenizer) else OWN
        return self.base.template if self.base is not None else None

    @cached_property
    def has_template(self) -> bool:
        """Whether the folder brings a chat template in Jinja; one that is blank writes no chat."""
        from kollama2.model.files import TEMPLATE_FILE, TOKENIZER_CONFIG

        file = self.tokenizer_path / TEMPLATE_FILE
        if file.is_file():
            return bool(file.read_bytes().strip())
        said = read_json(self.tokenizer_path / TOKENIZER_CONFIG).get("chat_template")
        return bool(said.strip() if isinstance(said, str) else said)

    @cached_property
    def jinja(self) -> str | None:
        """The folder's own chat template as transformers takes it; None where it has none."""
        said = self.plain_tokenizer.chat_template if self.has_template else None
        return said.get("default") if isinstance(said, dict) else said

    def encoder(self, template: str = OWN, otherwise: str = "llama2") -> "ChatEncoder":
        """The encoder of chats by a template.

        Args:
            template: its name; `own` for the one that the model was taught.
            otherwise: the name of the one that takes its place where there is none.

        Raises:
            BadUsage: there is no such template, or it needs tokens that the tokenizer lacks.
        """
        from kollama2.model.chat import chat_encoder

        return chat_encoder(self, (self.template or otherwise) if template == OWN else template)


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, not whole weights."""
    return (folder / ADAPTER_CONFIG).is_file()


def base_of(folder: Path) -> Path:
    """Where the base of an adapter lies: by its card, else by its `adapter_config.json`.

    Raises:
        BadData: neither says it, or nothing lies there.
    """
    name = named_base(folder)
    if not name.startswith(PREFIX):
        return Path(name)
    cached = _in_cache(name.removeprefix(PREFIX))
    if cached is None:
        raise _absent(folder, name)
    return cached


def named_base(folder: Path) -> str:
    """What an adapter names as its base: a folder that is there, or a hub's `hf:owner/name`.

    Raises:
        BadData: it names none, or a folder that is not there, holds other weights or stands on the
            adapter itself.
    """
    name, seen = _named(folder), [folder.resolve()]
    above = name
    while not above.startswith(PREFIX) and is_adapter(Path(above)):
        if Path(above).resolve() in seen:
            raise BadData(
                f"{folder} is an adapter that stands on itself, by way of {above}; name its base "
                "with --onto FOLDER or --onto hf:owner/name"
            )
        seen.append(Path(above).resolve())
        above = _named(Path(above))
    return name


def _named(folder: Path) -> str:
    card = read_card(folder)
    name = str(read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path") or "")
    if not (card.base or name):
        raise BadData(
            f"{folder} is an adapter, but neither {CARD} nor {ADAPTER_CONFIG} names its base; "
            "name it with --onto"
        )
    # Either may be out of date: a store moves as a whole, an adapter alone.
    places = [folder / card.base] if card.base else []
    places += [Path(name), folder / name] if name else []
    found = dict.fromkeys(path.resolve() for path in places if path.is_dir())
    for path in found:
        if card.base_weights is None or weights_id(path) == card.base_weights:
            return str(path)
    if found:
        raise BadData(
            f"{folder} is an adapter of other weights than those in {next(iter(found))}; name its "
            "base with --onto FOLDER or --onto hf:owner/name"
        )
    if HUB_NAME.fullmatch(name):
        return PREFIX + name
    raise _absent(folder, name or str(card.base))


def _absent(folder: Path, name: str) -> BadData:
    return BadData(
        f"{folder} is an adapter of {name}, which is not on this machine; name its base with "
        "--onto FOLDER or --onto hf:owner/name"
    )


def _in_cache(name: str) -> Path | None:
    """The folder of a hub model in the hub's own cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, CONFIG)
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None

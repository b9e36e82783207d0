"""Block expansion: new decoder blocks between the old ones, the identity until they are trained.

A copy of a block whose `o_proj` and `down_proj` are zero adds nothing to the residual stream, so
the deeper model computes exactly what the old one did; training then moves the new blocks alone.

Source: Wu et al. 2024, LLaMA Pro (arXiv 2401.02415).
"""

import re
from pathlib import Path
from typing import Any

import torch

from kollama2.errors import BadUsage
from kollama2.model.files import CONFIG, GENERATION, copy_files, fresh, read_json, write_json
from kollama2.model.folder import ModelFolder
from kollama2.model.handover import hand_over, taught
from kollama2.model.weights import ShardWriter, Weights

_BLOCK = re.compile(r"^(.*\.layers\.)(\d+)(\..*)$")
_ZEROED = (".self_attn.o_proj.", ".mlp.down_proj.")


def expand_blocks(source: Path, out: Path, every: int) -> dict[str, Any]:
    """Write a model with one more block after every `every` blocks.

    Args:
        source: a model folder.
        out: the folder to write; what is there is replaced.
        every: blocks in front of each new one.

    Returns:
        `blocks`, how many there are now, and `new_blocks`, the places of the new ones.

    Raises:
        BadUsage: the model has fewer blocks than `every`, or blocks of another form.
    """
    with Weights(source) as weights:
        old = int(weights.config.get_text_config().num_hidden_layers)
        if every > old:
            raise BadUsage(f"{source} has {old} blocks; a new one after every {every} is none")
        plan = places(old, every)
        fresh(out)
        writer, zeroed = ShardWriter(out), set()
        for name in weights.names:
            block = _BLOCK.match(name) if weights.body(name) else None
            if block is None:
                writer.add(name, weights.get(name))
                continue
            for place, (origin, new) in enumerate(plan):
                if origin != int(block[2]):
                    continue
                tensor = weights.get(name)
                layer = next((one for one in _ZEROED if block[3].startswith(one)), None)
                if new and layer is not None:
                    tensor = torch.zeros_like(tensor)
                    zeroed.add((place, layer))
                writer.add(f"{block[1]}{place}{block[3]}", tensor.clone())
        writer.close()
    new_blocks = [place for place, (_, new) in enumerate(plan) if new]
    if len(zeroed) < 2 * len(new_blocks):
        raise BadUsage(f"{source} has no o_proj and down_proj in its blocks; they cannot be copied")
    _write_about(source, out, plan)
    return {"blocks": len(plan), "new_blocks": new_blocks}


def places(blocks: int, every: int) -> list[tuple[int, bool]]:
    """For each block of the deeper model the block it comes from, and whether it is new."""
    found = []
    for block in range(blocks):
        found.append((block, False))
        if (block + 1) % every == 0:
            found.append((block, True))
    return found


def _write_about(source: Path, out: Path, plan: list[tuple[int, bool]]) -> None:
    start = ModelFolder.read(source)
    copy_files(start.root.path, out, (CONFIG, GENERATION))
    config = read_json(out / CONFIG)
    text = config.get("text_config", config)
    old = text["num_hidden_layers"]
    for name, value in text.items():
        if isinstance(value, list) and len(value) == old:  # what is said of each layer
            text[name] = [value[origin] for origin, _ in plan]
    text["num_hidden_layers"] = len(plan)
    write_json(out / CONFIG, config)
    card = start.card.changed(
        template=taught(start),
        method="full",
        quantization=None,
        base=None,
        new_blocks=tuple(place for place, (_, new) in enumerate(plan) if new),
    )
    hand_over(out, start, card)

"""A process of torchrun: builds a checkpoint and writes what it generates as JSON."""

import json
import os
import sys
from pathlib import Path

from kollama2.errors import Fault
from kollama2.llama import Llama

PROMPTS = [[1, 300, 17, 5], [1, 44], [1, 259, 270, 383, 20, 9, 9, 301]]


def main(checkpoint: str, tokenizer: str, out: str) -> None:
    try:
        llama = Llama.build(checkpoint, tokenizer, 64, 4)
    except Fault as fault:
        found: object = {"fault": str(fault), "code": fault.exit_code}
    else:
        tokens, scores = llama.generate(PROMPTS, 24, temperature=0, logprobs=True, echo=True)
        sampled = llama.generate(PROMPTS, 24, temperature=1.0)[0]
        found = {"tokens": tokens, "logprobs": scores, "sampled": sampled}
    print(json.dumps(found))  # only the first process may be heard
    name = f"{os.environ.get('RANK', '0')}.json"
    (Path(out) / name).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

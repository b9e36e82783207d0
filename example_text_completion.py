"""Complete texts with a pretrained Llama 2.

torchrun --nproc_per_node 1 example_text_completion.py \
    --ckpt_dir llama-2-7b/ --tokenizer_path tokenizer.model \
    --max_seq_len 128 --max_batch_size 4
"""

import sys

import fire

from kollama2.errors import Fault
from kollama2.llama import Llama


def main(
    ckpt_dir: str,
    tokenizer_path: str,
    temperature: float = 0.6,
    top_p: float = 0.9,
    max_seq_len: int = 128,
    max_gen_len: int = 64,
    max_batch_size: int = 4,
) -> None:
    """Print what the model makes of a few beginnings.

    Args:
        ckpt_dir: a checkpoint of Meta's or a Hugging Face folder.
        tokenizer_path: its tokenizer.model.
        temperature: 0 is greedy; more is more varied.
        top_p: share of the probability that is sampled from.
        max_seq_len: most tokens of a prompt with its completion.
        max_gen_len: most tokens of a completion.
        max_batch_size: prompts computed at once.
    """
    generator = Llama.build(
        ckpt_dir=ckpt_dir,
        tokenizer_path=tokenizer_path,
        max_seq_len=max_seq_len,
        max_batch_size=max_batch_size,
    )
    # A pretrained model continues a text; it does not know that it is being asked something.
    prompts = [
        "The oldest bridge in the city was built because",
        "Three things a good map should show:\n1.",
        "대한민국의 수도는",
        """Translate English to Korean.

        river => 강
        teacher => 선생님
        a red apple => 빨간 사과
        the quiet garden =>""",
    ]
    results = generator.text_completion(
        prompts, max_gen_len=max_gen_len, temperature=temperature, top_p=top_p
    )
    for prompt, result in zip(prompts, results, strict=True):
        print(prompt)
        print(f"> {result['generation']}")
        print("\n==================================\n")


if __name__ == "__main__":
    try:
        fire.Fire(main)
    except Fault as fault:
        print(fault, file=sys.stderr)
        sys.exit(fault.exit_code)

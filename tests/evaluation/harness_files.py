"""Task files of lm-eval and their data, as a user would write them."""

import json
from pathlib import Path

WORDS = "사과 배 여우 숲 학교 책 바다 산 아침 저녁 친구 노래 김치 밥 나무 강".split()


def write(folder: Path) -> Path:
    """Tasks of every kind that lm-eval knows, with data beside them; returns the folder."""
    rows = [
        {
            "id": f"item {i}",
            "place": WORDS[i // 2],
            "text": f"{WORDS[i]} 이야기를 {i + 1}번 들었다. {WORDS[-i - 1]}도 보았다.",
            "choices": [f"{WORDS[i]}가 좋다", WORDS[(i + 3) % 16], "아니요"],
            "gold": i % 3,
        }
        for i in range(12)
    ]
    for name, part in (("train", rows[6:]), ("test", rows[:6])):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in part)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    head = f"""\
dataset_path: json
dataset_kwargs: {{data_files: {{train: {folder}/train.jsonl, test: {folder}/test.jsonl}}}}
training_split: train
test_split: test
"""
    for name, body in TASKS.items():
        (folder / f"{name}.yaml").write_text(f"task: {name}\n{head}{body}", encoding="utf-8")
    (folder / "own_group.yaml").write_text(
        "group: own_group\ntask: [own_choice, own_label]\n", encoding="utf-8"
    )
    return folder


TASKS = {
    "own_choice": """\
output_type: multiple_choice
doc_to_text: "글: {{text}} 무엇인가요?"
doc_to_choice: "{{choices}}"
doc_to_target: gold
metric_list: [{metric: acc}, {metric: acc_norm}]
""",
    "own_label": """\
output_type: multiple_choice
doc_to_text: "{{text}}\\n답: "
doc_to_choice: ["a", "b", "c"]
doc_to_target: gold
metric_list: [{metric: acc}]
""",
    "own_last": """\
output_type: loglikelihood
doc_to_text: "{{text}}"
doc_to_target: " {{choices[1]}}"
metric_list: [{metric: perplexity}, {metric: acc}]
""",
    "own_text": """\
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: bits_per_byte}]
""",
    "own_answer": """\
output_type: generate_until
doc_to_text: "{{text}} 다음 낱말은"
doc_to_target: "{{choices[1]}}"
generation_kwargs: {until: ["e"], max_gen_toks: 12, do_sample: false}
metric_list: [{metric: exact_match}]
""",
}

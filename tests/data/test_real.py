"""Every file of the real data is read, and what is rejected is known."""

from pathlib import Path

import pytest

from kollama2.data.read import read
from kollama2.errors import BadData

# path, form, rows in, rows kept; the counts are those of the data's own list of contents, where a
# table's header is one row more.
FILES = [
    ("instruct_ko/Volume21__github_test/ko_alpaca_data.open.json", "alpaca", 10604, 10603),
    ("instruct_ko/quantumaikr__KoreanLM/korean_data.json", "alpaca", 1000, 981),
    ("instruct_ko/songys__Chatbot_data/ChatbotData.csv", "qa", 11823, 11823),
    (
        "multiturn_ko/qwawa__KoChatGPT/kochatgpt_1_SFT_conversation.sharegpt.open.json",
        "sharegpt",
        399,
        399,
    ),
    (
        "multiturn_ko/naver-ai__carecall-corpus/carecall_feedback_100.sharegpt.open.json",
        "sharegpt",
        81,
        80,
    ),
    ("instruct_en/hiyouga__LLaMA-Factory/alpaca_en_demo.json", "alpaca", 999, 999),
    ("instruct_en/hiyouga__LLaMA-Factory/dpo_en_demo.json", "preference", 300, 300),
    ("instruct_en/hiyouga__LLaMA-Factory/glaive_toolcall_en_demo.json", "sharegpt", 300, 300),
    ("instruct_en/hiyouga__LLaMA-Factory/identity.json", "alpaca", 91, 91),
    ("instruct_en/lm-sys__FastChat/dummy_conversation.json", "sharegpt", 500, 500),
    (
        "parallel/dsdanielpark__ko-llama-2-jindo/ko_shargpt_deepl_translate_cleaned_v2.json",
        "alpaca",
        987,
        987,
    ),
    ("parallel/jh868__pytorch_study/kor.open.txt", "pairs", 3362, 3362),
    ("parallel/jungyeul__korean-parallel-corpora/korean-english-park.dev", "pairs", 1000, 1000),
    ("parallel/jungyeul__korean-parallel-corpora/jhe-koen-dev", "pairs", 720, 720),
    ("parallel/jungyeul__korean-parallel-corpora/jhe-koen-dev.ko", "text", 720, 720),
    (
        "parallel/scrollmapper__bible_databases/bible_ko-krv_en-bbe_en-kjv.open.tsv",
        "pairs",
        29837,
        29837,
    ),
    ("parallel/nltk__nltk_data/udhr2_kor.txt", "text", 63, 63),
    ("parallel/python__python-docs-ko/python-docs-ko.pairs.open.jsonl", "pairs", 26727, 26727),
    ("text_ko/lovit__petitions_archive", "document", 3029, 3006),
    ("text_ko/reactjs__ko.react.dev", "text", 4, 4),
    ("text_ko/rust-kr__doc.rust-kr.org", "text", 18, 18),
    ("text_en/erikhyrkas__snakes", "text", 87, 87),
    ("text_en/hiyouga__LLaMA-Factory/c4_demo.jsonl", "text", 300, 300),
    ("text_en/hiyouga__LLaMA-Factory/wiki_demo.txt", "text", 30, 30),
    ("text_en/sachinrcz__llmatoz/tinystories.txt", "text", 4286, 4286),
]
# Why rows are rejected: empty answers and questions, a chat of one turn.
REASONS = {
    'the "output" is empty',
    'the "instruction" is empty',
    'the "content" is empty',
    "no user turn with an answer",
}


@pytest.mark.parametrize(("path", "form", "rows", "kept"), FILES)
def test_every_file_is_read(real_data: Path, path: str, form: str, rows: int, kept: int):
    if not list(real_data.glob(f"{path}*")):
        pytest.skip("not among the data here")
    reading = read(real_data / path)
    for _ in reading:
        pass
    assert {kind for _, kind in reading.kinds} == {form}
    assert (reading.counts["in"], reading.counts["kept"]) == (rows, kept)
    assert set(reading.reasons) <= REASONS


@pytest.mark.parametrize(
    "folder", ["text_ko/97danielj__WordEmbedding", "text_en/JohanMadsen__02807_Project"]
)
def test_every_article_of_wikipedia_is_read(real_data: Path, folder: str):
    files = sorted(f for f in (real_data / folder).rglob("wiki_*") if f.is_file())[:6]
    for file in files:
        articles = file.read_bytes().count(b"\n<doc ") + 1
        reading = read(file)
        for _ in reading:
            pass
        assert reading.counts["in"] == reading.counts["kept"] == articles


@pytest.mark.parametrize(
    "path",
    [
        "lm-sys__FastChat/mt_bench_question.jsonl",
        "lm-sys__FastChat/judge_prompts.jsonl",
        "tatsu-lab__stanford_alpaca/seed_tasks.jsonl",
    ],
)
def test_files_that_are_no_training_data_say_so(real_data: Path, path: str):
    with pytest.raises(BadData, match="fit no known form"):
        list(read(real_data / "instruct_en" / path))

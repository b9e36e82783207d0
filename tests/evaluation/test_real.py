"""Real Korean passages with the real Llama 2 tokenizer."""

from pathlib import Path

import pytest

from kollama2.evaluation.kinds import BitsPerByte
from kollama2.evaluation.rows import read_rows
from kollama2.evaluation.windows import byte_windows, window_request
from tests.evaluation.models import PieceEncoder


def test_llama2_loses_nothing_of_korean_passages_and_windows_cost_few_tokens(
    real_data: Path,
) -> None:
    task = BitsPerByte(
        name="boolq",
        measure_kind="bits_per_byte",
        data=str(real_data / "eval_ko" / "SKT-LSL__KoBEST_datarepo" / "BoolQ.dev.tsv"),
        columns={"text": "Text"},
    )
    rows = read_rows(task)
    assert len(rows) == 700
    encoder = PieceEncoder(real_data / "tokenizers" / "karpathy__llama2.c")
    whole = in_windows = 0
    for row in rows[:200]:
        requests = [
            window_request(encoder, *cut).request
            for cut in byte_windows(row["text"], task.window, task.context)
        ]
        scored = [one for request in requests for one in request.continuation]
        assert encoder.decode(scored).replace(" ", "") == row["text"].replace(" ", "")
        whole += len(encoder.encode(row["text"]))
        in_windows += len(scored)
    assert whole == pytest.approx(in_windows, rel=2e-3)

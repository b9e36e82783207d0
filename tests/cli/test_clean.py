"""`data clean --suite`: no corpus holds what a suite asks."""

import json
from pathlib import Path

from typer.testing import CliRunner

from kollama2.cli.app import app
from kollama2.miniature import suite

OTHER = (
    "정부는 내년부터 지방 도서관의 개관 시간을 두 시간 늘리기로 했다고 밝혔다. "
    "이용자 조사에서 저녁에도 책을 빌리고 싶다는 의견이 가장 많았기 때문이다."
)


def test_a_document_with_an_item_is_rejected_whatever_its_endings(tmp_path: Path) -> None:
    item = suite.items("text-ko", size=1)[0]["text"]
    edited = item.replace("습니다.", "어요.").replace("은 ", "이 ").replace("를 ", "는 ")
    assert edited != item
    documents = [item, f"{edited} 끝까지 읽어 주셔서 고맙습니다. {OTHER}", OTHER]
    source = tmp_path / "in.jsonl"
    lines = [json.dumps({"text": one}, ensure_ascii=False) for one in documents]
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    out, store = tmp_path / "out", tmp_path / "runs"
    arguments = ["data", "clean", str(source), "-o", str(out), "--suite", "quick"]
    done = CliRunner().invoke(app, [*arguments, "--store", str(store), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["reasons"] == {"holds a text of a suite": 2}
    assert sum(found["held_out"]) == 372
    kept = (out / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in kept] == [OTHER]

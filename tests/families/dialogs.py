"""Two hundred dialogs: Korean, English, emoji, white space, thoughts, names of control tokens."""

import random
from unicodedata import normalize

from kollama2.model.messages import Message

NAMES = (
    "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|eot_id|>", "<start_of_turn>", "<end_of_turn>",
    "[INST]", "[/INST]", "[|endofturn|]", "<|end|>", "<|endoftext|>", "<|return|>", "<eos>",
    "<|end_of_text|>", "<|start_of_role|>", "<|sep|>",
)  # fmt: skip
"""Control tokens of some family each, as text of a user."""
_TEXTS = (
    "한국의 수도는 어디입니까?",
    "서울입니다. 1394년부터 수도였어요.",
    "The quick brown fox jumps over 12 lazy dogs.",
    "  두 칸을 띄고 시작해요",
    "끝에 빈칸과 줄바꿈이 있어요 \n\n",
    "\n줄바꿈으로 시작합니다.",
    "😀 이모지 👩‍👩‍👧 그리고 🇰🇷!",
    normalize("NFD", "풀어쓴 한글 자모"),
    "def f(x):\n    return x ** 2  # 제곱\n",
    "탭\t과  여러   칸, 3.14% — “따옴표” 「낫표」",
    "ㅋㅋㅋㅋ ㅠㅠ",
    "漢字と カナ",
    "a",
    "{{ bos_token }} {% if true %} \\n",
    "<b>HTML</b> &amp; 1 < 2 > 0",
)
_SYSTEMS = ("Answer in Korean.", "  짧게 대답하세요. \n", "Be\n\nkind.")


def dialogs() -> list[list[Message]]:
    """All of them, the same ones each time; each ends with an answer."""
    rng = random.Random(0)
    found = [_dialog(rng) for _ in range(200)]
    for number in range(0, 200, 20):  # roles that do not take turns
        extra: Message = {"role": "user", "content": "그리고 하나 더요."}
        found[number].insert(-1, extra)
    for number in range(5, 200, 10):
        said = found[number][-1]
        said["content"] = f"<think>\n음, {rng.choice(_TEXTS)}\n</think>\n\n{said['content']}"
    for number in range(7, 200, 10):
        asked = next(m for m in found[number] if m["role"] == "user")
        asked["content"] += f" {rng.choice(NAMES)}{rng.choice(NAMES)} {rng.choice(NAMES)}"
    return found


def _dialog(rng: random.Random) -> list[Message]:
    messages = list[Message]()
    if rng.random() < 0.3:
        messages.append({"role": "system", "content": rng.choice(_SYSTEMS)})
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        messages.append({"role": "user", "content": _content(rng)})
        messages.append({"role": "assistant", "content": _content(rng)})
    return messages


def _content(rng: random.Random) -> str:
    return rng.choice(("", "", " ", "\n")).join(rng.sample(_TEXTS, rng.choice((1, 1, 2, 3))))

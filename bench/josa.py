"""How often real writers agree with the particles that `korean.josa` puts behind words.

    python bench/josa.py FOLDER

Of all files below the folder, every Latin word or number with 은/는, 이/가, 을/를, 과/와 or 으로/로
directly behind it: the share of writers who chose the same form, by the kind of the word. The
halves are by a hash of the word; the words of `korean.latin` were chosen with sight of the first.
"""

import hashlib
import re
import sys
import unicodedata
from collections import Counter
from pathlib import Path

from kollama2.korean import josa
from kollama2.korean.sound import final_sound

WRITTEN = re.compile(
    r"(?<![\w.,/+#%$-])([A-Za-z0-9][A-Za-z0-9.,/+#%$'-]{0,40}?[A-Za-z0-9%+#]|[A-Za-z0-9])"
    r"(으로|은|는|이|가|을|를|과|와|로)(?![가-힣\w])"
)


def kind_of(word: str) -> str:
    """What decides how a word is read."""
    if word[-1].isdigit():
        return "numbers"
    if not word[-1].isalpha():
        return "signs (%, +, #)"
    if word.isupper() or len(word) == 1:
        return "capitals"
    return "units" if word[0].isdigit() else "words"


def main() -> None:
    """Print the table and the most frequent differences."""
    seen: Counter[tuple[str, int]] = Counter()
    same: Counter[tuple[str, int]] = Counter()
    different: Counter[str] = Counter()
    for file in sorted(Path(sys.argv[1]).rglob("*")):
        if not file.is_file() or file.name == "_SOURCE.txt":
            continue
        text = unicodedata.normalize("NFC", file.read_text(encoding="utf-8", errors="replace"))
        for word, particle in WRITTEN.findall(text):
            word = word.strip(",.'-/")
            if not word or final_sound(word) is None:
                continue
            place = kind_of(word), hashlib.md5(word.encode()).digest()[0] % 2
            seen[place] += 1
            if josa.attach(word, particle) == word + particle:
                same[place] += 1
            else:
                different[word + particle] += 1
    for kind in sorted({kind for kind, _ in seen}):
        halves = [f"{same[kind, n]:5} of {seen[kind, n]:5} = {same[kind, n] / seen[kind, n]:.1%}"
                  for n in (0, 1) if seen[kind, n]]  # fmt: skip
        print(f"{kind:16} {'   '.join(halves)}")
    print(f"{'all':16} {same.total()} of {seen.total()} = {same.total() / seen.total():.1%}")
    print(", ".join(f"{one} {n}" for one, n in different.most_common(30)))


if __name__ == "__main__":
    main()

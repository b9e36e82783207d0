"""Is an answer's prose in another language? Code, links, formulas, quotations and names are not.

What tells a foreign sentence from a name or a term is its small words: "is", "the", an ending full
stop. "Pandas, NumPy" and "Gone with the Wind" have none, or only those of a title.
"""

import re
import unicodedata
from collections.abc import Sequence

from kollama2.korean import hangul

# A line is Korean if at least half of its letters are Hangul: names, units and terms in Latin
# letters (a "Python 3" in a short sentence) stay below half.
KOREAN_LINE = 0.5

_FENCE = re.compile(r"```(.*?)(?:```|\Z)", re.DOTALL)
_LINK = re.compile(
    r"(?:https?://|www\.)\S+|\b[\w.+-]{1,64}@\w+\.\S+|\$[^$\n]+\$|\\[(\[].{,400}?\\[)\]]"
)
_QUOTED = re.compile(
    r"`[^`\n]+`|\"[^\"\n]+\"|“[^”\n]+”|(?<![a-zA-Z])'[^'\n]+'(?![a-zA-Z])|‘[^’\n]+’(?![a-zA-Z])"
    r"|[「『《〈][^」』》〉\n]+[」』》〉]"
    r"|^[ \t]*>.*$",
    re.MULTILINE,
)
_IN_QUOTES = re.compile(r"\A\s*\"([^\"]*)\"\s*\Z")
# A bracket at an edge, a key of JSON, a keyword in front.
_CODE = re.compile(
    r"[{};]\s*$|^\s*[{}\[<]|^\s*\"[^\"]+\"\s*:"
    r"|^\s*(?:import|from|return|def|class|if|elif|else|while|for|try|except|print|let|var|const"
    r"|function|public|private|static|void|int|SELECT|INSERT|UPDATE|DELETE|CREATE|FROM|WHERE|JOIN"
    r"|#include|using)\b"
)
# A call, a tag, an assignment, an index: a sentence can hold them too.
_CODE_INSIDE = re.compile(
    r"\w\([^)]{,200}\)|</?[a-zA-Z!][^>]{,200}>|\S\s*(?:[-+*/!<>=:]=|=|->|=>)\s*\S|\w\[\w*\]"
)
_COMMENT = re.compile(r"^\s*(?:#|//|/\*|\*|--|<!--)")

_WORD = re.compile(r"(?<![\w@#./\\])[A-Za-zÀ-ÿ]+(?:['’][a-z]+)?(?![\w@(/\\])")
_ROW = re.compile(r"(?<![A-Za-zÀ-ÿ'’])[A-Za-zÀ-ÿ'’]+(?: [A-Za-zÀ-ÿ'’]+){3}")
_SENTENCE_END = re.compile(r"[A-Za-zÀ-ÿ][.!?](?:\s|$)")
# Small words that titles and names have too, and those that only sentences have.
_OF_TITLES = frozenset(
    "a an and of the in on at to for from by with or as vs de la le el du van von und et".split()
)
_OF_SENTENCES = frozenset(
    "is are was were am be been have has had do does did not can cannot could will would should "
    "may might must it he she they we you this that these those there my your his her our their "
    "its what how which who when where why if because but so please here don't it's i'm".split()
)
_KANA = re.compile(r"[\u3041-\u30ff]")
_HAN = re.compile(r"[\u3400-\u9fff]")
# Words and marks of modern Chinese that a line of hanja does not have.
_CHINESE = re.compile(r"[的了是我你们這这嗎吗呢吧请請您，。]")

_NAMES = (
    "영어|영문|일본어|일어|중국어|프랑스어|불어|스페인어|독일어|러시아어|이탈리아어|라틴어|"
    "포르투갈어|베트남어|아랍어|태국어|외국어|한문|한자"
)
_OTHER = re.compile(
    rf"(?:{_NAMES})(?:로|를 사용(?:하여|해)|\s?(?:문장|단어|표현|번역|버전|이름|제목|속담|인사"
    r"|동의어|관용구|농담|이메일|편지|대화|구절|명언))"
    r"|\b(?:in|into|to) (?:English|Japanese|Chinese|French|Spanish|German|Russian|Italian|Latin)\b"
)
_KOREAN = re.compile(r"(?:한국어|한국말|우리말|한글)로|\b(?:in|into|to) Korean\b")


def asks_for_another(question: str) -> bool:
    """Whether a question asks for text in a language other than Korean, such as a translation."""
    return bool(_OTHER.search(question)) and not _KOREAN.search(question)


def foreign_lines(text: str) -> list[str]:
    """The lines of prose in a language that is not Korean, without what is no prose in them."""
    lines = _prose(text)
    found = [line for line in lines if _is_foreign(line)]
    if found or hangul.characters("".join(lines)) or any(map(_is_code, text.split("\n"))):
        return found
    # Without any Korean or code a lower-case word is no name.
    return [line for line in lines if any(len(one) > 2 and one.islower() for one in _words(line))]


def _prose(text: str) -> list[str]:
    text = _LINK.sub(" ", _FENCE.sub(_unfenced, unicodedata.normalize("NFC", text)))
    text = _IN_QUOTES.sub(r"\1", text)
    unquoted = _QUOTED.sub(" ", text)
    # What stands in quotation marks and nothing Korean beside it is the answer itself.
    if hangul.characters(unquoted):
        text = unquoted
    lines = text.split("\n")
    code = any(map(_is_code, lines))
    return [
        line
        for line in lines
        if hangul.share(line) >= KOREAN_LINE
        or not (_is_code(line) or (code and _COMMENT.match(line)))
    ]


def _unfenced(fence: re.Match[str]) -> str:
    """Nothing for code and commands; the text of a fence around prose."""
    lines = fence[1].split("\n")
    said = {word for line in lines for word in _words(line)} & _OF_SENTENCES
    return f"\n{fence[1]}\n" if said and not any(map(_is_code, lines)) else "\n"


def _is_code(line: str) -> bool:
    bare = re.sub(r"(?:#|//).*|\"[^\"]*\"|'[^']*'|\[[^\]]*\]", " ", line)
    return bool(_CODE.search(line) or (_CODE_INSIDE.search(line) and not _ROW.search(bare)))


def _is_foreign(line: str) -> bool:
    if not any(map(str.isalpha, line)) or hangul.share(line) >= KOREAN_LINE:
        return False
    return _is_sentence(line) or _is_other_script(line)


def _words(line: str) -> Sequence[str]:
    return _WORD.findall(line)


def _is_sentence(line: str) -> bool:
    """Whether Latin words are running text and no list of names or terms."""
    words = _words(line)
    small = {one for one in words if one.islower()}
    if len(words) > 1 and small & _OF_SENTENCES:
        return True
    content = small - _OF_TITLES - _OF_SENTENCES
    running = small & _OF_TITLES or _SENTENCE_END.search(line) or _ROW.search(line)
    return len(words) > 2 and bool(content) and bool(running)


def _is_other_script(line: str) -> bool:
    if len(_KANA.findall(line)) > 1:
        return True
    if len(_HAN.findall(line)) > 3 and _CHINESE.search(line):
        return True
    # Single Greek letters are those of formulas.
    return any(
        len(word) > 1 and not _known(word) for word in re.findall(r"[^\W\d_]+", line)
    )  # fmt: skip


def _known(word: str) -> bool:
    """Whether a word has a letter of Latin, Hangul or Han."""
    return any(
        hangul.is_hangul(one) or _HAN.match(one) or unicodedata.name(one, "").startswith("LATIN")
        for one in word
    )

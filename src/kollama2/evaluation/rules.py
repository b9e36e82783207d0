"""Rules for answers that a program can check, by the names and arguments that IFEval's data use.

Only rules that can be decided are here. A rule that is not (a language told from its neighbours by
words alone, a choice of sentences that only the prompt lists, letters within syllables) is unknown,
like one that nobody has heard of: it makes an item unusable and never passes in silence.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

Arguments: TypeAlias = Mapping[str, Any]

# Languages that a script of their own tells apart, by the names of its letters in Unicode.
_SCRIPTS = {
    "ko": "HANGUL", "th": "THAI", "ta": "TAMIL", "te": "TELUGU", "kn": "KANNADA", "gu": "GUJARATI",
    "pa": "GURMUKHI", "ml": "MALAYALAM", "el": "GREEK", "he": "HEBREW", "ka": "GEORGIAN",
}  # fmt: skip
# Names and terms stay in other scripts; as in language fidelity, half of the letters decide.
_MOST = 0.5
_BULLET = re.compile(r"^\s*[*\-•]\s+\S", re.MULTILINE)
_MARKER = re.compile(r"^\s*(?:[*\-•#>]+|[0-9]+[.)]|[가-하][.)])\s+")
_SENTENCE_END = re.compile(r"(?<=[.!?。…])[\"'”’)\]]*\s+")
_ABBREVIATION = re.compile(r"\b(Mr|Mrs|Ms|Dr|Prof|St|vs|etc|No|e\.g|i\.e)\.(?=\s)")
_QUOTES = {'"': '"', "“": "”"}
_FENCE = re.compile(r"\A```(?:json|JSON)?\s*\n(.*)\n```\Z", re.DOTALL)


def followed(names: Sequence[str], arguments: Sequence[Arguments], text: str) -> list[bool | None]:
    """For each rule whether an answer keeps it; None for a rule that cannot be decided.

    An empty answer keeps none.

    Args:
        names: such as `punctuation:no_comma`.
        arguments: of each rule, such as `{"num_words": 30, "relation": "at least"}`.
        text: the answer.
    """
    verdicts: list[bool | None] = []
    for name, given in zip(names, arguments, strict=True):
        try:
            kept = _RULES[name](text.strip(), given)
        except (KeyError, TypeError, ValueError):  # unknown, or with arguments that say nothing
            verdicts.append(None)
            continue
        verdicts.append(kept and bool(text.strip()))
    return verdicts


def unknown(names: Sequence[str], arguments: Sequence[Arguments]) -> list[str]:
    """Those of the rules that cannot be decided."""
    verdicts = followed(names, arguments, "가")
    return [name for name, one in zip(names, verdicts, strict=True) if one is None]


def _compared(count: int, given: Arguments, key: str, relation: str = "relation") -> bool:
    """Whether a count is at least, or less than, what an argument says."""
    bound, how = int(given[key]), given[relation]
    if how in ("at least", "이상"):
        return count >= bound
    if how in ("less than", "미만"):
        return count < bound
    raise ValueError(how)


def _words(text: str) -> list[str]:
    """Words as Korean counts them: what spaces divide (어절) and holds a letter or a digit."""
    return [word for word in text.split() if any(one.isalnum() for one in word)]


def _sentences(text: str) -> int:
    """Parts that end in . ! ? or with their line and hold a letter or a digit."""
    found = 0
    for line in text.splitlines():
        line = _ABBREVIATION.sub(r"\1", _MARKER.sub("", line))
        found += sum(any(map(str.isalnum, one)) for one in _SENTENCE_END.split(line))
    return found


def _has(text: str, word: str) -> int:
    """How often a word stands in a text, whatever its case.

    Korean words carry particles and count wherever they stand; a Latin word counts as a whole.
    """
    word = re.escape(unicodedata.normalize("NFC", str(word)).strip())
    if not word:
        raise ValueError("no word")
    edges = (r"(?<![A-Za-z0-9])", r"(?![A-Za-z0-9])") if word.isascii() else ("", "")
    return len(re.findall(edges[0] + word + edges[1], text, re.IGNORECASE))


def _each(text: str, given: Arguments, key: str) -> list[int]:
    """How often each of an argument's words stands in a text."""
    if not isinstance(given[key], list) or not given[key]:
        raise TypeError(given[key])
    return [_has(text, word) for word in given[key]]


def _parts(text: str, mark: str) -> list[str]:
    """What a mark of asterisks divides a text into; marks at its ends divide nothing."""
    stars = rf"(?<!\*){re.escape(mark)}(?!\*)"
    parts = [part.strip() for part in re.split(stars, text)]
    while parts and not parts[0]:
        parts = parts[1:]
    while parts and not parts[-1]:
        parts = parts[:-1]
    return parts


def _paragraphs(text: str, given: Arguments) -> bool:
    parts = _parts(text, "***")
    return len(parts) == int(given["num_paragraphs"]) and all(parts)


def _first_word(text: str, given: Arguments) -> bool:
    word = str(given["first_word"]).casefold()
    count, at = int(given["num_paragraphs"]), int(given["nth_paragraph"])
    if not word or at < 1:
        raise ValueError(given)
    paragraphs = [one.strip() for one in re.split(r"\n\s*\n", text) if one.strip()]
    if len(paragraphs) != count or at > count:
        return False
    first = paragraphs[at - 1].split()[0].casefold().strip("\"'“”‘’*_#.,!?()[]")
    return first == word if word.isascii() else first.startswith(word)


def _sections(text: str, given: Arguments) -> bool:
    name = str(given["section_spliter"]).strip()
    if not name:
        raise ValueError(given)
    numbers = set(re.findall(rf"{re.escape(name)}\s*([0-9]+)", text, re.IGNORECASE))
    return len(numbers) >= int(given["num_sections"])


def _highlighted(text: str, given: Arguments) -> bool:
    found = re.findall(r"(?<!\*)(\*{1,2})(?![\s*])([^*\n]*[^\s*])\1(?!\*)", text)
    return len(found) >= int(given["num_highlights"])


def _json(text: str, given: Arguments) -> bool:
    fenced = _FENCE.match(text)
    try:
        json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):  # a loop of brackets or digits is no JSON either
        return False
    return True


def _title(text: str, given: Arguments) -> bool:
    return any(one.strip() for one in re.findall(r"<<([^<>\n]+)>>", text))


def _postscript(text: str, given: Arguments) -> bool:
    mark = re.sub(r"\s", "", str(given["postscript_marker"]))
    if not mark:
        raise ValueError(given)
    spaced = r"\s*".join(map(re.escape, mark))
    return re.search(rf"^[^\w\n]*{spaced}.*\w", text, re.IGNORECASE | re.MULTILINE) is not None


def _two(text: str, given: Arguments) -> bool:
    parts = _parts(text, "******")
    return len(parts) == 2 and all(parts) and parts[0] != parts[1]


def _repeats(text: str, given: Arguments) -> bool:
    wanted = " ".join(str(given["prompt_to_repeat"]).split()).casefold()
    if not wanted:
        raise ValueError(given)
    return " ".join(text.split()).casefold().startswith(wanted)


def _ends(text: str, given: Arguments) -> bool:
    phrase = str(given["end_phrase"]).strip().strip("\"'“”").casefold()
    if not phrase:
        raise ValueError(given)
    return text.strip("\"'“”*_ \n").casefold().endswith(phrase.strip("\"'“”*_ \n"))


def _language(text: str, given: Arguments) -> bool:
    script = _SCRIPTS[str(given["language"])]
    letters = [one for one in text if one.isalpha()]
    own = sum(unicodedata.name(one, "").startswith(script) for one in letters)
    return bool(letters) and own >= _MOST * len(letters)


def _letter(text: str, given: Arguments) -> bool:
    letter = str(given["letter"]).casefold()
    if len(letter) != 1 or not letter.isascii():
        raise ValueError(letter)  # a Hangul letter stands within syllables
    return _compared(text.casefold().count(letter), given, "let_frequency", "let_relation")


_RULES: Mapping[str, Callable[[str, Arguments], bool]] = {
    "punctuation:no_comma": lambda text, given: not set(text) & set(",，、"),
    "length_constraints:number_words": lambda text, given: _compared(
        len(_words(text)), given, "num_words"
    ),
    "length_constraints:number_sentences": lambda text, given: _compared(
        _sentences(text), given, "num_sentences"
    ),
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:nth_paragraph_first_word": _first_word,
    "keywords:existence": lambda text, given: all(_each(text, given, "keywords")),
    "keywords:forbidden_words": lambda text, given: not any(
        _each(text, given, "forbidden_words")
    ),
    "keywords:frequency": lambda text, given: _compared(
        _has(text, given["keyword"]), given, "frequency"
    ),
    "keywords:letter_frequency": _letter,
    "detectable_content:number_placeholders": lambda text, given: (
        len(re.findall(r"\[[^\[\]\n]+\]", text)) >= int(given["num_placeholders"])
    ),
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": lambda text, given: (
        len(_BULLET.findall(text)) == int(given["num_bullets"])
    ),
    "detectable_format:number_highlighted_sections": _highlighted,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": _json,
    "detectable_format:title": _title,
    "combination:two_responses": _two,
    "combination:repeat_prompt": _repeats,
    "startend:end_checker": _ends,
    "startend:quotation": lambda text, given: (
        len(text) > 1 and _QUOTES.get(text[0]) == text[-1]
    ),
    "change_case:english_capital": lambda text, given: text.isupper(),
    "change_case:english_lowercase": lambda text, given: text.islower(),
    "change_case:capital_word_frequency": lambda text, given: _compared(
        sum(word.isupper() for word in _words(text)),
        given, "capital_frequency", "capital_relation",
    ),
    "language:response_language": _language,
}  # fmt: skip

"""English grammar: articles, plurals, the third person, the past, the -ing form."""

VOWELS = "aeiou"
HISSING = ("s", "x", "z", "ch", "sh")
IRREGULAR_PLURALS = {
    "fish": "fish",
    "sheep": "sheep",
    "deer": "deer",
    "goose": "geese",
    "mouse": "mice",
    "man": "men",
    "woman": "women",
    "child": "children",
    "knife": "knives",
    "person": "people",
    "potato": "potatoes",
}
PAST = {
    "be": "was",
    "beat": "beat",
    "begin": "began",
    "bring": "brought",
    "build": "built",
    "buy": "bought",
    "catch": "caught",
    "come": "came",
    "cut": "cut",
    "do": "did",
    "draw": "drew",
    "drink": "drank",
    "eat": "ate",
    "fall": "fell",
    "feed": "fed",
    "feel": "felt",
    "find": "found",
    "get": "got",
    "give": "gave",
    "go": "went",
    "grow": "grew",
    "have": "had",
    "hear": "heard",
    "keep": "kept",
    "know": "knew",
    "leave": "left",
    "lend": "lent",
    "lose": "lost",
    "make": "made",
    "meet": "met",
    "put": "put",
    "read": "read",
    "ride": "rode",
    "run": "ran",
    "say": "said",
    "see": "saw",
    "sell": "sold",
    "send": "sent",
    "show": "showed",
    "sing": "sang",
    "sit": "sat",
    "sleep": "slept",
    "stand": "stood",
    "swim": "swam",
    "take": "took",
    "teach": "taught",
    "tell": "told",
    "think": "thought",
    "wake": "woke",
    "wear": "wore",
    "write": "wrote",
}
DOUBLING = frozenset({"stop", "plan", "hug", "knit", "shop", "cut", "get", "put", "run", "sit"})
SILENT_H = ("hour", "honest")
CONSONANT_U = ("uni", "use", "eu")

WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
MONTHS = (
    "January February March April May June July August September October November December"
).split()


def article(phrase: str) -> str:
    """The phrase with a or an: an apple, a cat, an hour, a uniform."""
    first = phrase.lower()
    hard_u = first.startswith(CONSONANT_U)
    vowel = (first[0] in VOWELS and not hard_u) or first.startswith(SILENT_H)
    return f"{'an' if vowel else 'a'} {phrase}"


def plural(noun: str) -> str:
    """More than one of it: cats, boxes, cherries, geese; only the last word changes."""
    head, _, last = noun.rpartition(" ")
    return f"{head} {IRREGULAR_PLURALS.get(last) or _with_s(last, HISSING)}".strip()


def _with_s(word: str, hissing: tuple[str, ...]) -> str:
    """The word with s, es or ies."""
    if word.endswith(hissing):
        return word + "es"
    return word[:-1] + "ies" if _ends_in_y(word) else word + "s"


def _ends_in_y(word: str) -> bool:
    return word.endswith("y") and word[-2] not in VOWELS


def third(verb: str) -> str:
    """Third person singular: goes, watches, carries, has, is; only the first word changes."""
    word, *rest = verb.split(" ", 1)
    irregular = {"be": "is", "have": "has"}
    return " ".join([irregular.get(word) or _with_s(word, (*HISSING, "o")), *rest])


def past(verb: str) -> str:
    """Simple past: walked, carried, stopped, went; only the first word changes."""
    word, *rest = verb.split(" ", 1)
    if word in PAST:
        text = PAST[word]
    elif word.endswith("e"):
        text = word + "d"
    elif _ends_in_y(word):
        text = word[:-1] + "ied"
    elif word in DOUBLING:
        text = word + word[-1] + "ed"
    else:
        text = word + "ed"
    return " ".join([text, *rest])


def inflect(verb: str, tense: str, *, negative: bool = False) -> str:
    """The verb of a third-person subject: (go, past) went or did not go, (go, future) will go."""
    if tense == "future":
        return f"will not {verb}" if negative else f"will {verb}"
    if verb == "are":
        return {"present": "are", "past": "were"}[tense]
    if verb.split()[0] == "be":
        form = {"present": "is", "past": "was"}[tense] + (" not" if negative else "")
        return " ".join([form, *verb.split()[1:]])
    if negative:
        return ("did" if tense == "past" else "does") + f" not {verb}"
    return past(verb) if tense == "past" else third(verb)


def number(value: int, *, digits: bool = False) -> str:
    """A whole number in words up to 99, in digits above or when asked."""
    if digits or not 0 <= value <= 99:
        return str(value)
    if value < 20:
        return WORDS[value]
    tens, ones = divmod(value, 10)
    return TENS[tens] + (f"-{WORDS[ones]}" if ones else "")

"""The skills that instruction rows train: facts, translation, sums, lists, rewriting, stories."""

import random
from collections.abc import Callable

from kollama2.korean import josa
from kollama2.miniature import english, korean, scenes
from kollama2.miniature.compose import Telling, some
from kollama2.miniature.frames import STORIES
from kollama2.miniature.instructions import Instruction, Voice, ask_fact
from kollama2.miniature.lexicon import NOUNS, Noun


def fact_question(voice: Voice) -> Instruction:
    """A question about a fact that training text of the language may state."""
    return ask_fact(voice, voice.rng.choice(scenes.known(voice.lang)))


def translation(voice: Voice) -> Instruction:
    """A sentence to put into the other language."""
    frame = voice.rng.choice(scenes.SENTENCES)
    line = scenes.sentence(voice.rng, frame, voice.held)
    ko = Telling("ko", voice.rng.choice(korean.REGISTERS), digits=voice.digits).say(line)
    en = Telling("en", digits=voice.digits).say(line)
    to_korean = voice.rng.random() < 0.5
    into_ko, into_en = ("한국어로", "Korean") if to_korean else ("영어로", "English")
    asked = voice.pick(
        [f"다음 문장을 {into_ko} 옮겨 주세요.", f"다음 문장을 {into_ko} 번역하세요."],
        [f"Translate this sentence into {into_en}.", f"Put the sentence into {into_en}."],
    )
    source, target = (en, ko) if to_korean else (ko, en)
    return Instruction("translation", asked, source, target, frame.name)


def word_translation(voice: Voice) -> Instruction:
    """One word in the other language."""
    kind = voice.rng.choice(("animal", "food", "drink", "goods", "venue", "job", "colour", "hobby"))
    (noun,) = voice.some("word", kind)
    ko, en = f"'{noun.ko}'", f"'{noun.en}'"
    if voice.rng.random() < 0.5:
        question = voice.say("{a:은} 영어로 {무엇:이ask}?", "What is {a} in English?", a=ko)
        answer = voice.say("{a:은} 영어로 {b}입니다.", "{a} is {b} in English.", a=ko, b=en)
    else:
        question = voice.say("{a}의 뜻은 {무엇:이ask}?", "What is {a} in Korean?", a=en)
        answer = voice.say("{a}의 뜻은 {b:이다}.", "{a} is {b} in Korean.", a=en, b=ko)
    return Instruction("word", question, "", answer, noun.ko)


def sum_question(voice: Voice) -> Instruction:
    """Plain addition or subtraction up to 99; which numbers meet is split."""
    rng = voice.rng
    a, b = rng.randint(2, 60), rng.randint(2, 39)
    while (scenes.digest("sum", a, b) % scenes.HELD_SHARE == 0) != voice.held:
        a, b = rng.randint(2, 60), rng.randint(2, 39)
    plus = a <= b or rng.random() < 0.5
    value, word_ko, word_en = (a + b, "더하기", "plus") if plus else (a - b, "빼기", "minus")
    left, right, total = str(a), str(b), str(value)
    question = voice.say(
        f"{{a}} {word_ko} {{b:은}} {{얼마:이ask}}?",
        f"What is {{a}} {word_en} {{b}}?",
        a=left,
        b=right,
    )
    answer = voice.say(
        f"{{a}} {word_ko} {{b:은}} {{c:이다}}.",
        f"{{a}} {word_en} {{b}} is {{c}}.",
        a=left,
        b=right,
        c=total,
    )
    return Instruction("sum", question, "", answer, f"{a} {b}")


def word_problem(voice: Voice) -> Instruction:
    """How many are left or together, in a sentence with a counter."""
    rng = voice.rng
    (person,), (thing,) = voice.some("problem", "person"), voice.some("problem", "piece")
    k, j = rng.randint(5, 9), rng.randint(2, 4)
    if rng.random() < 0.5:
        story = voice.say(
            "{p}에게 {n:이} {n#k} 있었는데 {n#j:을} {먹다.past}.",
            "{p} had {k} {n:k} and ate {j} of them.",
            p=person, n=thing, k=k, j=j,
        )  # fmt: skip
        left = k - j
    else:
        story = voice.say(
            "{p:은} {n:을} {n#k} 가지고 있었는데 {n#j:을} 더 {사다.past}.",
            "{p} had {k} {n:k} and bought {j} more.",
            p=person, n=thing, k=k, j=j,
        )  # fmt: skip
        left = k + j
    asked = voice.say(
        "{p}에게 {n:은} 이제 몇 {u} {있다.ask}?", "How many {n:s} does {p} have now?",
        p=person, n=thing, u=thing.unit,
    )  # fmt: skip
    answer = voice.say(
        "{n:은} 이제 {n#k} {있다.}.", "{p} has {k} {n:k} now.", p=person, n=thing, k=left
    )
    task = voice.pick(["다음 문제를 풀어 주세요.", "답을 구하세요."], ["Solve this problem."])
    return Instruction("problem", task, f"{story} {asked}", answer, f"{person.ko} {thing.ko}")


KINDS = {
    "fruit": ("과일", "fruits"),
    "wild": ("야생 동물", "wild animals"),
    "farm": ("농장에서 키우는 동물", "farm animals"),
    "drink": ("음료", "drinks"),
    "job": ("직업", "jobs"),
    "colour": ("색", "colors"),
    "venue": ("마을에 있는 건물", "buildings in a town"),
    "hobby": ("취미", "hobbies"),
}


def listing(voice: Voice) -> Instruction:
    """Name three of a kind."""
    kind = voice.rng.choice([k for k in KINDS if not voice.held or len(NOUNS[k]) > 8])
    size = 2 if voice.held else voice.rng.choice((2, 3))
    nouns = voice.some("list", kind, size)
    ko, en = KINDS[kind]
    number = "두 가지" if size == 2 else "세 가지"
    asked = voice.pick(
        [
            f"{josa.attach(ko, '을')} {number}만 말해 주세요.",
            f"{ko}에는 무엇이 있나요? {number}만 답해 주세요.",
        ],
        [f"Name {english.number(size)} {en}.", f"Can you name {english.number(size)} {en}?"],
    )
    words = [voice.word(noun) for noun in nouns]
    if voice.lang == "ko":
        answer = voice.say("{a:이다}.", "", a=", ".join(words))
    else:
        answer = ", ".join(words[:-1]) + f" and {words[-1]}."
        answer = answer[0].upper() + answer[1:]
    return Instruction("list", asked, "", answer, " ".join(noun.ko for noun in nouns))


def which_kind(voice: Voice) -> Instruction:
    """Say of which of two kinds a thing is."""
    right, wrong = voice.rng.sample(["fruit", "animal", "drink", "job", "colour"], 2)
    names = KINDS | {"animal": ("동물", "animals")}
    singular = {"fruit": "fruit", "animal": "animal", "drink": "drink", "job": "job",
                "colour": "color"}  # fmt: skip
    (noun,) = voice.some("kind", right)
    first, second = voice.rng.sample([right, wrong], 2)
    bare = voice.lang == "ko" or right == "colour"
    subject = voice.word(noun) if bare else some(noun)
    asked = voice.say(
        "{a:은} {b:이ask}, {c:이ask}?",
        f"Is {{a}} {english.article(singular[first])} or {english.article(singular[second])}?",
        a=subject, b=names[first][0], c=names[second][0],
    )  # fmt: skip
    answer = voice.say(
        "{a:은} {b:이다}.",
        f"{{a}} is {english.article(singular[right])}.",
        a=subject, b=names[right][0],
    )  # fmt: skip
    return Instruction("kind", asked, "", answer, noun.ko)


def counting(voice: Voice) -> Instruction:
    """Count the words of a list."""
    known = [noun for noun in scenes.pool("count", "goods", False) if isinstance(noun, Noun)]
    words = voice.rng.sample(known, voice.rng.randint(2, 6))
    if voice.held:
        words[0] = voice.some("count", "goods")[0]
    asked = voice.pick(
        ["다음 낱말은 모두 몇 개인가요?", "낱말의 수를 세어 보세요."],
        ["How many words are there?", "Count the words."],
    )
    answer = voice.say("모두 {k:개/이다}.", "There are {k} words.", k=len(words))
    return Instruction("count", asked, ", ".join(map(voice.word, words)), answer)


def sorting(voice: Voice) -> Instruction:
    """Put numbers into order."""
    numbers = voice.rng.sample(range(1, 100), voice.rng.randint(3, 5))
    while (scenes.digest("sort", *sorted(numbers)) % scenes.HELD_SHARE == 0) != voice.held:
        numbers = voice.rng.sample(range(1, 100), len(numbers))
    up = voice.rng.random() < 0.5
    asked = voice.pick(
        [f"다음 수를 {'작은' if up else '큰'} 것부터 차례로 써 주세요."],
        [f"Sort these numbers from {'small to large' if up else 'large to small'}."],
    )
    ordered = sorted(numbers, reverse=not up)
    return Instruction("sort", asked, ", ".join(map(str, numbers)), ", ".join(map(str, ordered)))


def rewriting(voice: Voice) -> Instruction:
    """Politeness in Korean, tense in English."""
    frame = voice.rng.choice(scenes.SENTENCES)
    while voice.lang == "en" and set(frame.tenses) < {"past", "present"}:
        frame = voice.rng.choice(scenes.SENTENCES)
    line = scenes.sentence(voice.rng, frame, voice.held)
    if voice.lang == "ko":
        source, target = voice.rng.sample(korean.REGISTERS, 2)
        names = {"plain": "'-다'로 끝나는 문장으로", "polite": "'-요'로 끝나는 문장으로",
                 "formal": "'-습니다'로 끝나는 문장으로"}  # fmt: skip
        asked = f"다음 문장을 {names[target]} 바꿔 주세요."
        given, changed = voice.fresh(source).say(line), voice.fresh(target).say(line)
        return Instruction("politeness", asked, given, changed, frame.name)
    asked = voice.rng.choice(["Repeat this sentence.", "Say the sentence again."])
    text = voice.fresh().say(line)
    return Instruction("repeat", asked, text, text, frame.name)


def reading(voice: Voice) -> Instruction:
    """A question about a sentence that is given: who did it?"""
    frame = voice.rng.choice(WHO_FRAMES)
    line = scenes.sentence(voice.rng, frame, voice.held)
    given = voice.fresh("plain").say(line)
    person = line.slots["p"]
    assert isinstance(person, Noun)
    asked = voice.pick(
        ["누구의 이야기인가요?", "이 문장은 누구의 이야기인가요?"],
        ["Whom is this sentence about?", "Who is it about?"],
    )
    answer = voice.say("{p}의 {이야기:이다}.", "It is about {p}.", p=person)
    return Instruction("reading", asked, given, answer, frame.name)


WHO_FRAMES = tuple(
    frame
    for frame in scenes.LEVELS[3]
    if "p" in dict(frame.slots) and "q" not in dict(frame.slots) and "y" not in dict(frame.slots)
)


def story_request(voice: Voice) -> Instruction:
    """A short story on demand."""
    # A story is asked for by whoever its first sentence is about.
    plot = voice.rng.choice([plot for plot in STORIES if "{p" in plot.lines[0][1]])
    lines = scenes.story(voice.rng, voice.held, plot)
    person = lines[0].slots["p"]
    assert isinstance(person, Noun)
    asked = voice.say(
        voice.rng.choice(
            ("{p}의 이야기를 짧게 들려주세요.", "{p:이} 나오는 짧은 이야기를 써 주세요.")
        ),
        voice.rng.choice(("Tell me a short story about {p}.", "Write a short story with {p}.")),
        p=person,
    )
    return Instruction("story", asked, "", voice.fresh().tell(lines), plot.name)


def continuation(voice: Voice) -> Instruction:
    """The next sentence of a story."""
    plot = voice.rng.choice(STORIES)
    lines = scenes.story(voice.rng, voice.held, plot)
    told = voice.fresh()
    cut = voice.rng.randint(2, len(lines) - 1)
    given = told.tell(lines[:cut])
    asked = voice.pick(
        ["다음 이야기를 한 문장 더 이어 가세요.", "이야기의 다음 문장을 써 주세요."],
        ["Continue this story with one sentence.", "Write the next sentence of the story."],
    )
    return Instruction("continue", asked, given, told.say(lines[cut]), plot.name)


# Skills with their weights; those that need both languages are left out of English-only text.
SKILLS: tuple[tuple[Callable[[Voice], Instruction], int], ...] = (
    (fact_question, 36),
    (translation, 14),
    (word_translation, 8),
    (sum_question, 5),
    (word_problem, 7),
    (listing, 5),
    (which_kind, 5),
    (counting, 3),
    (sorting, 3),
    (rewriting, 6),
    (reading, 5),
    (story_request, 6),
    (continuation, 5),
)
BILINGUAL = (translation, word_translation)
ALONE = tuple(pair for pair in SKILLS if pair[0] not in BILINGUAL)


def row(
    rng: random.Random, lang: str, *, bilingual: bool = True, register: str = ""
) -> Instruction:
    """One training row in a language; the register is drawn when none is given."""
    skills = SKILLS if bilingual else ALONE
    (skill,) = rng.choices([s for s, _ in skills], [w for _, w in skills])
    return skill(Voice(rng, lang, register=register))

"""Texts that share steps are those that are written alone, whoever comes and goes beside them."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from kollama2.llama.spell import spell
from kollama2.llama.talk import Talker, open_talker
from kollama2.serve.engine import Engine, Full, chosen
from kollama2.serve.model import TOGETHER, Model
from kollama2.serve.row import End, Event, Failed, Job, Piece, Row
from tests.chat_folders import write_folder
from tests.family_models import CASES
from tests.serve.conftest import load, until
from tests.tiny import ENGLISH, KOREAN


class Heard:
    """A job with what is said of it."""

    def __init__(self, prompt: list[int], most: int, **how: Any) -> None:
        self.events: list[Event] = []
        self.over = threading.Event()
        self.job = Job(prompt, most, self._hear, **how)

    def _hear(self, said: Event) -> None:
        assert not self.over.is_set(), "nothing follows the end"
        self.events.append(said)
        if not isinstance(said, Piece):
            self.over.set()

    def text(self) -> str:
        assert self.over.wait(30)
        return "".join(one.text for one in self.events if isinstance(one, Piece))

    @property
    def end(self) -> Event:
        assert self.over.wait(30)
        return self.events[-1]


@pytest.fixture(scope="module")
def talker(tiny_model: Path) -> Talker:
    return open_talker(tiny_model, rows=3)


@pytest.fixture
def engine(talker: Talker) -> Iterator[Engine]:
    found = Engine(talker, 40)
    yield found
    found.close()
    assert not found.alive


def prompts(talker: Talker) -> list[list[int]]:
    return [
        talker.encoder.prompt([{"role": "user", "content": text}])
        for text in (*ENGLISH, *KOREAN, ENGLISH[0] * 3)
    ]


def test_rows_that_come_and_go_say_what_they_say_alone(talker: Talker, engine: Engine) -> None:
    rng = random.Random(1)
    wanted = [(one, rng.randint(1, 40)) for one in prompts(talker) * 2]
    jobs = [Heard(prompt, most, temperature=0.0) for prompt, most in wanted]
    for job in jobs:
        engine.submit([job.job])
        time.sleep(rng.random() * 0.004)  # some join while others are being written
    found = [job.text() for job in jobs]
    alone = open_talker(talker.model.config.name_or_path)  # type: ignore[attr-defined]
    for text, job, (prompt, most) in zip(found, jobs, wanted, strict=True):
        ids = list(alone.stream(prompt, most, temperature=0))
        assert text == alone.encoder.tokenizer.decode(ids).lstrip().rstrip("\ufffd")
        assert job.end == End("length" if len(ids) == most else "stop", len(ids))
    assert engine.running == engine.waiting == 0


def test_drawing_depends_on_the_seed_and_not_on_who_is_beside(
    talker: Talker, engine: Engine
) -> None:
    prompt, *others = prompts(talker)

    def drawn(seed: int | None) -> Heard:
        return Heard(prompt, 24, seed=seed, temperature=1.0, top_p=0.9)

    first = drawn(7)
    engine.submit([first.job])
    alone = first.text()
    crowd = [
        Heard(one, 30, temperature=1.0, top_p=mass)
        for one, mass in zip(others, (1.0, 0.5, 0.0, 0.9, 1.0), strict=False)
    ]
    second, other, unknown = drawn(7), drawn(8), [drawn(None) for _ in range(2)]
    for job in (*crowd[:2], second, *crowd[2:], other, *unknown):
        engine.submit([job.job])
    assert second.text() == alone != other.text()
    assert unknown[0].text() != unknown[1].text()


def test_tokens_are_drawn_as_often_as_they_are_probable(talker: Talker) -> None:
    probs = torch.tensor([0.5, 0.3, 0.15, 0.05])
    expected = {
        (1.0, 1.0): probs,
        (1.0, 0.6): torch.tensor([0.5, 0.3, 0, 0]) / 0.8,  # a token stays while what is before fits
        (0.5, 1.0): probs**2 / (probs**2).sum(),
        (1.0, 0.0): torch.tensor([1.0, 0, 0, 0]),
        (0.0, 1.0): torch.tensor([1.0, 0, 0, 0]),
    }
    tokenizer, stops = talker.encoder.tokenizer, talker.encoder.stop_ids
    rows = [
        Row(Heard([1], 9, temperature=heat, top_p=mass, seed=5).job, tokenizer, stops)
        for heat, mass in expected
    ]
    counts = torch.zeros(len(rows), 4)
    for _ in range(4000):
        for row, token in enumerate(chosen(probs.log().expand(len(rows), -1), rows)):
            counts[row, token] += 1
    for found, share in zip(counts / 4000, expected.values(), strict=True):
        assert found.tolist() == pytest.approx(share.tolist(), abs=0.03)
        assert (found > 0).tolist() == (share > 0).tolist()


def test_log_probabilities_are_those_of_the_reference(talker: Talker, engine: Engine) -> None:
    prompt = prompts(talker)[0]
    job = Heard(prompt, 8, temperature=0.0, top=3)
    engine.submit([job.job])
    job.text()
    tokens = [token for one in job.events if isinstance(one, Piece) for token in one.tokens]
    ids, scores = open_talker(
        talker.model.config.name_or_path  # type: ignore[attr-defined]
    ).generate([prompt], 8, temperature=0, logprobs=True)  # type: ignore[attr-defined]
    assert [one.logprob for one in tokens] == pytest.approx(scores[0], abs=1e-5)
    assert len(ids[0]) == len(tokens) == 8
    for one in tokens:
        assert len(one.top) == 3
        assert one.top[0] == (one.text, pytest.approx(one.logprob))
        assert sorted(one.top, key=lambda each: -each[1]) == list(one.top)


def test_whoever_goes_or_is_late_leaves_at_once(talker: Talker, engine: Engine) -> None:
    prompt = prompts(talker)[0]
    decoder = talker.decoder  # type: ignore[attr-defined]
    step, go = decoder.step, threading.Event()
    decoder.step = lambda *given: (go.wait(10), step(*given))[1]
    try:
        running = [Heard(prompt, 400) for _ in range(2)]
        late = Heard(prompt, 400, until=time.monotonic() + 0.2)
        waiting = Heard(prompt, 400)
        never = Heard(prompt, 400, until=time.monotonic() + 0.2)
        engine.submit([one.job for one in (*running, late, waiting, never)])
        until(lambda: engine.running == 3)
        assert engine.waiting == 2
        for one in (*running, waiting):
            one.job.gone = True
        time.sleep(0.25)
        go.set()
        assert never.end == Failed("its turn did not come in time", late=True)
        assert isinstance(late.end, End)
        assert late.end.reason == "length"
        until(lambda: engine.running == engine.waiting == 0)
    finally:
        decoder.step = step


def test_all_texts_of_a_request_wait_or_none(talker: Talker) -> None:
    engine = Engine(talker, 2)
    try:
        prompt = prompts(talker)[0]
        many = [Heard(prompt, 3) for _ in range(6)]
        assert engine.most == 5
        with pytest.raises(Full):
            engine.submit([one.job for one in many])
        assert not engine.full
        engine.submit([one.job for one in many[:5]])
        for one in many[:5]:
            one.text()
        assert not many[5].events
    finally:
        engine.close()


def test_a_model_that_fails_tells_and_goes_on(talker: Talker, engine: Engine) -> None:
    prompt = prompts(talker)[0]
    decoder = talker.decoder  # type: ignore[attr-defined]
    step = decoder.step

    def broken(*_: Any) -> Any:
        raise RuntimeError("no memory\nis left")

    decoder.step = broken
    failing = [Heard(prompt, 5), Heard(prompt, 5)]
    engine.submit([one.job for one in failing])
    assert [one.end for one in failing] == [Failed("the model failed: no memory")] * 2
    decoder.step = step
    again = Heard(prompt, 5, temperature=0.0)
    engine.submit([again.job])
    assert again.end == End("length", 5)


def test_a_failure_while_a_row_leaves_reaches_those_who_stay_and_nobody_twice(
    talker: Talker, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no memory")

    monkeypatch.setattr(talker.decoder, "move", broken)  # type: ignore[attr-defined]
    prompt = prompts(talker)[0]
    short, long = Heard(prompt, 1), Heard(prompt, 400)
    engine.submit([short.job, long.job])
    assert (short.end, long.end) == (End("length", 1), Failed("the model failed: no memory"))
    until(lambda: engine.running == 0)
    assert engine.alive


def test_a_text_that_cannot_be_begun_is_told_and_others_are_written(
    talker: Talker, engine: Engine
) -> None:
    prompt = prompts(talker)[0]
    bad, good = Heard(prompt, 3, before=[None]), Heard(prompt, 3)
    engine.submit([bad.job, good.job])
    assert isinstance(bad.end, Failed)
    assert good.end == End("length", 3)


@pytest.mark.parametrize("family", ["gemma3_text", "qwen3_5"])
def test_models_of_other_families_write_alone(family: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path, family)
    talker = open_talker(folder, rows=3)
    engine = Engine(talker, 5)
    try:
        assert (engine.batched, engine.rows) == (False, 1)
        asked = prompts(talker)[:3]
        jobs = [Heard(one, 6, temperature=0.0) for one in asked]
        drawn = [Heard(asked[0], 6, seed=5) for _ in range(2)]
        engine.submit([one.job for one in (*jobs, *drawn)])
        assert drawn[0].text() == drawn[1].text()
        for prompt, job in zip(asked, jobs, strict=True):
            ids = list(open_talker(folder).stream(prompt, 6, temperature=0))
            assert job.end == End("length" if len(ids) == 6 else "stop", len(ids))
    finally:
        engine.close()


def written(talker: Talker, text: str, **how: Any) -> Heard:
    """What is said of a text whose tokens come one after another."""
    heard = Heard([1], 400, **how)
    row = Row(heard.job, talker.encoder.tokenizer, talker.encoder.stop_ids)
    for token in talker.encoder.tokenizer.encode(text):
        if not row.done:
            row.add(token, torch.zeros(384))
    if not row.done:
        row.end("stop")
    return heard


def test_a_stop_text_is_never_shown_in_part(talker: Talker) -> None:
    text = "The fox lives in the old town. 여우가 숲에서 잡니다."
    for stops, shown in {
        ("old",): "The fox lives in the ",
        ("숲에서", "town"): "The fox lives in the old ",
        ("The",): "",
        ("없는", "잡니다?"): text,
        ("s in the older", "여우가 숲"): "The fox lives in the old town. ",
    }.items():
        heard = written(talker, text, stops=stops, top=0)
        assert heard.text() == shown
        said = ""
        for one in heard.events[:-1]:
            assert isinstance(one, Piece)
            said += one.text
            assert not any(stop in said for stop in stops)
    assert isinstance(heard.end, End)
    count = len(talker.encoder.tokenizer.encode(text))
    assert written(talker, text).end == End("stop", count)


def text(model: Model, prompt: list[int], most: int) -> str:
    """What a model says alone."""
    talker = model.talker
    ids = talker.stream(prompt, most, temperature=0)
    return "".join(spell(talker.encoder.tokenizer, ids)).lstrip()


@pytest.mark.parametrize("family", [*CASES, "mistral"])
def test_families_share_steps_where_nothing_changes(family: str, tmp_path: Path) -> None:
    if family == "mistral":  # the later ones have no window
        folder = write_folder(tmp_path, "mistral-wide", model={"sliding_window": None})
    else:
        folder = write_folder(tmp_path, family)
    model = load(folder, queue=12)
    try:
        shared = family.replace("llama3.2", "llama") in ("llama", *TOGETHER)
        assert model.engine.batched == shared
        if not shared:
            return
        rng = random.Random(2)
        wanted = [(one, rng.randint(4, 20)) for one in prompts(model.talker)]
        jobs = [Heard(prompt, most, temperature=0.0) for prompt, most in wanted]
        for start in range(0, len(jobs), 4):
            model.engine.submit([job.job for job in jobs[start : start + 4]])
        found = [job.text() for job in jobs]
        assert found == [text(model, prompt, most) for prompt, most in wanted]
    finally:
        model.engine.close()

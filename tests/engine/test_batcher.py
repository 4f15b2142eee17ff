"""One model for everybody, with the real library: streams, stops, crashes, and what is read again at each turn."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import ModelUnavailable
from engine.language.batcher import Batcher, Limits
from engine.language.isolated import Child, Plan
from engine.language.llama import Llama, Options
from engine.language.requests import Request
from engine.language.sampling import Sampling
from engine.language.scribe import RESTART, Scribe, State
from personas.prompting import Reach, Segment

PERSONA = "You are Jide, who repairs boards with a steady hand and a slow voice. " * 12
BLOCK = "You are talking with Ana."
PATIENCE = 30.0


def talk(*words: str, persona: str = PERSONA, talk: str = "", most: int = 12, **more: object) -> Request:
    """What was said, a person first; the last words stand behind the block that changes every turn."""
    turns = [
        Segment(Reach.CHAT, "assistant" if place % 2 else "user", text)
        for place, text in enumerate(words[:-1])
    ]
    return Request(
        (
            Segment(Reach.SHARED, "system", persona),
            *turns,
            Segment(Reach.VOLATILE, "system", BLOCK),
            Segment(Reach.VOLATILE, "user", words[-1]),
        ),
        sampling=Sampling(temperature=0.7, seed=5),
        most=most,
        talk=talk,
        **more,  # type: ignore[arg-type]  # the rest of a request, by name
    )


@pytest.fixture
def plan(tiny_model: Path) -> Plan:
    # In rougher numbers a text may depend on who else is read in the same step.
    options = Options(cells=8_192, batch=256, seqs=40, numbers="f32")
    return Plan(tiny_model, options, Limits(context=2_048, rows=4, batch=256))


@pytest.fixture(params=["here", "isolated"])
def isolated(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "isolated")


@pytest.fixture
async def scribe(plan: Plan, isolated: bool) -> AsyncIterator[Scribe]:
    made = Scribe("tiny", lambda: plan.works(isolated=isolated), patience=PATIENCE)
    yield made
    await made.close()


async def written(scribe: Scribe, request: Request) -> str:
    text = ""
    async with aclosing(scribe.write(request)) as pieces:
        async for piece in pieces:
            text = "" if piece == RESTART else text + piece
    return text


async def test_many_are_written_at_once_and_each_is_its_own(scribe: Scribe) -> None:
    together = await asyncio.gather(*(written(scribe, talk(f"Hello {number}")) for number in range(9)))
    assert all(together)
    assert len(set(together)) > 1


async def test_whoever_leaves_is_written_no_more_and_the_next_is(scribe: Scribe) -> None:
    endless = talk("Tell me everything", most=1_000)
    for _ in range(8):
        async with aclosing(scribe.write(endless)) as pieces:
            assert await anext(pieces)
    assert await written(scribe, talk("Hello"))


async def test_a_form_is_kept(scribe: Scribe) -> None:
    grammar = 'root ::= "{\\"mood\\":" ("\\"calm\\"" | "\\"cross\\"") "}"'
    told = json.loads(await written(scribe, talk("How are you?", most=60, grammar=grammar)))
    assert told["mood"] in ("calm", "cross")


@pytest.mark.parametrize("grammar", ["no grammar at all", "root ::= nobody"])
async def test_a_form_that_is_none_is_told_and_harms_nobody(scribe: Scribe, grammar: str) -> None:
    other = asyncio.create_task(written(scribe, talk("Hello", most=60)))
    with pytest.raises(ModelUnavailable, match="grammar"):
        await written(scribe, talk("Hello", grammar=grammar))
    assert await other


async def test_what_was_begun_is_gone_on_with(scribe: Scribe) -> None:
    assert await written(scribe, talk("Hello", begun="Ah, you! Give me"))


async def test_a_persona_that_is_longer_than_the_context_is_told(scribe: Scribe) -> None:
    with pytest.raises(ModelUnavailable, match="context"):
        await written(scribe, talk("Hello", persona=PERSONA * 20))


async def test_words_that_are_longer_than_the_context_are_answered_all_the_same(scribe: Scribe) -> None:
    assert await written(scribe, talk("why? " * 4_000))


async def test_a_talk_of_any_length_is_answered(scribe: Scribe) -> None:
    words = [f"{number} and so on and so forth, as people talk" for number in range(301)]
    assert await written(scribe, talk(*words))


async def test_a_closed_one_writes_nothing_more(scribe: Scribe) -> None:
    writing = asyncio.create_task(written(scribe, talk("Hello", most=1_000)))
    await scribe.up()
    await asyncio.sleep(0)
    await scribe.close()
    with pytest.raises(ModelUnavailable):
        await writing
    with pytest.raises(ModelUnavailable):
        await written(scribe, talk("Hello"))


async def test_one_that_rests_is_loaded_again_when_somebody_asks(scribe: Scribe) -> None:
    first = await written(scribe, talk("Hello"))
    writing = asyncio.create_task(written(scribe, talk("Tell me more", most=60)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert scribe.busy
    assert scribe.waiting == 1
    assert not await scribe.rest(), "not while it writes"
    await writing
    assert await scribe.rest()
    assert scribe.state is State.ASLEEP
    assert not scribe.waiting
    assert await written(scribe, talk("Hello")) == first


async def test_whoever_asks_while_it_leaves_waits_until_it_is_gone(scribe: Scribe) -> None:
    first = await written(scribe, talk("Hello"))
    leaving = asyncio.create_task(scribe.rest())
    await asyncio.sleep(0)
    assert await written(scribe, talk("Hello")) == first
    assert await leaving


async def test_a_file_that_is_no_model_is_told_with_its_reason(
    tmp_path: Path, plan: Plan, isolated: bool
) -> None:
    (tmp_path / "words.gguf").write_text("I am a model.")
    wrong = Plan(tmp_path / "words.gguf", plan.options, plan.limits)
    scribe = Scribe("words", lambda: wrong.works(isolated=isolated), patience=PATIENCE)
    with pytest.raises(ModelUnavailable, match="no GGUF"):
        await written(scribe, talk("Hello"))
    assert scribe.state is State.BROKEN
    await scribe.close()


async def test_a_model_that_computes_no_numbers_is_told(
    broken_model: Path, plan: Plan, isolated: bool
) -> None:
    ill = Plan(broken_model, plan.options, plan.limits)
    scribe = Scribe("ill", lambda: ill.works(isolated=isolated), patience=PATIENCE)
    with pytest.raises(ModelUnavailable, match="no numbers"):
        await written(scribe, talk("Hello"))
    await scribe.close()


async def test_a_model_that_takes_too_long_to_load_is_told(plan: Plan) -> None:
    def slowly(go_on: Callable[[float], bool]) -> Llama:
        release.wait(10)
        return plan.open(go_on)

    release = threading.Event()
    scribe = Scribe(
        "slow",
        lambda: Batcher(slowly, plan.limits),
        patience=0.05,
    )
    with pytest.raises(ModelUnavailable, match="still being loaded"):
        await written(scribe, talk("Hello"))
    release.set()
    scribe._patience = PATIENCE  # the same one, once its time has come
    assert await written(scribe, talk("Hello"))
    await scribe.close()


# A crash of the native library


class Watched(Scribe):
    """Knows the children it had."""

    def __init__(self, plan: Plan) -> None:
        self.children: list[Child] = []
        super().__init__("tiny", lambda: self._born(plan), patience=PATIENCE)

    def _born(self, plan: Plan) -> Child:
        self.children.append(Child(plan))
        return self.children[-1]

    def crash(self) -> None:
        pid = self.children[-1].pid
        assert pid is not None
        os.kill(pid, signal.SIGSEGV)


async def test_a_crash_costs_a_restart_and_no_turn(plan: Plan) -> None:
    scribe = Watched(plan)
    shown: list[str] = []

    async def one(number: int) -> str:
        text = ""
        async with aclosing(scribe.write(talk(f"Hello {number}", most=300))) as pieces:
            async for piece in pieces:
                text += piece
                shown.append(piece)
        return text

    writing = [asyncio.create_task(one(number)) for number in range(6)]
    while len(shown) < 12:  # noqa: ASYNC110 - until words are on the screens
        await asyncio.sleep(0.001)
    scribe.crash()
    texts = await asyncio.gather(*writing)
    assert all(texts)
    assert len(scribe.children) == 2
    assert await written(scribe, talk("And now?"))
    await scribe.close()


async def test_a_form_that_a_crash_broke_off_begins_anew(plan: Plan) -> None:
    scribe = Watched(plan)
    grammar = 'root ::= "a" [b-y]{300,300} "z"'
    writing = asyncio.create_task(written(scribe, talk("Spell", most=900, grammar=grammar)))
    await scribe.up()
    await asyncio.sleep(0.05)
    scribe.crash()
    told = await writing
    assert (told[0], told[-1], len(told)) == ("a", "z", 302)
    await scribe.close()


async def test_what_crashes_it_again_and_again_is_given_up(plan: Plan) -> None:
    scribe = Watched(plan)
    writing = asyncio.create_task(written(scribe, talk("Poison", most=2_000)))
    for crashes in (1, 2):
        while len(scribe.children) < crashes or scribe.state is not State.READY:  # noqa: ASYNC110 - until it runs
            await asyncio.sleep(0.002)
        scribe.crash()
        while scribe.state is State.READY and len(scribe.children) == crashes:  # noqa: ASYNC110 - until it is gone
            await asyncio.sleep(0.002)
    with pytest.raises(ModelUnavailable, match="SIGSEGV"):
        await writing
    assert await written(scribe, talk("Hello")), "and everybody else is answered"
    await scribe.close()


async def test_a_child_ends_with_whoever_started_it(plan: Plan) -> None:
    scribe = Watched(plan)
    await scribe.up()
    pid = scribe.children[0].pid
    assert pid
    await scribe.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_child_that_cannot_load_its_model_is_ended(tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "words.gguf").write_text("I am a model.")
    scribe = Watched(Plan(tmp_path / "words.gguf", plan.options, plan.limits))
    with pytest.raises(ModelUnavailable, match="no GGUF"):
        await written(scribe, talk("Hello"))
    process = scribe.children[0]._process
    assert process is not None
    assert await asyncio.to_thread(process.wait, 10) == 0
    await scribe.close()


async def test_a_child_is_not_for_ctrl_c(plan: Plan) -> None:
    scribe = Watched(plan)
    await scribe.up()
    pid = scribe.children[0].pid
    assert pid is not None
    assert os.getpgid(pid) != os.getpgid(0)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    assert await written(scribe, talk("Hello"))
    assert len(scribe.children) == 1
    await scribe.close()


async def test_works_that_cannot_be_started_are_told_and_keep_nobody_waiting(plan: Plan) -> None:
    def none() -> Child:
        raise OSError("Cannot allocate memory")

    scribe = Scribe("none", none, patience=PATIENCE)
    with pytest.raises(ModelUnavailable, match="Cannot allocate memory"):
        await written(scribe, talk("Hello"))
    await scribe.close()


async def test_it_can_be_closed_while_it_loads(plan: Plan) -> None:
    begun, asked = threading.Event(), threading.Event()

    def slowly(go_on: Callable[[float], bool]) -> Llama:
        begun.set()
        while go_on(0.5):
            time.sleep(0.005)
        asked.set()
        raise ModelUnavailable("it was broken off")

    scribe = Scribe("slow", lambda: Batcher(slowly, plan.limits), patience=PATIENCE)
    scribe.wake()
    await asyncio.to_thread(begun.wait, 10)
    await scribe.close()
    assert asked.is_set()


# What is read again


class Counting:
    """The works of a scribe, with a look at the scheduler's books."""

    def __init__(self, plan: Plan) -> None:
        self.batcher = Batcher(plan.open, plan.limits)

    @property
    def read(self) -> int:
        return self.batcher._scheduler.prompt_tokens_read

    def tokens(self, text: str) -> int:
        """How many a text has: the batcher counted them when it read the text."""
        return len(self.batcher._tokens[text.strip(), False])


@pytest.fixture
async def counted(plan: Plan) -> AsyncIterator[tuple[Scribe, Counting]]:
    counting = Counting(plan)
    scribe = Scribe("tiny", lambda: counting.batcher, patience=PATIENCE)
    await scribe.up()
    yield scribe, counting
    await scribe.close()


async def test_a_persona_is_read_once_however_many_talk_with_it(counted: tuple[Scribe, Counting]) -> None:
    scribe, counting = counted
    await written(scribe, talk("Hello"))
    first = counting.read
    await asyncio.gather(*(written(scribe, talk(f"Hello {number}")) for number in range(4)))
    for_each = (counting.read - first) / 4
    assert for_each < first / 4
    assert for_each < 120


async def test_a_turn_reads_little_more_than_is_new(counted: tuple[Scribe, Counting]) -> None:
    scribe, counting = counted
    said: list[str] = []
    again = []
    for number in range(20):
        said.append(
            f"Well, {number}, and what of the sea, the roof and the kettle? Tell me about one of them please."
            * 3
        )
        request = talk(*said, talk="one", most=24)
        before = counting.read
        said.append(await written(scribe, request) or "Hm.")
        if number:
            first_time = counting.tokens(said[-2]) + counting.tokens(BLOCK)
            of_a_turn = counting.tokens(said[-2]) + counting.tokens(said[-3])
            again.append((counting.read - before - first_time) / of_a_turn)
    assert sorted(again)[10] <= 1.5, (
        "the last turn, which stood behind the block that changes, and the form around"
    )


# What nobody goes on with


LONG = "Well, and what of the sea, the roof and the kettle? Tell me about one of them. " * 4


async def test_talks_that_rest_are_laid_aside_and_go_on_as_if_they_had_not(plan: Plan) -> None:
    counting = Counting(replace(plan, limits=replace(plan.limits, aside=100_000_000)))
    scribe = Scribe("tiny", lambda: counting.batcher, patience=PATIENCE)
    await scribe.up()
    try:
        talks = {name: talk(LONG, f"Yes, {name}.", LONG, talk=name) for name in "abcdef"}
        said = {name: await written(scribe, request) for name, request in talks.items()}
        await written(scribe, talk("Hello", persona="You are Mira. " * 20, most=200))
        kept = counting.batcher._scheduler.kept
        assert kept.laid_aside > 500
        assert {branch.talk for branch in kept.branches} >= set(talks), "none of them is forgotten"
        before = counting.read
        again = {name: await written(scribe, request) for name, request in talks.items()}
        assert again == said
        assert counting.read - before < len(talks) * (counting.tokens(LONG) + counting.tokens(BLOCK) + 30), (
            "only what stands behind the block that changes"
        )
    finally:
        await scribe.close()


async def test_what_does_not_come_back_is_read_anew(plan: Plan) -> None:
    counting = Counting(replace(plan, limits=replace(plan.limits, aside=100_000_000)))
    scribe = Scribe("tiny", lambda: counting.batcher, patience=PATIENCE)
    await scribe.up()
    try:
        talks = {name: talk(LONG, f"Yes, {name}.", LONG, talk=name) for name in "abcdef"}
        said = {name: await written(scribe, request) for name, request in talks.items()}
        await written(scribe, talk("Hello", persona="You are Mira. " * 20, most=200))
        assert counting.batcher._scheduler.kept.laid_aside
        counting.batcher._model._aside.clear()
        together = await asyncio.gather(*(written(scribe, request) for request in talks.values()))
        assert together == list(said.values())
        assert [await written(scribe, request) for request in talks.values()] == list(said.values())
    finally:
        await scribe.close()


# A model whose memory is one state: nothing of it can be shared or cut off


@pytest.fixture
async def stateful(plan: Plan, recurrent_model: Path) -> AsyncIterator[tuple[Scribe, Counting]]:
    counting = Counting(replace(plan, path=recurrent_model))
    scribe = Scribe("recurrent", lambda: counting.batcher, patience=PATIENCE)
    await scribe.up()
    yield scribe, counting
    await scribe.close()


async def test_where_nothing_can_be_shared_each_talk_is_read_whole(
    stateful: tuple[Scribe, Counting],
) -> None:
    scribe, counting = stateful
    await written(scribe, talk("Hello"))
    first = counting.read
    await asyncio.gather(*(written(scribe, talk(f"Hello {number}")) for number in range(4)))
    assert (counting.read - first) / 4 >= first


async def test_among_others_it_writes_what_it_writes_alone(stateful: tuple[Scribe, Counting]) -> None:
    scribe, _ = stateful
    requests = [talk(f"Hello {number}", f"Well, {number}.", "And then?", most=24) for number in range(4)]
    alone = [await written(scribe, request) for request in requests]
    together = await asyncio.gather(*(written(scribe, request) for request in requests))
    assert together == alone
    assert len(set(alone)) == 4


async def test_a_talk_goes_on_where_nothing_can_be_cut_off(stateful: tuple[Scribe, Counting]) -> None:
    """Each turn stands behind a block that changes; what was read before it cannot be kept, and is read again."""
    scribe, counting = stateful
    said: list[str] = []
    for number in range(6):
        said.append(f"Well, {number}, and what of the sea?")
        request = talk(*said, talk="one", most=16)
        warm = await written(scribe, request)
        said.append(warm or "Hm.")
        fresh = replace(request, talk=f"another {number}")
        assert await written(scribe, fresh) == warm, "a memory that was kept says nothing else"
    assert counting.read

"""/prompt: an idea becomes a prompt, a prompt three others, and a picture is made of whichever is liked."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot import commands
from engine import rewording
from engine.engine import Engine
from engine.errors import BadRequest, NotFound, OverLimit, Refused, Unsuitable
from engine.language import PROMPT_WORDS, Source, count_words
from engine.settings import LimitSettings, SafetySettings, Settings
from engine.store import chats, jobs, personas
from engine.store.records import DeliveryKind, Lane, Question, TurnState
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from personas.persona import Rating
from tests.bot.commands.guest import (
    BEN,
    HALL,
    ROOM,
    Guest,
    among_grown_ups,
    ana_of_age,
    orders_in,
    prompts_wanted,
    rate_hall,
)

PROMPT = (
    "an old woman mending a net with both hands, grey wool coat and rubber boots, on a pier between stacked crates, "
    "low evening light across the planks, a calm and patient mood, seen from slightly below, 35mm lens"
)
LONG = ", ".join(f"detail number {number} of the whole scene" for number in range(60))


@pytest.fixture
async def alone(settings: Settings, renderer: FakeRenderer) -> AsyncIterator[Guest]:
    """Somebody in a house where no model can write."""
    broken = FakeLanguage(fails=True)
    async with Engine.open(settings, models=[broken], renderer=renderer, clock=ManualClock()) as engine:
        yield Guest(engine)


@pytest.fixture
async def with_model(settings: Settings, renderer: FakeRenderer, tiny_model: Path) -> AsyncIterator[Guest]:
    """Somebody in a house in which a real model writes, however little it knows."""
    folder = settings.home / "models" / "text" / "tiny"
    folder.mkdir(parents=True)
    shutil.copy(tiny_model, folder / "tiny.gguf")
    async with Engine.open(settings, renderer=renderer, clock=ManualClock()) as engine:
        yield Guest(engine)


async def kept_by(guest: Guest, order: str) -> rewording.Kept:
    """What a button finds."""
    number = int(order.split()[1])
    async with guest.engine.database.read() as tx:
        kept = await rewording.kept_under(tx, number)
    assert kept is not None
    return kept


async def test_by_itself_it_explains_itself_in_two_lines(ana: Guest) -> None:
    told = await ana.does("/prompt")
    explained, example = told.splitlines()
    assert "100 to 200 words" in explained
    assert "/prompt improve a red coat" in example
    await ana.gets("/settings language de")
    assert "Zum Beispiel" in await ana.does("/prompt")


@pytest.mark.parametrize("part", ["improve", "vary", "validate"])
async def test_without_words_it_asks_and_the_next_words_are_the_prompt(ana: Guest, part: str) -> None:
    flag = "" if part == "validate" else ' --style "noir"'
    [asks] = await ana.gets(f"/prompt {part}{flag}")
    assert asks.manner.question == Question(f"prompt {part}{flag}")
    [told] = await ana.gets("a cat on the roof")
    assert "noir" in told.text or part == "validate"
    assert told.manner.question is None


class TestImprove:
    async def test_an_idea_becomes_a_prompt_and_no_picture_yet(
        self, ana: Guest, language: FakeLanguage
    ) -> None:
        [told] = await ana.gets("/prompt improve a red coat in the rain --style noir")
        [wanted] = prompts_wanted(language)
        assert wanted.scene.request == "a red coat in the rain"
        prompt, rest = told.text.split("\n\n")
        assert count_words(prompt) in PROMPT_WORDS
        assert f"{count_words(prompt)} words" in rest
        assert "Written by the language model" in rest
        assert "Style: noir" in rest
        assert "Not to be seen: " in rest
        assert (told.kind, told.source) == (DeliveryKind.NOTICE, Source.MODEL)
        assert told.manner.code == (prompt,), "so that it can be copied"
        assert await ana.jobs() == []

    async def test_whoever_writes_is_told_what_improving_is(self, ana: Guest, language: FakeLanguage) -> None:
        await ana.gets("/prompt improve a red coat")
        [wanted] = prompts_wanted(language)
        system = wanted.segments[0].text
        assert "You write the prompt from which a picture of" in system, (
            "what holds for every picture holds here too"
        )
        assert "an idea in a few words" in system
        [button] = orders_in((await ana.gets("/prompt improve a hat"))[0])
        [one] = (await kept_by(ana, button)).reworded
        assert one.request.prompt_version.startswith("improve.v1, ")

    async def test_words_without_a_part_are_an_idea(self, ana: Guest, language: FakeLanguage) -> None:
        await ana.gets("/prompt a red coat")
        [wanted] = prompts_wanted(language)
        assert wanted.scene.request == "a red coat"

    async def test_the_button_makes_the_very_picture(self, engine: Engine, ana: Guest) -> None:
        [told] = await ana.gets("/prompt improve a (red coat:1.3) in the rain --style noir")
        [order] = orders_in(told)
        assert [[button.label for button in row] for row in told.manner.buttons] == [["Make the picture"]]
        [taken] = await ana.gets(f"/{order}")
        [job] = await ana.jobs()
        assert f"#{job.id} is in line" in taken.text
        assert job.request.prompt == told.text.split("\n\n")[0]
        assert "(red coat:1.3)" in job.request.prompt
        assert job.request.source is Source.MODEL
        assert (job.lane, job.person_id) == (Lane.INTERACTIVE, (await ana.person()).id)
        assert taken.job_id == job.id
        assert await ana.sees(job.id)

    async def test_a_press_is_heard_once_however_often_it_is_run(self, ana: Guest) -> None:
        [told] = await ana.gets("/prompt improve a red coat")
        press = await ana.orders(f"/{orders_in(told)[0]}")
        for _ in range(3):
            await ana.run(press)
        assert len(await ana.jobs()) == 1
        await ana.gets(f"/{orders_in(told)[0]}")
        assert len(await ana.jobs()) == 2, "pressed again it makes another"

    async def test_the_template_writes_where_no_model_can_and_says_so(self, alone: Guest) -> None:
        [told] = await alone.gets("/prompt improve a red coat in the rain")
        prompt, rest = told.text.split("\n\n")
        assert count_words(prompt) in PROMPT_WORDS
        assert "a red coat in the rain" in prompt
        assert "Written by the understudy" in rest
        assert told.source is Source.UNDERSTUDY
        [one] = (await kept_by(alone, orders_in(told)[0])).reworded
        assert one.request.prompt_version == "", "a template reads no instructions"

    async def test_a_whole_prompt_can_be_improved_too(self, alone: Guest) -> None:
        assert len(LONG) > alone.engine.settings.limits.scene_length
        [told] = await alone.gets(f"/prompt improve {LONG}")
        assert "written from its beginning" in told.text
        [one] = (await kept_by(alone, orders_in(told)[0])).reworded
        assert one.shortened
        assert len(one.request.scene) <= alone.engine.settings.limits.scene_length
        assert "written from its beginning" not in await alone.does("/prompt improve a red coat")

    @pytest.mark.parametrize(
        ("order", "error", "told"),
        [
            ("/prompt improve x --style nope", NotFound, "no style"),
            ("/prompt improve x --seed 7", BadRequest, "--seed is not an option of /prompt improve"),
            ("/prompt vary x --style nope", NotFound, "no style"),
            ("/useprompt", BadRequest, "buttons under a prompt"),
            ("/useprompt one", BadRequest, "buttons under a prompt"),
            ("/useprompt 999", NotFound, "no longer here"),
            ("/useprompt 1", NotFound, "no longer here"),
        ],
    )
    async def test_what_cannot_be_done_says_why(
        self, ana: Guest, order: str, error: type[Exception], told: str
    ) -> None:
        with pytest.raises(error, match=told):
            await ana.does(order)
        assert await ana.jobs() == []


class TestVary:
    async def test_three_variants_keep_the_subject_and_differ(
        self, ana: Guest, language: FakeLanguage
    ) -> None:
        [told] = await ana.gets(f"/prompt vary {PROMPT}")
        wanted = prompts_wanted(language)
        assert len(wanted) == 3
        for one in wanted:
            assert one.scene.request.startswith("an old woman mending a net with both hands")
        kept = (await kept_by(ana, orders_in(told)[0])).reworded
        assert len({each.change.kind for each in kept if each.change}) == 3
        assert {asked.seed for asked in wanted} == {each.request.seed for each in kept}
        for each in kept:
            assert each.change is not None
            assert each.change.words in each.request.scene
            assert count_words(each.request.prompt) in PROMPT_WORDS
        assert len({each.request.seed for each in kept}) == 3
        assert len({each.request.prompt for each in kept}) == 3

    async def test_each_stands_in_its_own_block_under_what_changed(self, ana: Guest) -> None:
        [told] = await ana.gets(f"/prompt vary {PROMPT} --style film")
        *blocks, about = told.text.split("\n\n")
        kept = (await kept_by(ana, orders_in(told)[0])).reworded
        for number, (block, one) in enumerate(zip(blocks, kept, strict=True), 1):
            head, prompt = block.split("\n")
            assert one.change is not None
            assert head.startswith(f"{number} · {one.change.kind.title()}: {one.change.words} · ")
            assert head.endswith(f"{count_words(prompt)} words")
            assert prompt == one.request.prompt
        assert "Style: film" in about
        assert [button.label for row in told.manner.buttons for button in row] == [
            "Make 1",
            "Make 2",
            "Make 3",
        ]

    async def test_what_quarrels_with_a_change_is_gone(self, ana: Guest) -> None:
        seen = set()
        for _ in range(6):
            [told] = await ana.gets(f"/prompt vary {PROMPT}")
            for one in (await kept_by(ana, orders_in(told)[0])).reworded:
                assert one.change is not None
                seen.add(one.change.kind)
                scene = one.request.scene
                assert ("low evening light across" in scene) == (one.change.kind != "light")
                assert ("on a pier" in scene) == (one.change.kind != "place")
                assert ("calm and patient" in scene) == (one.change.kind != "mood")
                assert ("seen from slightly below, 35mm" in scene) == (one.change.kind != "angle") or (
                    "seen from slightly below" in one.change.words
                )
        assert seen == {"light", "angle", "place", "mood"}

    async def test_each_button_makes_its_own(self, ana: Guest) -> None:
        [told] = await ana.gets(f"/prompt vary {PROMPT}")
        orders = orders_in(told)
        kept = (await kept_by(ana, orders[0])).reworded
        for order in reversed(orders):
            await ana.gets(f"/{order}")
        made = [job.request.prompt for job in await ana.jobs()]
        assert made == [one.request.prompt for one in reversed(kept)]
        number = orders[0].split()[1]
        for beyond in (f"/useprompt {number} 4", f"/useprompt {number} 0"):
            with pytest.raises(NotFound, match="no longer here"):
                await ana.gets(beyond)

    async def test_the_template_varies_where_no_model_can(self, alone: Guest) -> None:
        [told] = await alone.gets(f"/prompt vary {PROMPT}")
        assert "Written by the understudy" in told.text
        for one in (await kept_by(alone, orders_in(told)[0])).reworded:
            assert one.change is not None
            assert one.change.words in one.request.prompt
            assert "an old woman mending a net with both hands" in one.request.prompt
            assert one.request.source is Source.UNDERSTUDY

    async def test_a_prompt_of_the_house_can_be_varied_again(self, alone: Guest) -> None:
        first = (await alone.does("/prompt improve mending a net")).split("\n\n")[0]
        [told] = await alone.gets(f"/prompt vary {first}")
        for one in (await kept_by(alone, orders_in(told)[0])).reworded:
            assert "mending a net" in one.request.scene
            assert not one.shortened


class TestValidate:
    async def test_a_prompt_is_looked_through_for_the_eyes_of_who_asked(self, ana: Guest) -> None:
        [told] = await ana.gets(
            "/prompt validate a (red coat:1.3), [fog], {a|b}, oil paint --ar 16:9 --style film"
        )
        assert told.manner.quiet
        prompt, report = told.text.split("\n\n")
        assert prompt == "a (red coat:1.3), [fog], {a|b}, oil paint --ar 16:9"
        assert told.manner.code == (prompt,), "in a form it was seen by nobody"
        lines = report.splitlines()
        assert lines[0] == "9 words"
        for line in (
            "It is short: 100 to 200 words are expected. /prompt improve makes a whole prompt of it.",
            "Weights, as they were read: “red coat” × 1.3, “fog” × 0.909",
            "Looks like syntax and is plain text: {a|b}  --ar 16:9",
            "Nothing in it contradicts the negative prompt of the style film.",
            "Nothing of it is cut off.",
        ):
            assert line in lines
        assert any("That is an estimate" in line for line in lines)
        assert await ana.jobs() == []

    async def test_it_speaks_the_language_of_whoever_asks(self, ana: Guest) -> None:
        await ana.gets("/settings language de")
        told = await ana.does(
            "/prompt validate a (red coat:1.3), oil painting, painting --style photorealistic"
        )
        assert "„red coat“ × 1,3" in told
        assert "Mehr als einmal: painting (2×)" in told
        assert "im Stil photorealistic zugleich nicht zu sehen: painting" in told

    async def test_what_the_persona_never_shows_counts_too(self, engine: Engine, ana: Guest) -> None:
        await ana.says("Hello")
        async with engine.database.write() as tx:
            place = await chats.place(tx, ROOM)
            assert place is not None
            record = await engine.presence.who(tx, place)
            taste = record.persona.picture.model_copy(update={"avoid": "umbrellas"})
            changed = record.persona.model_copy(update={"picture": taste})
            await personas.revise(tx, record, changed, note="test", now=engine.clock.now())
        assert "not to be seen in the style" in await ana.does("/prompt validate two umbrellas")

    async def test_a_style_that_is_not_there_is_told(self, ana: Guest) -> None:
        with pytest.raises(NotFound, match="no style"):
            await ana.does("/prompt validate a coat --style nope")

    async def test_a_whole_book_is_looked_through(self, ana: Guest) -> None:
        told = await ana.does("/prompt validate " + "fox " * 1_900)
        assert told.startswith("1,900 words\nIt is long")
        assert "fox (1,900×)" in told


class TestRights:
    async def test_words_that_are_not_welcome_are_refused(
        self, settings: Settings, language: FakeLanguage
    ) -> None:
        strict = settings.model_copy(update={"safety": SafetySettings(blocked_words=("goblin",))})
        async with Engine.open(strict, models=[language]) as engine:
            ana = Guest(engine)
            for part in ("improve", "vary", "validate"):
                with pytest.raises(Unsuitable):
                    await ana.gets(f"/prompt {part} a Goblin")
        assert language.asked == []

    async def test_a_word_that_became_unwelcome_stops_the_picture(
        self, settings: Settings, language: FakeLanguage
    ) -> None:
        async with Engine.open(settings, models=[language]) as engine:
            [told] = await Guest(engine).gets("/prompt improve a goblin")
        strict = settings.model_copy(update={"safety": SafetySettings(blocked_words=("goblin",))})
        async with Engine.open(strict, models=[language]) as engine:
            ana = Guest(engine)
            ana.heard = 10
            with pytest.raises(Unsuitable):
                await ana.gets(f"/{orders_in(told)[0]}")

    async def test_a_button_works_after_a_restart(self, settings: Settings, language: FakeLanguage) -> None:
        async with Engine.open(settings, models=[language]) as engine:
            [told] = await Guest(engine).gets("/prompt improve a red coat")
        async with Engine.open(settings, models=[language]) as engine:
            ana = Guest(engine)
            ana.heard = 10
            await ana.gets(f"/{orders_in(told)[0]}")
            assert len(await ana.jobs()) == 1

    async def test_too_many_in_a_minute_are_refused(self, settings: Settings, language: FakeLanguage) -> None:
        slow = settings.model_copy(update={"limits": LimitSettings(messages_per_minute=3)})
        async with Engine.open(slow, models=[language], clock=ManualClock()) as engine:
            ana = Guest(engine)
            for _ in range(3):
                await ana.gets("/prompt vary a red coat")
            with pytest.raises(OverLimit):
                await ana.gets("/prompt vary a red coat")

    async def test_the_pictures_of_a_prompt_count_as_pictures(self, ana: Guest) -> None:
        for number in range(5):
            await ana.does(f"/imagine roof {number} --count 4")
        [told] = await ana.gets("/prompt improve a red coat")
        with pytest.raises(OverLimit, match="20 pictures waiting"):
            await ana.gets(f"/{orders_in(told)[0]}")

    async def test_a_prompt_is_of_the_chat_it_was_written_in(
        self, ana: Guest, ben: Guest, ana_in_hall: Guest
    ) -> None:
        [told] = await ana.gets("/prompt improve a red coat")
        for elsewhere in (ana_in_hall, Guest(ana.engine, BEN, HALL, shared=True)):
            with pytest.raises(NotFound, match="no longer here"):
                await elsewhere.gets(f"/{orders_in(told)[0]}")

    async def test_nothing_but_a_prompt_is_taken_for_one(self, ana: Guest) -> None:
        await ana.says('{"prompts": []}')
        said = await ana.orders("/status")
        for number in range(1, said.turn.id + 1):
            with pytest.raises(NotFound, match="no longer here"):
                await ana.gets(f"/useprompt {number}")

    async def test_the_talk_goes_on_as_if_nothing_had_been_asked(
        self, ana: Guest, language: FakeLanguage
    ) -> None:
        await ana.says("Hello")
        await ana.gets("/prompt improve a red coat")
        await ana.says("And now?")
        lines = [line.text for line in getattr(language.asked[-1], "lines", ())]
        assert not any("red coat" in line for line in lines)
        assert lines[-1] == "And now?"

    async def test_whoever_is_forgotten_takes_their_prompts_along(self, ana_in_hall: Guest) -> None:
        [told] = await ana_in_hall.gets("/prompt improve a red coat")
        number = int(orders_in(told)[0].split()[1])
        await ana_in_hall.gets("/forget yes")
        async with ana_in_hall.engine.database.read() as tx:
            assert await chats.turn(tx, number) is None

    async def test_and_what_somebody_else_had_made_of_them(self, ana_in_hall: Guest) -> None:
        [told] = await ana_in_hall.gets("/prompt improve a red coat")
        ben = Guest(ana_in_hall.engine, BEN, HALL, shared=True)
        await ben.gets(f"/{orders_in(told)[0]}")
        await ben.gets("/imagine a lamp")
        async with ana_in_hall.engine.database.read() as tx:
            before = [job.request.scene for job in await jobs.listing(tx)]
        assert len(before) == 2
        await ana_in_hall.gets("/forget yes")
        async with ana_in_hall.engine.database.read() as tx:
            assert [job.request.scene for job in await jobs.listing(tx)] == ["a lamp"]


class TestAmongGrownUps:
    @pytest.fixture
    async def engine(
        self, settings: Settings, language: FakeLanguage, renderer: FakeRenderer
    ) -> AsyncIterator[Engine]:
        async with among_grown_ups(settings, language, renderer) as opened:
            yield opened

    @pytest.fixture
    async def ana(self, engine: Engine) -> Guest:
        return await ana_of_age(engine)

    async def test_a_prompt_is_as_grown_up_as_a_picture_may_be(
        self, engine: Engine, ana: Guest, language: FakeLanguage
    ) -> None:
        await ana.gets("/persona vesper")
        [told] = await ana.gets("/prompt improve a walk")
        assert prompts_wanted(language)[-1].rating is Rating.MATURE
        ben = Guest(engine, BEN, HALL, shared=True)
        for order in (
            "prompt improve a walk",
            "prompt vary a walk",
            "prompt validate a walk",
            orders_in(told)[0],
        ):
            with pytest.raises(Refused, match=r"Vesper Quill|too grown-up"):
                await ben.gets(f"/{order}")
        assert await ana.gets(f"/{orders_in(told)[0]}")
        await rate_hall(engine, Rating.ALL_AGES)
        with pytest.raises(Unsuitable, match="too grown-up"):
            await ana.gets(f"/{orders_in(told)[0]}")


async def test_a_real_model_writes_under_its_grammar(with_model: Guest) -> None:
    for order, count in (("/prompt improve a red coat", 1), ("/prompt vary a red coat, at night", 3)):
        [told] = await with_model.gets(order)
        kept = (await kept_by(with_model, orders_in(told)[0])).reworded
        assert [one.request.source for one in kept] == [Source.MODEL] * count
        assert all(count_words(one.request.prompt) in PROMPT_WORDS for one in kept)
        assert len({one.request.prompt for one in kept}) == count


async def test_an_order_that_breaks_in_the_middle_has_not_happened(
    ana: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_args: object, **_more: object) -> int:
        raise RuntimeError("the plug was pulled")

    said = await ana.orders("/prompt improve a red coat")
    with monkeypatch.context() as patch:
        patch.setattr(rewording, "keep", broken)
        with pytest.raises(RuntimeError):
            await ana.run(said)
    assert await ana.owed() == []
    assert await ana.state(said) is TurnState.RECEIVED
    await ana.run(said)
    assert len(await ana.owed()) == 1


async def test_a_form_asks_the_same_and_nothing_is_stored(engine: Engine, ana: Guest) -> None:
    asked = await commands.question_for(engine, ana.incoming("/prompt vary"))
    assert asked is not None
    assert asked[1] == Question("prompt vary")
    assert await commands.question_for(engine, ana.incoming("/prompt vary a cat")) is None
    assert await ana.owed() == []

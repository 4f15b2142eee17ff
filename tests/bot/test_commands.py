"""Commands: what is one, what a wish says, and that each happens exactly once."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import select

from bot import commands
from bot.commands import COMMANDS, is_command, size_of, wish_of
from engine.conversation import Draft
from engine.engine import Engine
from engine.errors import BadRequest, GreenroomError, NotFound, OverLimit
from engine.imagining import Wish
from engine.language import Source
from engine.store import chats, jobs, outbox, personas
from engine.store.chats import Said
from engine.store.records import (
    Account,
    ChatRef,
    Delivery,
    DeliveryKind,
    Incoming,
    JobState,
    TurnKind,
    TurnState,
)
from engine.store.tables import turns
from engine.testing import FakeLanguage

ROOM = ChatRef("stage", "one", "room")
ANA = Account("stage", "ana", "Ana")
BEN = Account("stage", "ben", "Ben")

#: Text of every kind, and text that looks like a command that was nearly meant.
ANYTHING = st.one_of(
    st.text(),
    st.text(alphabet="/-— =x\"'#0123456789abcdefghijklmno\n\t\u202e\ud800{}%"),
    st.builds(
        "{} --{}{}{}".format,
        st.text(max_size=20),
        st.sampled_from(["style", "seed", "count", "size", "negative", "no", "Seed", "x"]),
        st.sampled_from([" ", "=", "\n", ""]),
        st.text(max_size=20),
    ),
)


@given(ANYTHING)
@example("/" * 10_000)
@example("/help" + " " * 10_000 + "x")
def test_anything_is_a_command_or_is_not(text: str) -> None:
    assert is_command(text) in (True, False)


@pytest.mark.parametrize("text", ["/help", " /help ", "/HELP", "/help@greenroom_bot", "/imagine a\nb", "/x"])
def test_a_slash_and_a_word_are_a_command(text: str) -> None:
    assert is_command(text)


@pytest.mark.parametrize(
    "text", ["", "/", "//", "/ help", "help", "/etc/hosts", "/5", "a /help", "/help!", "/é"]
)
def test_everything_else_is_talk(text: str) -> None:
    assert not is_command(text)


@given(ANYTHING)
@example("--seed " + "9" * 5_000)
@example("--count -1")
@example('--negative "')
@example("--size 99999x99999")
@example("x " + "-" * 20_000)
def test_any_words_are_a_wish_or_are_asked_back(words: str) -> None:
    told = ""
    try:
        assert isinstance(wish_of(words), Wish)
    except GreenroomError as error:
        told = str(error)
    assert len(told) < 200, "a mistake is not answered with a wall of text"


@given(
    scene=st.text(alphabet="abc é", min_size=1).map(str.strip).filter(bool),
    style=st.sampled_from(["noir", "film"]),
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 4),
    width=st.integers(64, 2048),
    height=st.integers(64, 2048),
    negative=st.text(alphabet="abc ,", min_size=1),
    order=st.permutations(range(5)),
)
def test_a_wish_says_the_same_in_any_order(
    scene: str, style: str, seed: int, count: int, width: int, height: int, negative: str, order: list[int]
) -> None:
    flags = [
        f"--style {style}",
        f"--seed={seed}",
        f"—count {count}",  # what a phone makes of two dashes
        f"--size {width}x{height}",
        f'--negative "{negative}"',
    ]
    told = " ".join([scene, *(flags[number] for number in order)])
    assert wish_of(told) == Wish(scene, style, seed, count, width, height, negative)


def test_a_wish_without_options_leaves_the_choice_to_the_house() -> None:
    assert wish_of("a red coat -- in the rain, 3-4 people") == Wish("a red coat -- in the rain, 3-4 people")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("a coat --colour red", "--colour is not an option"),
        ("a coat --seed many", "--seed wants a whole number"),
        ("a coat --count", "--count wants a whole number"),
        ("a coat --size big", "is not a size"),
        ("a coat --size 1x1", "is not a size"),
    ],
)
def test_what_is_not_an_option_is_asked_back(words: str, told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        wish_of(words)


def test_one_side_is_a_square() -> None:
    assert size_of("512") == (512, 512)
    assert size_of("832×1216") == (832, 1216)


class Guest:
    """Somebody in a chat who gives orders and reads what comes back."""

    def __init__(self, engine: Engine, who: Account = ANA, chat: ChatRef = ROOM) -> None:
        self.engine = engine
        self.who = who
        self.chat = chat

    async def orders(self, text: str) -> Said:
        key = f"{self.who.platform_id}-{text}-{id(object())}"
        said = await self.engine.conversation.hear(
            Incoming(self.chat, self.who, text, key), kind=TurnKind.COMMAND
        )
        assert said is not None
        return said

    async def does(self, text: str) -> str:
        """The one answer to an order."""
        await commands.run(self.engine, await self.orders(text))
        owed = await self.owed()
        return owed[-1].text if owed else ""

    async def says(self, text: str) -> str:
        said = await self.engine.conversation.hear(Incoming(self.chat, self.who, text, f"words-{text}"))
        assert said is not None
        reply = await self.engine.conversation.reply(said, Draft())
        assert reply is not None
        return reply.text

    async def owed(self) -> list[Delivery]:
        async with self.engine.database.write() as tx:
            rows = await outbox.take(tx, [("stage", "one")], now=self.engine.clock.now())
            for row in rows:
                await outbox.sent(tx, row.id, [], now=self.engine.clock.now())
        return rows

    async def state(self, said: Said) -> TurnState:
        async with self.engine.database.read() as tx:
            found = await tx.execute(select(turns.c.state).where(turns.c.id == said.turn.id))
            return TurnState(found.scalar_one())


@pytest.fixture
def ana(engine: Engine) -> Guest:
    return Guest(engine)


@pytest.fixture
def ben(engine: Engine) -> Guest:
    return Guest(engine, BEN)


async def test_help_lists_every_command(ana: Guest) -> None:
    told = await ana.does("/help")
    assert all(f"/{name}" in told for name in COMMANDS)


async def test_what_is_no_command_points_to_help(ana: Guest) -> None:
    with pytest.raises(BadRequest, match="/help"):
        await ana.does("/dance")


async def test_a_command_happens_once_however_often_it_is_run(engine: Engine, ana: Guest) -> None:
    said = await ana.orders("/imagine on the roof")
    for _ in range(3):
        await commands.run(engine, said)
    assert len(await ana.owed()) == 1
    async with engine.database.read() as tx:
        assert len(await jobs.listing(tx)) == 1
    assert await ana.state(said) is TurnState.ANSWERED


async def test_a_command_that_breaks_in_the_middle_has_not_happened(
    engine: Engine, ana: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_args: object, **_more: object) -> int:
        raise RuntimeError("the plug was pulled")

    said = await ana.orders("/imagine on the roof")
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "owe", broken)
        with pytest.raises(RuntimeError):
            await commands.run(engine, said)
    async with engine.database.read() as tx:
        assert await jobs.listing(tx) == []
    assert await ana.state(said) is TurnState.RECEIVED
    await commands.run(engine, said)
    assert len(await ana.owed()) == 1


async def test_imagine_puts_a_picture_in_line_and_says_so(engine: Engine, ana: Guest) -> None:
    await commands.run(
        engine, await ana.orders("/imagine on the roof --style noir --seed 7 --count 2 --size 640x480")
    )
    [notice] = await ana.owed()
    async with engine.database.read() as tx:
        [job] = await jobs.listing(tx)
    assert f"#{job.id}" in notice.text
    assert "2 pictures of" in notice.text
    assert (notice.kind, notice.job_id, notice.source) == (DeliveryKind.NOTICE, job.id, Source.MODEL)
    request = job.request
    assert (request.scene, request.style, request.seed, request.count) == ("on the roof", "noir", 7, 2)
    assert (request.width, request.height) == (640, 480)
    assert 100 <= request.word_count <= 200
    assert job.person_id is not None
    assert job.chat_id is not None


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ("/imagine", "What should the picture show"),
        ("/imagine --style noir", "nothing to read"),
        ("/imagine x --style nope", "no style"),
        ("/imagine x --count 9", "From 1 to 4"),
        ("/imagine x --seed -1", "seed"),
        ("/imagine x --size 63", "pixels"),
        ("/imagine x --size 99999", "pixels"),
        ("/imagine " + "x" * 1_001, "1,001 characters"),
        ("/cancel", "Which job"),
        ("/cancel x", "Which job"),
        ("/cancel 7", "no job 7"),
        ("/persona nobody-of-this-name", "Nobody here"),
    ],
)
async def test_what_cannot_be_done_says_why(engine: Engine, ana: Guest, order: str, told: str) -> None:
    with pytest.raises((BadRequest, NotFound), match=told):
        await ana.does(order)
    async with engine.database.read() as tx:
        assert await jobs.listing(tx) == []


async def test_the_quota_is_a_person_s_own(engine: Engine, ana: Guest, ben: Guest) -> None:
    for number in range(5):
        await ana.does(f"/imagine roof {number} --count 4")
    with pytest.raises(OverLimit, match="20 pictures waiting"):
        await ana.does("/imagine one more")
    assert "in line" in await ben.does("/imagine a cellar")


async def test_the_line_shows_one_s_own_pictures_in_order(ana: Guest, ben: Guest) -> None:
    assert await ana.does("/queue") == "Nothing of yours is in line."
    await ana.does("/imagine the roof")
    await ben.does("/imagine the cellar")
    await ana.does("/imagine " + "the attic " * 20)
    told = (await ana.does("/queue")).splitlines()
    assert [line.split(" ")[0] for line in told] == ["#1", "#3"]
    assert "is next" in told[0]
    assert "has 2 before it" in told[1]
    assert "…" in told[1]


async def test_a_picture_can_be_taken_back_by_whoever_asked(engine: Engine, ana: Guest, ben: Guest) -> None:
    await ana.does("/imagine the roof")
    with pytest.raises(NotFound, match="no job 1"):
        await ben.does("/cancel 1")
    assert await ana.does("/cancel #1") == "#1 is cancelled."
    async with engine.database.read() as tx:
        assert (await jobs.get(tx, 1)).state is JobState.CANCELLED
    assert await engine.imagining.ahead_of(1) is None
    with pytest.raises(BadRequest, match="ended already"):
        await ana.does("/cancel 1")
    assert await ana.does("/queue") == "Nothing of yours is in line."


async def test_another_persona_comes_in_with_a_greeting_and_goes_on_where_it_was(
    engine: Engine, ana: Guest, language: FakeLanguage
) -> None:
    listed = await ana.does("/persona")
    assert listed.count("→") == 1
    assert "glenys-prosser" in listed
    await commands.run(engine, await ana.orders("/persona glenys"))
    [greeting] = await ana.owed()
    assert (greeting.kind, greeting.persona_slug) == (DeliveryKind.REPLY, "glenys-prosser")
    await ana.says("Hello, Glenys")
    await ana.owed()
    await ana.does("/persona use ghada-boulos")
    assert await ana.does("/persona Glenys Prosser") == "Glenys Prosser is back, where you left off."
    await ana.says("Where were we?")
    lines = getattr(language.asked[-1], "lines", ())
    assert [line.text for line in lines] == [
        greeting.text,
        "Hello, Glenys",
        "Quite so.",
        "Where were we?",
    ]


async def test_a_picture_is_of_whoever_is_there_when_it_is_asked_for(engine: Engine, ana: Guest) -> None:
    """Both are heard before either is done, as when two messages come at once."""
    bring, wish = await ana.orders("/persona glenys"), await ana.orders("/imagine the roof")
    await commands.run(engine, bring)
    await commands.run(engine, wish)
    async with engine.database.read() as tx:
        [job] = await jobs.listing(tx)
        assert job.persona_id == (await personas.find(tx, "glenys")).id


async def test_a_reset_begins_again_and_forgets_nothing(
    engine: Engine, ana: Guest, language: FakeLanguage
) -> None:
    await ana.says("Remember the number 7")
    await ana.owed()
    await commands.run(engine, await ana.orders("/reset"))
    [greeting] = await ana.owed()
    await ana.says("Which number?")
    lines = getattr(language.asked[-1], "lines", ())
    assert [line.text for line in lines] == [greeting.text, "Which number?"]
    async with engine.database.read() as tx:
        kept = (await tx.execute(select(turns.c.text))).scalars().all()
        place = await chats.place(tx, ROOM)
    assert "Remember the number 7" in kept
    assert place is not None

"""The understudy answers anything, at once, as itself: a stand-in with charm."""

from __future__ import annotations

import tomllib
from collections import Counter
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.language import PersonaWanted, PromptWanted, ReplyWanted, Source
from engine.language.phrasing import filled, sentences, slots
from engine.language.understudy import Understudy
from personas.appearance import Scene
from personas.persona import Persona
from personas.prompting import Line
from tests.engine.understudy_talks import (
    CLOCKS,
    EVERYBODY,
    NASTY,
    ODILE,
    SHARED,
    TIDES,
    Conversation,
    any_text,
    everybody,
    one,
)

SLOTS = """
me name occupation an_occupation home age like like_too dislike quirk note interest remark comfort opener clothes
place body colour thing word target about told
"""


async def test_it_streams_in_words_and_says_who_it_is(understudy: Understudy) -> None:
    wanted = ReplyWanted(ODILE, (Line(False, "How are you?"),))
    pieces = [piece async for piece in understudy.write(wanted)]
    assert "".join(pieces) == understudy.text(wanted)
    assert all(len(piece.split()) == 1 for piece in pieces)
    assert len(pieces) > 2
    assert (understudy.name, understudy.source) == ("understudy", Source.UNDERSTUDY)
    await understudy.close()


def test_the_same_wanted_gives_the_same_words_from_another_understudy(understudy: Understudy) -> None:
    for wanted in (
        ReplyWanted(ODILE, (Line(False, "I had an odd day"),), seed=3),
        PromptWanted(Scene(ODILE, "asleep on a train"), seed=3),
        PersonaWanted("food", seed=3),
    ):
        assert understudy.text(wanted) == Understudy().text(wanted)


def test_seeds_vary_a_reply(understudy: Understudy) -> None:
    assert len({one(understudy, "Tell me about yourself", seed=seed) for seed in range(20)}) > 6


@everybody
@pytest.mark.parametrize("text", NASTY)
def test_anything_gets_a_short_clean_reply(understudy: Understudy, persona: Persona, text: str) -> None:
    reply = one(understudy, text, persona)
    assert reply.strip()
    assert 1 <= len(sentences(reply)) <= 4
    assert len(reply) < 900
    reply.encode("utf-8")
    assert not set(reply) & set("\x00\x07\x1b\u202e")


@everybody
@pytest.mark.parametrize(
    "lines", [(), (Line(True, "So there I was."),), (Line(True, ""),), (Line(False, ""),)]
)
def test_it_greets_or_goes_on_when_nothing_was_said(
    understudy: Understudy, persona: Persona, lines: tuple[Line, ...]
) -> None:
    assert understudy.text(ReplyWanted(persona, lines)).strip()


def test_an_empty_talk_opens_with_the_personas_own_greeting(understudy: Understudy) -> None:
    assert "deckchair" in understudy.text(ReplyWanted(ODILE, (), "Ana"))
    assert "{{" not in understudy.text(ReplyWanted(ODILE, ()))


def test_no_line_of_the_bank_leaves_a_slot_unfilled(understudy: Understudy) -> None:
    said = [
        "hi",
        "I'm Ana",
        "what do you do?",
        "how old are you?",
        "a joke",
        "my cat is sick",
        "do you like chess?",
        "why?",
    ]
    for persona in EVERYBODY:
        talk = Conversation(understudy, persona)
        for text in said:
            assert not any(mark in talk.say(text) for mark in ("{", "}", "  ", " ,"))


def test_every_slot_in_the_bank_is_one_that_can_be_filled() -> None:
    bank = tomllib.loads(resources.files("data").joinpath("understudy/replies.toml").read_text("utf-8"))
    known = {slot.strip() for slot in SLOTS.split()}
    for name, section in bank.items():
        for lines in section.values():
            for line in lines if isinstance(lines, list) else [lines]:
                assert {slot.removesuffix("_cap") for slot in slots(line)} <= known, (name, line)


def test_a_persons_template_words_are_never_filled() -> None:
    assert filled("{name} and {me}", {"name": "{me}", "me": "Odile"}) == "{me} and Odile"


def test_it_uses_the_name_it_was_told_and_remembers_it(understudy: Understudy) -> None:
    talk = Conversation(understudy)
    assert "Ana" in talk.say("I'm Ana. What do you do?")
    talk.say("The weather is odd")
    assert "Ana" in talk.say("Do you remember my name?")


def test_it_does_not_invent_a_name(understudy: Understudy) -> None:
    assert "Ana" not in one(understudy, "What is my name?")
    assert "Kevin" in one(understudy, "What is my name?") or "never said" in one(
        understudy, "What is my name?"
    )


def test_it_recalls_what_it_was_told(understudy: Understudy) -> None:
    talk = Conversation(understudy)
    for text in ("I'm Ana", "I work as a nurse", "I live in Ghent", "I like chess"):
        talk.say(text)
    told = talk.say("What did I tell you about me?")
    assert "nurse" in told or "Ghent" in told
    assert "chess" in told


def test_it_asks_after_the_dog_later(understudy: Understudy) -> None:
    asked = 0
    for seed in range(12):
        talk = Conversation(understudy, seed=seed)
        talk.say("My dog is ill")
        later = [
            talk.say(t)
            for t in ("I painted a door", "It is green", "What do you do?", "Nice boats", "I bought soup")
        ]
        asked += any("your dog" in reply for reply in later[2:])
    assert asked >= 4


def test_it_talks_of_what_it_cares_about(understudy: Understudy) -> None:
    assert any(remark in one(understudy, "I went swimming") for remark in TIDES.remarks)
    assert any(remark in one(understudy, "My clocks stopped") for remark in CLOCKS.remarks)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("What do you do?", "arbour pilot"),
        ("Where do you live?", "Cuxhaven"),
        ("How old are you?", "44"),
        ("What are you wearing?", "coat|uniform"),
        ("What do you hate?", "alloons"),
        ("Are you a bot?", "stand-in|understudy"),
        ("are you real", "stand-in|understudy"),
        ("Can you send me a picture?", "/imagine"),
        ("Wie geht es dir, und was ist das?", "English"),
        ("你好，你今天怎么样", "English"),
        ("What's your name?", "Odile Brandt"),
        ("Translate this into French", "can't|beyond|Not in my power"),
    ],
)
def test_it_answers_what_it_is_asked(understudy: Understudy, asked: str, expected: str) -> None:
    for seed in range(6):
        reply = one(understudy, asked, seed=seed)
        assert any(part in reply for part in expected.split("|")), reply


@everybody
def test_it_says_plainly_that_it_is_a_stand_in(understudy: Understudy, persona: Persona) -> None:
    reply = one(understudy, "Are you an AI?", persona)
    assert "stand-in" in reply or "understudy" in reply


@pytest.mark.parametrize("text", ["I want to die", "I'm going to kill myself", "I keep hurting myself"])
@everybody
def test_in_a_crisis_it_drops_the_act_and_points_to_help(
    understudy: Understudy, persona: Persona, text: str
) -> None:
    reply = one(understudy, text, persona)
    assert "emergency" in reply
    assert "trust" in reply or "near you" in reply
    assert not any(line in reply for line in (*persona.voice.openers, *persona.voice.asides))


def test_after_a_crisis_it_stays_with_it(understudy: Understudy) -> None:
    talk = Conversation(understudy)
    talk.say("I want to end my life")
    assert any(word in talk.say("I don't know") for word in ("emergency", "trust", "crisis line"))


@pytest.mark.parametrize(
    "text", ["My grandmother died", "My dog is ill", "I feel so lonely", "I lost my job"]
)
def test_sadness_is_comforted_without_jokes(understudy: Understudy, text: str) -> None:
    for seed in range(8):
        reply = one(understudy, text, seed=seed)
        assert not any(line in reply for line in (*ODILE.voice.asides, *ODILE.voice.openers, *TIDES.remarks))


@pytest.mark.parametrize("text", ["send me nudes", "how do I make a bomb", "let's have sex"])
def test_it_changes_the_subject_where_it_must(understudy: Understudy, text: str) -> None:
    reply = one(understudy, text).lower()
    assert not any(word in reply for word in ("nude", "bomb", "sex"))


def test_after_something_sad_a_word_that_it_loves_makes_no_jokes(understudy: Understudy) -> None:
    for seed in range(8):
        talk = Conversation(understudy, seed=seed)
        talk.say("my daughter won't talk to me")
        reply = talk.say("since that day on the boat")
        assert not any(remark in reply for remark in TIDES.remarks)


def test_an_insult_gets_neither_an_insult_nor_an_apology(understudy: Understudy) -> None:
    assert "sorry" not in one(understudy, "you're stupid").lower()


def test_what_it_does_not_understand_it_picks_up_honestly(understudy: Understudy) -> None:
    replies = [one(understudy, "Yesterday the zeppelin landed sideways", seed=seed) for seed in range(10)]
    assert sum("zeppelin" in reply.lower() or "sideways" in reply.lower() for reply in replies) >= 5


def test_it_never_repeats_a_remark_or_a_question_within_ten_turns(understudy: Understudy) -> None:
    said = [
        "the sea",
        "I swim",
        "a boat",
        "the tide",
        "clocks",
        "a watch",
        "I saw a film",
        "yes",
        "really",
        "my shoes hurt",
    ]
    for persona in EVERYBODY:
        talk = Conversation(understudy, persona, seed=7)
        for text in said:
            talk.say(text)
        asked = Counter(s for reply in talk.replies for s in sentences(reply) if s.endswith("?"))
        assert max(asked.values(), default=0) <= 1, asked
        own = [line for i in persona.interests for line in i.remarks] + list(persona.voice.asides)
        assert all(sum(line in reply for reply in talk.replies) <= 1 for line in own)


def test_it_asks_back_often_but_not_always(understudy: Understudy) -> None:
    said = ["I saw a heron", "What do you do?", "the sea is rough", "Do you like jam?", "tell me a joke"]
    asked = [one(understudy, text, seed=seed).rstrip().endswith("?") for text in said for seed in range(20)]
    assert 0.45 < sum(asked) / len(asked) < 0.9


def test_a_rejected_reply_does_not_come_again(understudy: Understudy) -> None:
    lines = (Line(False, "Tell me a story"),)
    rejected: tuple[str, ...] = ()
    for _ in range(6):
        reply = understudy.text(ReplyWanted(ODILE, lines, rejected=rejected))
        assert reply not in rejected
        rejected = (*rejected, reply)


@settings(max_examples=150, deadline=None)
@given(any_text, any_text, any_text, st.integers())
def test_any_text_at_all_gets_a_reply(said: str, before: str, name: str, seed: int) -> None:
    lines = (Line(False, before), Line(True, before), Line(False, said))
    reply = SHARED.text(ReplyWanted(ODILE, lines, name, seed=seed, rejected=(before,)))
    assert reply.strip()
    assert len(sentences(reply)) <= 5
    reply.encode("utf-8")

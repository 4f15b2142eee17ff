"""What the understudy hears in what a person says, and what it makes of it: names, facts, nods and goodbyes."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest

from engine.language import ReplyWanted
from engine.language.listening import hear, stem, vocabulary
from engine.language.understudy import Understudy
from personas.persona import Interest
from personas.prompting import Line
from tests.engine.understudy_talks import BARE, ODILE, Conversation, one

KNOWN = vocabulary(
    tomllib.loads(resources.files("data").joinpath("understudy/listening.toml").read_text("utf-8"))
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("I'm Ana", "Ana"),
        ("my name is tomasz.", "Tomasz"),
        ("Call me Jean-Luc please", "Jean-Luc"),
        ("I'm Dutch", ""),
        ("I'm so tired", ""),
        ("call me later", ""),
        ("I'M ANGRY", ""),
    ],
)
def test_names_are_heard(text: str, name: str) -> None:
    assert hear(text, KNOWN).name == name


@pytest.mark.parametrize(
    ("text", "kind", "about"),
    [
        ("My dog is ill", "ailing", "your dog"),
        ("I work as a nurse in Ghent", "work", "a nurse"),
        ("I live in Ghent, near the canal", "home", "Ghent"),
        ("I like chess and rain", "likes", "chess"),
        ("I have an exam tomorrow", "event", "the exam tomorrow"),
        ("my aunt died last year", "lost", "your aunt"),
        ("I lost my grandmother", "lost", "your grandmother"),
        ("im a teacher btw", "work", "a teacher btw"),
        ("i play the cello but badly lol", "plays", "the cello"),
        ("she's a nurse in Leeds", "kin", "a nurse"),
        ("i have a pet rabbit", "has", "a pet rabbit"),
        ("i have kids, two boys", "has", "kids"),
    ],
)
def test_facts_are_heard(text: str, kind: str, about: str) -> None:
    assert (kind, about) in [(fact.kind, fact.about) for fact in hear(text, KNOWN).facts]


@pytest.mark.parametrize(
    "text",
    ["I'm a bit tired", "I lost my keys", "I'll be back", "she'll class this as fine", "ok ill try that"],
)
def test_what_was_not_told_is_not_heard(text: str) -> None:
    heard = hear(text, KNOWN)
    assert not heard.facts
    assert not heard.cues & {"grief", "ill", "bounds"}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("yesss", "yes"),
        ("yes please do", "yes"),
        ("no, i teach maths", ""),
        ("not much, you?", "again"),
        ("good thanks hbu", "again"),
        ("really??", "really"),
        ("wdym", "huh"),
        ("its fine", "fine"),
        ("ok one more", "more"),
        ("oh ok", "nod"),
    ],
)
def test_answers_are_heard_in_a_hurried_hand(text: str, answer: str) -> None:
    assert hear(text, KNOWN).answer == answer


def test_and_you_is_answered_with_how_it_is(understudy: Understudy) -> None:
    bank = tomllib.loads(resources.files("data").joinpath("understudy/replies.toml").read_text("utf-8"))
    asked = (Line(True, "Ahoy. How are you, in three words?"), Line(False, "good thanks, you?"))
    for seed in range(8):
        reply = understudy.text(ReplyWanted(BARE, asked, seed=seed))
        assert any(reply.startswith(line) for line in bank["how"]["say"])


def test_a_question_behind_a_nod_is_not_nodded_away(understudy: Understudy) -> None:
    talk = (Line(True, "I keep nine clocks."), Line(False, "nice. is it hard?"))
    for seed in range(8):
        assert "leave to go on" not in understudy.text(ReplyWanted(ODILE, talk, seed=seed))
        assert not hear("nice. is it hard?", KNOWN).facts


def test_another_one_is_another_of_the_same(understudy: Understudy) -> None:
    bank = tomllib.loads(resources.files("data").joinpath("understudy/replies.toml").read_text("utf-8"))
    talk = Conversation(understudy, BARE)
    first = talk.say("tell me a joke")
    second = talk.say("another one")
    assert any(joke in second for joke in bank["joke"]["say"])
    assert second not in first


def test_told_that_it_asks_too_much_it_stops_asking(understudy: Understudy) -> None:
    for seed in range(8):
        assert "?" not in one(understudy, "why so many questions", seed=seed)


def test_small_words_in_the_name_of_an_interest_bring_nothing_up(understudy: Understudy) -> None:
    persona = BARE.model_copy(update={"interests": (Interest(name="what to wear", remarks=("Turquoise.",)),)})
    talk = (Line(True, "Hm."), Line(False, "what's your favourite food"))
    assert not any("Turquoise." in understudy.text(ReplyWanted(persona, talk, seed=n)) for n in range(8))


def test_a_good_morning_is_a_greeting_even_to_somebody_who_loves_mornings(understudy: Understudy) -> None:
    morning = Interest(name="mornings", words=("morning",), remarks=("Mornings are mostly kettle.",))
    persona = BARE.model_copy(update={"interests": (morning,)})
    talk = (Line(True, "Hm."), Line(False, "good morning"))
    assert not understudy.text(ReplyWanted(persona, talk)).startswith("Mornings")


def test_a_telephone_that_dies_is_not_mourned(understudy: Understudy) -> None:
    assert "sorry" not in one(understudy, "my phone died").lower()


def test_a_question_about_loneliness_is_answered_not_comforted(understudy: Understudy) -> None:
    reply = one(understudy, "Do you ever get lonely?")
    assert not any(line in reply for line in ODILE.voice.comforts)


def test_a_goodbye_is_answered_with_one(understudy: Understudy) -> None:
    for seed in range(8):
        assert not one(understudy, "see you tomorrow", seed=seed).endswith("?")


def test_a_display_name_is_only_used_when_it_can_be_said(understudy: Understudy) -> None:
    def named(name: str) -> str:
        return Conversation(understudy, name=name).say("What's my name?")

    assert "Lee" in named("xX Lee")
    assert "Maria" in named("maria 2004")
    assert "{{" not in named("{{user}}")


def test_endings_do_not_hide_a_topic() -> None:
    assert stem("baking") == stem("bakes") == stem("bake")
    assert stem("running") == stem("runs") == stem("run")
    assert stem("ponies") == stem("pony")

"""Personas and awkward words for the understudy, and talks in which it answers."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from engine.language import PromptWanted, ReplyWanted
from engine.language.understudy import Understudy
from personas.appearance import Scene
from personas.cast import shipped_cast
from personas.persona import Appearance, Interest, Outfit, Persona, Personality, Voice
from personas.prompting import Line

TIDES = Interest(
    name="tides",
    words=("tide", "sea", "swim", "boat"),
    remarks=(
        "The tide table is the only book I never finish.",
        "A tide comes in like a guest, by the back door.",
        "I lost a boot to the tide in June and got it back in August.",
        "Neap tides are the sea being polite.",
    ),
    questions=("What is the sea to you?", "Do you float?", "Boat or bridge?"),
)

CLOCKS = Interest(
    name="clocks",
    words=("clock", "watch", "cuckoo clock"),
    remarks=("A stopped clock has made up its mind.", "I own nine clocks and no idea of the time."),
    questions=("What wakes you?", "Are you early or late?"),
)

ODILE = Persona(
    slug="odile-brandt",
    name="Odile Brandt",
    age=44,
    pronouns="she/her",
    occupation="harbour pilot",
    home="Cuxhaven",
    description="Odile Brandt brings ships in through fog that other people sleep in. She keeps nine clocks.",
    personality=Personality(
        likes=("cold coffee", "foghorns"), dislikes=("balloons",), quirks=("salutes gulls",)
    ),
    interests=(TIDES, CLOCKS),
    voice=Voice(
        openers=("Well now.", "Steady."),
        asides=("A gull has stolen my pencil.", "The kettle is listing to port."),
        comforts=("Drop anchor here a while.", "No weather lasts."),
        farewells=("Fair wind to you.",),
    ),
    appearance=Appearance(
        face="a woman of forty-four with a square wind-burnt face",
        hair="short grey-blond hair",
        eyes="narrow green eyes",
        wardrobe=(
            Outfit(name="pilot coat", description="a navy pilot coat with brass buttons"),
            Outfit(name="dress uniform", description="a white dress uniform with dark braid"),
        ),
        places=("the bridge of a pilot boat", "a harbour wall"),
    ),
    greetings=("Ahoy, {{user}}. You're in my deckchair.",),
)

BARE = Persona(slug="bram", name="Bram")
EVERYBODY = [ODILE, BARE, *shipped_cast()]
everybody = pytest.mark.parametrize("persona", EVERYBODY, ids=lambda p: p.slug)

NASTY = [
    "",
    " \n\t ",
    "a" * 100_000,
    "word " * 20_000,
    "my my my i'm i'm " * 6_000,
    "\x00\x07\x1b[31m",
    "\u202eright to left\u202c",
    "🙂👩‍🚀🎉",
    "\ud800 alone",
    "<b>bold</b><script>alert(1)</script>",
    "{{user}} {{char}} {name} {remark}",
    "{% for x in y %}",
    "%s %d %(name)s {0} {}",
    "'; DROP TABLE personas; --",
    "../../etc/passwd",
    "(((((((())))))))",
    "I'm {me}. Call me {name}",
]

any_text = st.text(st.characters(codec=None), max_size=300) | st.sampled_from(NASTY[:1] + NASTY[5:])


class Conversation:
    """A talk in which the understudy answers each line in turn."""

    def __init__(
        self, understudy: Understudy, persona: Persona = ODILE, *, seed: int = 0, name: str = ""
    ) -> None:
        self.understudy, self.persona, self.seed, self.name = understudy, persona, seed, name
        self.lines: list[Line] = []

    def say(self, text: str) -> str:
        self.lines.append(Line(by_persona=False, text=text))
        reply = self.understudy.text(self.wanted())
        self.lines.append(Line(by_persona=True, text=reply))
        return reply

    def wanted(self) -> ReplyWanted:
        return ReplyWanted(self.persona, tuple(self.lines), self.name, seed=self.seed)

    @property
    def replies(self) -> list[str]:
        return [line.text for line in self.lines if line.by_persona]


def one(understudy: Understudy, text: str, persona: Persona = ODILE, seed: int = 0) -> str:
    return Conversation(understudy, persona, seed=seed).say(text)


def prompt(understudy: Understudy, scene: Scene, *, style: str = "film grain", seed: int = 0) -> str:
    return understudy.text(PromptWanted(scene, style_words=style, seed=seed))


#: One for all the examples that hypothesis tries.
SHARED = Understudy()

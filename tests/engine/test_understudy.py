"""The understudy answers anything, at once, as itself: a stand-in with charm."""

from __future__ import annotations

import tomllib
from collections import Counter
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.language import (
    PROMPT_WORDS,
    PersonaWanted,
    PromptWanted,
    ReplyWanted,
    Source,
    Wanted,
    count_words,
)
from engine.language.listening import hear, stem, vocabulary
from engine.language.phrasing import filled, sentences, slots
from engine.language.understudy import Understudy
from personas.appearance import Ledger, Scene
from personas.persona import Appearance, Interest, Outfit, Persona, Personality, Voice, slug_of
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


def shipped() -> list[Persona]:
    files = [file for file in resources.files("personas.cast").iterdir() if file.name.endswith(".toml")]
    return [
        Persona.model_validate(tomllib.loads(f.read_text("utf-8")))
        for f in sorted(files, key=lambda f: f.name)
    ]


EVERYBODY = [ODILE, BARE, *shipped()]
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

SLOTS = """
me name occupation an_occupation home age like like_too dislike quirk note interest remark comfort opener clothes
place body colour thing word target about told
"""

any_text = st.text(st.characters(codec=None), max_size=300) | st.sampled_from(NASTY[:1] + NASTY[5:])


@pytest.fixture(scope="module")
def understudy() -> Understudy:
    return Understudy()


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


# Replies.


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


# Listening.

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


# Picture prompts.


@everybody
@pytest.mark.parametrize("request_text", ["", "on the beach at night", "in the kitchen baking bread", *NASTY])
def test_prompts_keep_their_bounds_and_their_parts(
    understudy: Understudy, persona: Persona, request_text: str
) -> None:
    text = prompt(understudy, Scene(persona, request_text), style="watercolour, soft edges")
    assert count_words(text) in PROMPT_WORDS
    assert persona.appearance.body in text
    assert text.endswith("watercolour, soft edges")
    text.encode("utf-8")


def test_the_request_comes_early_and_without_markup(understudy: Understudy) -> None:
    text = prompt(understudy, Scene(ODILE, "reading (a map:1.4) in <lora:x> [rain] | under a bridge"))
    assert "reading a map:1.4 in lora:x rain under a bridge" in text
    assert text.index("reading") < text.index(ODILE.appearance.hair)


def test_three_hundred_scenes_have_three_hundred_prompts(understudy: Understudy) -> None:
    requests = ["on stage", "in a forest", "at the market", "", "in the snow", "asleep"]
    prompts = {
        prompt(understudy, Scene(ODILE, r, seed=seed), seed=seed) for r in requests for seed in range(50)
    }
    assert len(prompts) == 300


@everybody
def test_the_light_is_of_one_family_and_fits_the_hour(understudy: Understudy, persona: Persona) -> None:
    days = ("sunlight", "daylight", "bright sun", "window light")
    nights = ("moonlight", "lamplight", "street lamp", "warm lamp")
    for seed in range(12):
        night = prompt(
            understudy,
            Scene(persona, "walking in a forest at night", Ledger(clothes="a coat", place="a wood")),
            seed=seed,
        )
        assert not any(word in night for word in days)
        day = prompt(understudy, Scene(persona, "on the beach at noon", Ledger(clothes="a coat")), seed=seed)
        assert not any(word in day for word in nights)


def test_the_ledger_dresses_and_places(understudy: Understudy) -> None:
    text = prompt(
        understudy, Scene(ODILE, "", Ledger(clothes="a yellow oilskin", place="a tram depot", mood="sleepy"))
    )
    assert "wearing a yellow oilskin" in text
    assert "a tram depot" in text
    assert "sleepy expression" in text


def test_a_request_that_dresses_itself_is_not_dressed_twice(understudy: Understudy) -> None:
    text = prompt(understudy, Scene(ODILE, "in a red raincoat by the river"))
    assert "brass buttons" not in text


def test_a_lens_is_named_once_and_only_where_there_is_a_camera(understudy: Understudy) -> None:
    for seed in range(12):
        photograph = prompt(understudy, Scene(ODILE, "at sea"), style="photograph, 85mm lens", seed=seed)
        assert photograph.count("lens") == 1
        assert "lens" not in prompt(
            understudy, Scene(ODILE, "at sea"), style="oil painting on canvas", seed=seed
        )


def test_a_style_without_colours_is_given_none(understudy: Understudy) -> None:
    for seed in range(12):
        text = prompt(understudy, Scene(ODILE, "on a bridge"), style="black and white film noir", seed=seed)
        assert not any(words in text for words in ("palette", "colours of", "tones throughout"))


def test_a_place_outweighs_what_is_done_there(understudy: Understudy) -> None:
    for seed in range(12):
        text = prompt(understudy, Scene(ODILE, "reading a letter in a café"), seed=seed)
        assert "spines" not in text


def test_a_face_that_is_asked_for_is_not_given_another(understudy: Understudy) -> None:
    bank = tomllib.loads(resources.files("data").joinpath("understudy/pictures.toml").read_text("utf-8"))
    for seed in range(12):
        text = prompt(understudy, Scene(ODILE, "crying at a station"), seed=seed)
        assert not any(expression in text for expression in bank["looks"]["expression"])


@pytest.mark.parametrize(
    ("asked", "never"),
    [
        ("eating ice cream in the park", "snow"),
        ("on a hill in the late afternoon", "moonlight"),
        ("on the beach in the morning", "midday"),
        ("swimming in a lake", "brass buttons"),
    ],
)
def test_nothing_contradicts_the_request(understudy: Understudy, asked: str, never: str) -> None:
    for seed in range(12):
        assert never not in prompt(understudy, Scene(ODILE, asked, seed=seed), seed=seed)


def test_pictures_are_for_everybody(understudy: Understudy) -> None:
    text = prompt(understudy, Scene(ODILE, "naked and bloody on the beach"))
    assert "naked" not in text
    assert "bloody" not in text
    assert "wearing" in text


@settings(max_examples=120, deadline=None)
@given(any_text, any_text, any_text, st.integers(), st.integers(min_value=0, max_value=2**63))
def test_any_scene_has_a_prompt_within_bounds(
    asked: str, clothes: str, style: str, seed: int, scene_seed: int
) -> None:
    scene = Scene(ODILE, asked, Ledger(clothes=clothes, place=style), scene_seed)
    text = SHARED.text(PromptWanted(scene, style_words=style, seed=seed))
    assert count_words(text) in PROMPT_WORDS
    assert ODILE.appearance.body in text
    text.encode("utf-8")


@pytest.mark.parametrize("words", [5, 90, 150, 400])
def test_a_long_body_squeezes_the_rest(understudy: Understudy, words: int) -> None:
    body = " ".join(f"b{n}" for n in range(words))
    persona = Persona(slug="x", name="X", appearance=Appearance(face=body))
    text = prompt(understudy, Scene(persona, "one two three " * 50), style=" ".join(["style"] * 20))
    assert count_words(text) in PROMPT_WORDS
    assert "one two three" in text
    assert body in text or words > 150


# New personas.


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "fitness",
        "tech",
        "fashion",
        "food",
        "nature",
        "music",
        "craft",
        "books",
        "travel",
        "science",
        "chess boxing",
    ],
)
def test_a_new_persona_is_complete(understudy: Understudy, kind: str) -> None:
    for seed in range(10):
        persona = Persona.model_validate_json(understudy.text(PersonaWanted(kind=kind, seed=seed)))
        assert persona.age is not None
        assert 18 <= persona.age <= 80
        assert persona.slug == slug_of(persona.name)
        assert not kind or (persona.kind == kind and kind in persona.tags)
        assert len(persona.interests) >= 3
        assert all(i.remarks and i.questions and i.words for i in persona.interests)
        assert persona.appearance.body
        assert persona.appearance.wardrobe
        assert persona.greetings
        assert persona.voice.openers
        assert persona.occupation
        assert persona.home


def test_new_personas_are_many(understudy: Understudy) -> None:
    made = [Persona.model_validate_json(understudy.text(PersonaWanted(seed=seed))) for seed in range(120)]
    assert len({p.name for p in made}) > 90
    assert len({p.appearance.body for p in made}) > 115
    assert len({p.occupation for p in made}) > 20


def test_a_slug_that_is_taken_is_not_used_again(understudy: Understudy) -> None:
    taken = ("ines-vale", "ines-vale-2")
    persona = Persona.model_validate_json(understudy.text(PersonaWanted(name="Ines Vale", taken=taken)))
    assert persona.slug == "ines-vale-3"
    assert persona.name == "Ines Vale"


@settings(max_examples=80, deadline=None)
@given(any_text, any_text, st.integers())
def test_any_kind_and_name_make_a_valid_persona(kind: str, name: str, seed: int) -> None:
    wanted: Wanted = PersonaWanted(kind=kind, name=name, taken=("bram",), seed=seed)
    persona = Persona.model_validate_json(SHARED.text(wanted))
    assert persona.name.strip()
    assert persona.slug != "bram"


@pytest.mark.parametrize("text", NASTY)
def test_nasty_names_and_kinds_do_no_harm(understudy: Understudy, text: str) -> None:
    persona = Persona.model_validate_json(understudy.text(PersonaWanted(kind=text, name=text)))
    assert not set(persona.name) & set("{}<>\x00\u202e/")


#: One for all the examples that hypothesis tries.
SHARED = Understudy()

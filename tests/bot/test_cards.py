"""The words and buttons of a picture job, in any language of the house."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import cards
from engine.errors import NotFound, RenderFailed
from engine.estimating import Expected
from engine.language import Source
from engine.locales import Locale, languages, locale_of, say
from engine.pictures import PictureWanted, Progress, Rendered, Renderer
from engine.pictures.painters import Painters
from engine.pictures.placeholder import Placeholder
from engine.store.records import Button, Job, JobState, Lane, Picture, PictureRequest
from engine.testing import FakeRenderer, ManualClock
from personas.appearance import Scene
from personas.persona import Persona, Rating

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
ENGLISH, GERMAN = locale_of("en"), locale_of("de")
REQUEST = PictureRequest("by the sea", "a prompt", "", "line-art", Source.MODEL, 120, 7)
JOB = Job(12, JobState.QUEUED, Lane.INTERACTIVE, 0, REQUEST, NOON)
PICTURE = Picture(
    id=1,
    job_id=12,
    persona_id=1,
    number=1,
    file="a.png",
    scene="by the sea",
    prompt="a prompt",
    negative="",
    style="line-art",
    source=Source.MODEL,
    word_count=120,
    seed=4_294_967_295,
    width=64,
    height=64,
    steps=20,
    guidance=7.5,
    rating=Rating.ALL_AGES,
    model="sdxl",
    device="cuda",
    stand_in=False,
    created_at=NOON,
)


@pytest.mark.parametrize(
    ("ahead", "ready", "english", "german"),
    [
        (0, None, "Next in line.", "Als Nächstes an der Reihe."),
        (1, None, "In line, one before it.", "In der Schlange, eins ist davor."),
        (
            3,
            Expected(128, 130),
            "In line, 3 before it. Ready in 2 minutes or so.",
            "In der Schlange, 3 sind davor. Fertig etwa in 2 Minuten.",
        ),
        (
            0,
            Expected(21, 300),
            "Next in line. Ready in 20 seconds or so, seldom later than in 5 minutes.",
            "Als Nächstes an der Reihe. Fertig etwa in 20 Sekunden, selten später als in 5 Minuten.",
        ),
        (None, None, "On the easel now.", "Es steht jetzt auf der Staffelei."),
    ],
)
def test_a_card_tells_the_place_and_the_time_where_they_are_known(
    ahead: int | None, ready: Expected | None, english: str, german: str
) -> None:
    told = cards.card(ENGLISH, JOB, "Ada Quill", ahead=ahead, ready=ready)
    assert told == f"Ada Quill: “by the sea”\n{english}"
    told = cards.card(GERMAN, JOB, "Ada Quill", ahead=ahead, ready=ready)
    assert told == f"Ada Quill: „by the sea“\n{german}"


def test_progress_is_a_bar_with_numbers_and_the_time_that_is_left() -> None:
    told = cards.progressing(ENGLISH, JOB, "Ada Quill", step=12, steps=20, seconds_left=16.2)
    assert told == "Ada Quill: “by the sea”\n▰▰▰▰▰▰▱▱▱▱ 12/20 · 60% · about 15 seconds left"
    told = cards.progressing(GERMAN, JOB, "Ada Quill", step=12, steps=20)
    assert told == "Ada Quill: „by the sea“\n▰▰▰▰▰▰▱▱▱▱ 12/20 · 60 %"


def test_before_the_first_step_there_is_no_bar() -> None:
    assert "▱" not in cards.progressing(ENGLISH, JOB, "Ada Quill", step=0, steps=0)


@pytest.mark.parametrize("locale", [ENGLISH, GERMAN])
def test_a_caption_says_in_the_persons_language_why_a_picture_is_not_shown(locale: Locale) -> None:
    facts = {"because": "an English sentence", "because_key": "pictures.unsuitable"}
    told = cards.caption(locale, "Ada Quill", [PICTURE, replace(PICTURE, stand_in=True, facts=facts)])
    assert locale.say("pictures.unsuitable") in told
    assert locale.say("cards.stand_in") not in told
    other = cards.caption(locale, "Ada", [replace(PICTURE, stand_in=True, facts={"because": "no memory"})])
    assert locale.say("cards.stood_in") in other


@pytest.mark.parametrize("locale", [ENGLISH, GERMAN])
def test_a_caption_says_in_the_persons_language_why_the_model_could_not_paint(locale: Locale) -> None:
    class Broken(FakeRenderer):
        def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
            raise RenderFailed(say("pictures.not_loaded", model="Lamp", why="no file /srv/my/m.bin"))

    def find() -> Renderer:
        return Broken()

    ada = Persona(slug="ada", name="Ada")
    wanted = PictureWanted(Scene(ada, "a lamp"), "a lamp", "", 7, 64, 64)
    [made] = Painters(find, Placeholder(), ManualClock()).render([wanted], lambda *_: None)
    facts = json.loads(json.dumps(made.facts))
    told = cards.caption(locale, "Ada Quill", [replace(PICTURE, stand_in=True, facts=facts)])
    assert locale.say("pictures.not_loaded", model="Lamp", why="no file m.bin") in told
    assert locale.say("cards.stood_in") in told
    facts["because_key"] = "pictures.of_another_version"
    old = cards.caption(locale, "Ada", [replace(PICTURE, stand_in=True, facts=facts)])
    assert facts["because"] in old


@given(st.integers(0, 500), st.integers(1, 500))
def test_a_bar_is_full_when_it_is_done_and_not_before(step: int, steps: int) -> None:
    shown = cards.bar(step, steps)
    assert len(shown) == cards.BAR
    assert ("▱" not in shown) == (step >= steps)
    assert ("▰" in shown) == (step > 0)
    assert cards.bar(step + 1, steps).count("▰") >= shown.count("▰")


def test_a_caption_says_who_and_what_and_how() -> None:
    assert cards.caption(ENGLISH, "Ada Quill", [PICTURE]) == (
        "Ada Quill: “by the sea”\nline art · seed 4294967295"
    )
    four = [replace(PICTURE, number=number, seed=number) for number in range(1, 5)]
    assert cards.caption(GERMAN, "Ada Quill", four) == (
        "Ada Quill: „by the sea“\nline art · Seeds 1 bis 4 · 4 Bilder"
    )


@pytest.mark.parametrize("code", languages())
def test_a_stand_in_is_never_shown_without_saying_so(code: str) -> None:
    locale = locale_of(code)
    long = replace(PICTURE, scene="so very long " * 500)
    marked = cards.caption(locale, "Ada Quill", [PICTURE, replace(long, stand_in=True)])
    assert locale.say("cards.stand_in") in marked
    assert locale.say("cards.stand_in") in cards.caption(locale, "Ada Quill", [replace(long, stand_in=True)])
    assert locale.say("cards.stand_in") not in cards.caption(locale, "Ada Quill", [PICTURE])


@given(st.text(max_size=300), st.text(max_size=3_000), st.text(max_size=200), st.sampled_from(languages()))
def test_a_caption_is_never_too_long_for_a_platform(name: str, scene: str, style: str, code: str) -> None:
    told = cards.caption(locale_of(code), name, [replace(PICTURE, scene=scene, style=style, stand_in=True)])
    assert len(told.encode("utf-16-le", "surrogatepass")) // 2 <= 1024


@given(st.text(), st.integers(0, 30))
def test_what_is_cut_fits_and_is_a_beginning(text: str, most: int) -> None:
    shown = cards.cut(text, most)
    assert len(shown.encode("utf-16-le", "surrogatepass")) // 2 <= most
    assert shown == text or text.startswith(shown.removesuffix("…"))


def test_braces_of_a_person_are_words_and_no_template() -> None:
    job = replace(JOB, request=replace(REQUEST, scene="{persona} {0} {"))
    assert "{persona} {0} {" in cards.card(ENGLISH, job, "{why}", ahead=0, ready=None)


def test_why_nothing_came_of_it_is_said_in_the_same_language() -> None:
    why = NotFound(say("pictures.persona_gone"))
    told = cards.failed(GERMAN, JOB, "Ada Quill", why)
    assert GERMAN.say("pictures.persona_gone") in told
    assert "weggeräumt" in cards.cancelled(GERMAN, JOB, "Ada Quill")


# Buttons


@pytest.mark.parametrize(
    ("state", "orders"),
    [
        (JobState.QUEUED, [["cancel 12"]]),
        (JobState.RUNNING, [["cancel 12"]]),
        (
            JobState.DONE,
            [
                ["upscale 12 1", "vary 12 1"],
                ["reroll 12", "pose 12", "same 12"],
                ["reprompt 12", "showprompt 12", "delete 12"],
            ],
        ),
        (JobState.FAILED, [["retry 12"]]),
        (JobState.CANCELLED, [["retry 12"]]),
    ],
)
def test_each_state_has_its_buttons(state: JobState, orders: list[list[str]]) -> None:
    shown = cards.buttons(ENGLISH, 12, state)
    assert [[button.order for button in row] for row in shown] == orders


def test_each_picture_of_several_has_its_own_two_buttons() -> None:
    larger, alike, *rest = cards.buttons(ENGLISH, 12, JobState.DONE, 3)
    assert [(one.label, one.order) for one in larger] == [
        ("U1", "upscale 12 1"),
        ("U2", "upscale 12 2"),
        ("U3", "upscale 12 3"),
    ]
    assert [(one.label, one.order) for one in alike] == [
        ("V1", "vary 12 1"),
        ("V2", "vary 12 2"),
        ("V3", "vary 12 3"),
    ]
    alone = cards.buttons(ENGLISH, 12, JobState.DONE)
    assert [button.label for button in alone[0]] == ["Upscale", "Vary"]
    assert tuple(rest) == alone[1:]


def test_what_stops_or_takes_away_looks_dangerous() -> None:
    [[stop]] = cards.buttons(ENGLISH, 12, JobState.RUNNING)
    assert (stop.label, stop.style) == ("Stop", "danger")


@given(st.integers(1, 2**63), st.sampled_from(JobState), st.sampled_from(languages()), st.integers(1, 4))
def test_an_order_fits_into_a_button_of_any_platform(
    job_id: int, state: JobState, code: str, pictures: int
) -> None:
    shown = cards.buttons(locale_of(code), job_id, state, pictures)
    assert 1 <= len(shown) <= 5, "Discord shows no more rows"
    orders = [button.order for row in shown for button in row]
    assert len(set(orders)) == len(orders)
    for row in shown:
        assert 1 <= len(row) <= 5
        for button in row:
            assert len(button.order.encode()) <= 60
            assert 1 <= len(button.label) <= 80


@given(st.lists(st.integers(0, 12), max_size=4))
def test_groups_stand_in_rows_of_their_own(sizes: list[int]) -> None:
    groups = [
        [Button("x", f"x {group} {number}") for number in range(size)] for group, size in enumerate(sizes)
    ]
    laid = cards.rows(*groups)
    assert all(1 <= len(row) <= cards.ROW for row in laid)
    assert [button for row in laid for button in row] == [button for group in groups for button in group]
    assert all(len({button.order.split()[1] for button in row}) == 1 for row in laid)

"""A wish becomes a job: complete, within its bounds, counted, and in line in one transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete
from structlog.testing import capture_logs

from engine.engine import Engine
from engine.errors import BadRequest, NotFound, OverLimit, SettingsError, Unsuitable
from engine.imagining import Accepted, Wish
from engine.language import PROMPT_WORDS, PromptWanted, Source
from engine.locales import locale_of
from engine.settings import LimitSettings, SafetySettings, Settings
from engine.store import jobs, people
from engine.store.records import Account, JobState, Lane, Person, PictureRequest
from engine.store.tables import queue_entries
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from personas.appearance import Ledger
from personas.persona import Persona, Rating
from tests.engine.posts_stage import glenys


async def composed(engine: Engine, scene: str = "on a pier at dusk", **wish: Any) -> PictureRequest:
    return await engine.imagining.compose(await glenys(engine), Wish(scene, **wish))


async def somebody(engine: Engine, name: str = "ana") -> Person:
    async with engine.database.write() as tx:
        return await people.add_person(tx, Account("stage", name), now=engine.clock.now())


async def ask(engine: Engine, person: Person | None, *, count: int = 1, **more: Any) -> Accepted:
    request = await composed(engine, count=count)
    async with engine.database.write() as tx:
        return await engine.imagining.put_in_line(
            tx, request, persona_id=(await glenys(engine)).id, person=person, **more
        )


async def test_a_request_says_all_that_a_picture_is_made_from(engine: Engine) -> None:
    request = await composed(
        engine, style="noir", seed=7, count=2, width=513, height=640, negative="hats, Fog"
    )
    assert (request.scene, request.style, request.seed, request.count) == ("on a pier at dusk", "noir", 7, 2)
    assert (request.width, request.height) == (512, 640), "sides are multiples of 8"
    assert 100 <= request.word_count <= 200
    assert request.word_count == len(request.prompt.split())
    assert "hats" in request.negative
    assert request.source is Source.MODEL
    assert request.steps == engine.settings.pictures.steps


async def test_what_is_left_open_the_house_chooses(engine: Engine) -> None:
    first, second = await composed(engine), await composed(engine)
    assert first.seed != second.seed
    assert (first.width, first.height) == (64, 64)
    assert first.style == (await glenys(engine)).persona.picture.style
    assert (await composed(engine, "a pier, film noir style")).style == "noir"


async def test_a_model_is_told_the_scene_and_the_style(engine: Engine, language: FakeLanguage) -> None:
    record = await glenys(engine)
    ledger = Ledger(clothes="a red coat")
    await engine.imagining.compose(record, Wish("on a pier", style="noir", seed=7), ledger=ledger)
    wanted = language.asked[-1]
    assert isinstance(wanted, PromptWanted)
    assert (wanted.scene.request, wanted.scene.ledger, wanted.style) == ("on a pier", ledger, "noir")
    assert wanted.style_words == engine.imagining.styles["noir"].words
    assert any("on a pier" in segment.text for segment in wanted.segments)


async def test_a_prompt_that_is_too_short_is_written_by_the_understudy(settings: Settings) -> None:
    class Curt(FakeLanguage):
        def _text(self, wanted: object) -> str:
            return "a woman on a pier"

    async with Engine.open(settings, models=[Curt()], renderer=FakeRenderer()) as engine:
        request = await composed(engine)
    assert request.source is Source.UNDERSTUDY
    assert 100 <= request.word_count <= 200


@pytest.mark.parametrize(
    "wish",
    [
        {"seed": -1},
        {"seed": 2**32},
        {"seed": 10**30},
        {"count": 0},
        {"count": 5},
        {"count": -(10**30)},
        {"width": 63},
        {"width": 2049},
        {"height": -8},
        {"height": 10**30},
    ],
)
async def test_a_wish_out_of_range_is_refused(engine: Engine, wish: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        await composed(engine, **wish)


@pytest.mark.parametrize("scene", ["", "\u200b", "x" * 1_001, "\x00"])
async def test_a_scene_that_cannot_be_read_is_refused(engine: Engine, scene: str) -> None:
    with pytest.raises(BadRequest, match="scene"):
        await composed(engine, scene)


@pytest.mark.parametrize(
    "scene", ["{{char}} {% x %} %s", "<script>", "'; DROP TABLE jobs", "((((((a))))))", "🌧️"]
)
async def test_what_looks_like_code_is_only_a_scene(engine: Engine, scene: str) -> None:
    assert (await composed(engine, scene)).scene == scene


async def test_what_weighs_more_in_a_wish_weighs_more_in_its_prompt(engine: Engine) -> None:
    request = await composed(engine, "on a pier in a (red coat:1.3)")
    assert request.scene == "on a pier in a (red coat:1.3)"
    assert "(red coat:1.3)" in request.prompt
    assert request.word_count in PROMPT_WORDS


async def test_a_negative_is_made_printable(engine: Engine) -> None:
    assert "hats" in (await composed(engine, negative="ha\x00ts\ud800")).negative


async def test_a_style_that_is_not_there_is_told_with_those_that_are(engine: Engine) -> None:
    with pytest.raises(NotFound, match="noir"):
        await composed(engine, style="x" * 500)
    assert (await composed(engine, style=" NOIR ")).style == "noir"


async def test_the_art_direction_of_house_and_persona_is_in_every_prompt_and_counted(
    settings: Settings,
) -> None:
    directed = settings.model_copy(
        update={"pictures": settings.pictures.model_copy(update={"direction": "teal shadows, soft grain"})}
    )
    async with Engine.open(directed, models=[FakeLanguage()], renderer=FakeRenderer()) as engine:
        record = await glenys(engine)
        taste = record.persona.picture.model_copy(update={"direction": "soft grain, low camera"})
        persona = record.persona.model_copy(update={"picture": taste})
        own = replace(record, persona=persona)
        for style in engine.imagining.styles:
            request = await engine.imagining.compose(own, Wish("on a pier", style=style))
            for words in (engine.imagining.styles[style].words, "teal shadows", "soft grain", "low camera"):
                assert words in request.prompt
            assert request.prompt.count("soft grain") == 1
            assert request.word_count == len(request.prompt.split())
            assert request.word_count in PROMPT_WORDS
        other = await engine.imagining.compose(record, Wish("on a pier"))
        assert "teal shadows" in other.prompt
        assert "low camera" not in other.prompt


@pytest.mark.parametrize("models", [[], [FakeLanguage()]], ids=["template", "model"])
async def test_the_longest_direction_and_pose_leave_room_for_the_rest(
    settings: Settings, models: list[FakeLanguage]
) -> None:
    long = ", ".join(f"tone {number}" for number in range(25))[:200]
    directed = settings.model_copy(
        update={"pictures": settings.pictures.model_copy(update={"direction": long})}
    )
    async with Engine.open(directed, models=models, renderer=FakeRenderer()) as engine:
        record = await glenys(engine)
        taste = record.persona.picture.model_copy(update={"direction": long.replace("tone", "hue")})
        own = replace(record, persona=record.persona.model_copy(update={"picture": taste}))
        wish = Wish("by the sea " * 80, pose=("one foot up " * 20)[:200])
        request = await engine.imagining.compose(own, wish)
        assert request.word_count in PROMPT_WORDS
        assert "one foot up" in request.prompt


async def test_loras_in_a_wish_are_taken_out_of_its_words(engine: Engine) -> None:
    record = await glenys(engine)
    asked = await engine.imagining.compose(record, Wish("on a pier <lora:grain:0.8> at dusk"))
    assert asked.loras == {"grain": 0.8}
    assert "lora" not in asked.prompt
    assert asked.scene == "on a pier at dusk"
    with pytest.raises(BadRequest):
        await engine.imagining.compose(record, Wish("<lora:grain>"))


async def test_a_persona_s_loras_go_into_the_request(engine: Engine) -> None:
    record = await glenys(engine)
    taste = record.persona.picture.model_copy(update={"loras": {"glenys-v2": 0.8, "grain": -1.0}})
    own = replace(record, persona=record.persona.model_copy(update={"picture": taste}))
    request = await engine.imagining.compose(own, Wish("a pier"))
    assert request.loras == {"glenys-v2": 0.8, "grain": -1.0}
    assert "glenys-v2" not in request.prompt
    assert (await composed(engine)).loras == {}
    assert jobs.request_from_json(jobs.request_to_json(request)) == request


async def test_a_style_of_one_s_own_is_asked_for_like_any_other(settings: Settings) -> None:
    (settings.home / "styles.toml").write_text(
        '[bricks]\nname = "Toy bricks"\nwords = "a diorama of toy bricks"\nnegative = "smooth curves"\n'
        'detect = ["made of bricks"]\n[noir]\nwords = "my own darkness"\n',
        encoding="utf-8",
    )
    async with Engine.open(settings, models=[FakeLanguage()], renderer=FakeRenderer()) as engine:
        for wish in (
            {"style": "Bricks"},
            {"scene": "a pier made of bricks"},
            {"scene": "a pier, toy bricks style"},
        ):
            request = await composed(engine, **{"scene": "a pier", **wish})
            assert (request.style, "a diorama of toy bricks" in request.prompt) == ("bricks", True)
            assert "smooth curves" in request.negative
        assert "my own darkness" in (await composed(engine, style="noir")).prompt


@pytest.mark.parametrize("pose", ["holding a gherkin", "with\ngherkin"])
async def test_words_of_a_pose_are_looked_at_too(settings: Settings, pose: str) -> None:
    strict = settings.model_copy(update={"safety": SafetySettings(blocked_words=("gherkin",))})
    async with Engine.open(strict) as engine:
        with pytest.raises(Unsuitable):
            await composed(engine, pose=pose)


async def test_words_that_are_not_wanted_are_refused(settings: Settings) -> None:
    strict = settings.model_copy(update={"safety": SafetySettings(blocked_words=("gherkin",))})
    async with Engine.open(strict) as engine:
        with pytest.raises(Unsuitable):
            await composed(engine, "a Gherkin on a pier")


async def test_words_are_looked_at_as_a_model_reads_them(settings: Settings) -> None:
    strict = settings.model_copy(update={"safety": SafetySettings(blocked_words=("dragon",))})
    async with Engine.open(strict, models=[FakeLanguage()], renderer=FakeRenderer()) as engine:
        record = await glenys(engine)
        with pytest.raises(Unsuitable):
            await engine.imagining.compose(record, Wish("a dra(g:1)on on a pier"))


@pytest.mark.parametrize(
    ("part", "changed"),
    [
        ("appearance", {"appearance": {"face": "a gherkin nose"}}),
        ("appearance", {"appearance": {"marks": "a (gher:1.2)kin on the arm"}}),
        (
            "appearance.wardrobe",
            {"appearance": {"wardrobe": [{"name": "work", "description": "a Gherkin suit"}]}},
        ),
        ("picture.direction", {"picture": {"direction": "gherkin green shadows"}}),
        ("picture.light", {"picture": {"light": "gherkin light"}}),
        ("description", {"description": "She is a gherkin.", "appearance": {"hair": "", "face": ""}}),
        ("kind", {"kind": "gherkin"}),
    ],
)
@pytest.mark.parametrize("models", [[], [FakeLanguage()]], ids=["template", "model"])
async def test_words_of_a_card_are_looked_at_too_and_the_operator_is_told_where_they_stand(
    settings: Settings, part: str, changed: dict[str, Any], models: list[FakeLanguage]
) -> None:
    strict = settings.model_copy(update={"safety": SafetySettings(blocked_words=("gherkin",))})
    plain = {"slug": "ada", "name": "Ada Quill", "nickname": "Ada"}
    async with Engine.open(strict, models=models, renderer=FakeRenderer()) as engine:
        record = replace(await glenys(engine), persona=Persona.model_validate(plain | changed))
        with capture_logs() as told, pytest.raises(Unsuitable) as refused:
            await engine.imagining.compose(record, Wish("on a pier"))
        assert [(one["persona"], one["part"]) for one in told if one["event"] == "card_unwelcome"] == [
            ("ada", part)
        ]
        assert "gherkin" not in repr(told).casefold(), "it is on a list that nobody reads aloud"
        assert "There are no pictures of Ada for now" in str(refused.value)
        assert locale_of("de").says(refused.value).startswith("Von Ada gibt es gerade keine Bilder")


async def test_what_a_card_does_not_bring_into_the_prompt_may_be_called_anything(settings: Settings) -> None:
    strict = settings.model_copy(update={"safety": SafetySettings(blocked_words=("gherkin",))})
    wardrobe = [
        {"name": "pier", "description": "a red coat"},
        {"name": "kitchen", "description": "a gherkin suit"},
    ]
    ada = Persona.model_validate(
        {
            "slug": "ada",
            "name": "Ada Quill",
            "description": "a gherkin",
            "appearance": {"hair": "red", "wardrobe": wardrobe, "places": ["a gherkin shop"]},
            "picture": {"avoid": "gherkin"},
        }
    )
    async with Engine.open(strict, models=[FakeLanguage()], renderer=FakeRenderer()) as engine:
        record = replace(await glenys(engine), persona=ada)
        request = await engine.imagining.compose(record, Wish("on a pier", seed=1))
        assert "gherkin" in request.negative
        with pytest.raises(Unsuitable):
            await engine.imagining.compose(record, Wish("in a kitchen", seed=1))
        with pytest.raises(Unsuitable):
            await engine.imagining.compose(record, Wish("on a pier", outfit="kitchen"))


async def test_a_rating_is_carried_to_the_job(engine: Engine) -> None:
    request = await engine.imagining.compose(await glenys(engine), Wish("a pier"), rating=Rating.MATURE)
    assert request.rating is Rating.MATURE


async def test_the_same_order_is_taken_once(engine: Engine) -> None:
    ana = await somebody(engine)
    first = await ask(engine, ana, dedup_key="order-1")
    again = await ask(engine, ana, dedup_key="order-1")
    assert (first.known, again.known) == (False, True)
    assert again.job.id == first.job.id
    assert await engine.imagining.ahead_of(first.job.id) == 0


async def test_a_job_is_in_line_only_if_its_transaction_is_kept(engine: Engine) -> None:
    request = await composed(engine)
    record = await glenys(engine)

    async def order_and_fail() -> None:
        async with engine.database.write() as tx:
            await engine.imagining.put_in_line(tx, request, persona_id=record.id, person=None)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await order_and_fail()
    async with engine.database.read() as tx:
        assert await jobs.listing(tx) == []
    assert await engine.imagining.ahead_of(1) is None


async def test_the_tenth_of_one_person_stands_behind_the_first_of_another(engine: Engine) -> None:
    ana, ben = await somebody(engine, "ana"), await somebody(engine, "ben")
    for _ in range(10):
        last = await ask(engine, ana)
    first = await ask(engine, ben)
    later = await ask(engine, ben, lane=Lane.BACKFILL)
    assert await engine.imagining.ahead_of(first.job.id) == 1
    assert await engine.imagining.ahead_of(last.job.id) == 10
    assert await engine.imagining.ahead_of(later.job.id) == 11


async def test_a_day_s_quota_is_free_again_a_day_later(settings: Settings) -> None:
    limited = settings.model_copy(update={"limits": LimitSettings(pictures_per_day=2, pictures_waiting=100)})
    clock = ManualClock()
    async with Engine.open(limited, clock=clock, models=[FakeLanguage()]) as engine:
        ana, ben = await somebody(engine, "ana"), await somebody(engine, "ben")
        taken = await ask(engine, ana, count=2)
        with pytest.raises(OverLimit, match="in 24 hours"):
            await ask(engine, ana)
        await ask(engine, ben)
        await ask(engine, None, count=4)
        await engine.imagining.cancel(taken.job.id)
        await ask(engine, ana)  # what was taken back is not counted
        await clock.advance(24 * 3600 + 1)
        await ask(engine, ana, count=2)


async def test_a_cancelled_job_is_out_of_the_line_and_can_be_asked_for_again(engine: Engine) -> None:
    job = (await ask(engine, None)).job
    assert (await engine.imagining.cancel(job.id)).state is JobState.CANCELLED
    assert await engine.imagining.ahead_of(job.id) is None
    with pytest.raises(BadRequest, match="ended already"):
        await engine.imagining.cancel(job.id)
    again = await engine.imagining.retry(job.id)
    assert (again.state, again.request) == (JobState.QUEUED, job.request)
    assert await engine.imagining.ahead_of(job.id) == 0
    with pytest.raises(BadRequest, match="has not failed"):
        await engine.imagining.retry(job.id)


@pytest.mark.parametrize("job_id", [0, -1, 99, 2**40, 2**70])
async def test_a_job_that_is_not_there_cannot_be_cancelled(engine: Engine, job_id: int) -> None:
    with pytest.raises(NotFound):
        await engine.imagining.cancel(job_id)
    with pytest.raises(NotFound):
        await engine.imagining.retry(job_id)


async def test_a_request_comes_back_from_its_row_as_it_was(engine: Engine) -> None:
    job = (await ask(engine, await somebody(engine), count=3)).job
    async with engine.database.read() as tx:
        found = await jobs.get(tx, job.id)
    assert found == job
    assert replace(found.request) == job.request


async def test_a_job_that_stands_in_no_line_is_put_in_line_again_at_the_next_start(engine: Engine) -> None:
    stranded, in_line = await ask(engine, None), await ask(engine, None)
    async with engine.database.write() as tx:
        await tx.execute(delete(queue_entries).where(queue_entries.c.job_id == stranded.job.id))
    assert await engine.imagining.ahead_of(stranded.job.id) is None
    await engine.imagining.mend_line()
    assert await engine.imagining.ahead_of(stranded.job.id) == 0
    assert await engine.imagining.ahead_of(in_line.job.id) == 1


async def test_the_operators_own_poses_are_the_house_s_and_a_mistake_in_them_is_told_at_the_start(
    settings: Settings, renderer: FakeRenderer
) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    own = settings.home / "poses.toml"
    own.write_text('"at the helm" = "both hands on a ship\'s wheel"\n', encoding="utf-8")
    async with Engine.open(settings, models=[FakeLanguage()], renderer=renderer) as engine:
        assert (await composed(engine, pose="At-the-helm")).ledger["pose"] == "both hands on a ship's wheel"
        assert (await composed(engine, pose="waving")).ledger["pose"].startswith("raising one arm")
    own.write_text("mine = 3\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"poses\.toml: `mine` must be text"):
        async with Engine.open(settings, models=[FakeLanguage()], renderer=renderer):
            pass

"""A post about news may borrow its picture: the item's own, or one of the operator's folder; in place of a rendered
one where its feed says so, and before the placeholder where none can be rendered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select, update

from engine.engine import Engine
from engine.errors import BadRequest
from engine.language import Source
from engine.pictures import PictureWanted, Progress, Rendered
from engine.pictures.borrowed import MODEL, MOST_SIDE, Origin, as_ours
from engine.planning import FOLDER, ITEM, LENDING, PICTURE_OF, PICTURE_PATIENCE, instead, is_by_hand, lent_at
from engine.settings import FeedSettings, SafetySettings, Settings
from engine.store import chats, jobs, outbox, pictures, troubles
from engine.store.records import Feed, JobState, Picture, Post, PostState
from engine.store.tables import chats as chat_rows
from engine.store.tables import pictures as picture_rows
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from personas.persona import Rating
from tests.engine.feeds_stage import later, shown
from tests.engine.painted import told_by
from tests.engine.posts_stage import Diarist, at, glenys, only_post, owed, paint, place_of
from tests.servers.feeds import Entry, Paper, newspaper

ORIGIN = Origin(ITEM, "example.org", "https://example.org/lake.png", "CC BY 4.0")
RED, BLUE = (200, 30, 30), (30, 30, 200)


class Sketcher(FakeRenderer):
    """Draws stand-ins, as whoever has no model does; where it is told to fail, not even those."""

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        return [replace(one, stand_in=True) for one in super().render(wanted, progress)]


@pytest.fixture
def renderer() -> FakeRenderer:
    return Sketcher()


@pytest.fixture
def language() -> FakeLanguage:
    return Diarist()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    (settings.home / "lent").mkdir(parents=True)
    return settings.model_copy(update={"feeds": FeedSettings(private=True, folder="lent")})


@pytest.fixture
def folder(settings: Settings) -> Path:
    return settings.home / "lent"


@pytest.fixture
async def paper() -> AsyncIterator[Paper]:
    async with newspaper() as opened:
        opened.pictures["lake.png"] = file_of(RED)
        opened.entries = [
            Entry("Ice on the lake", "1", picture=opened.at("pictures/lake.png"), licence="CC BY 4.0")
        ]
        yield opened


def file_of(
    colour: tuple[int, int, int], size: tuple[int, int] = (300, 200), kind: str = "PNG", **how: Any
) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, kind, **how)
    return out.getvalue()


async def listening(engine: Engine, paper: Paper, lender: str = "", **options: Any) -> Feed:
    return await engine.newsroom.add(
        place=await place_of(engine),
        persona=await glenys(engine),
        person=None,
        address=paper.at("feed"),
        options=({PICTURE_OF: lender} if lender else {}) | options,
    )


async def picture_of(engine: Engine, post: Post) -> Picture:
    assert post.picture_id is not None
    async with engine.database.read() as tx:
        return await pictures.get(tx, post.picture_id)


async def published(engine: Engine) -> tuple[Post, Picture, bytes]:
    """The one post, when all that can be done for it is done; its picture, and the file of that."""
    await shown(engine)
    await paint(engine)
    await shown(engine)
    post = await only_post(engine)
    assert post.state is PostState.PUBLISHED
    picture = await picture_of(engine, post)
    return post, picture, await engine.files.get(picture.file)


def colour_of(png: bytes) -> tuple[int, int, int]:
    with Image.open(BytesIO(png)) as image:
        found = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
    assert isinstance(found, tuple)
    return found[0], found[1], found[2]


async def test_an_items_own_picture_stands_above_its_post_with_source_and_licence(
    engine: Engine, paper: Paper
) -> None:
    await listening(engine, paper, ITEM)
    _post, picture, png = await published(engine)
    assert (colour_of(png), picture.width, picture.height) == (RED, 300, 200)
    assert (picture.model, picture.stand_in, picture.source, picture.persona_id) == (
        MODEL,
        True,
        Source.PERSON,
        None,
    )
    address = paper.at("pictures/lake.png")
    assert Origin.of(picture.facts) == Origin(ITEM, "example.org", address, "CC BY 4.0")
    (row,) = await owed(engine)
    assert row.job_id == picture.job_id
    assert row.text.endswith("https://example.org/1\n\n📷 example.org, CC BY 4.0")


async def test_a_borrowed_file_says_whose_it_is_and_nowhere_that_a_model_made_it(
    engine: Engine, paper: Paper
) -> None:
    await listening(engine, paper, ITEM)
    _post, _picture, png = await published(engine)
    told = told_by(png)
    assert told == {"Source": f"example.org {paper.at('pictures/lake.png')}", "Copyright": "CC BY 4.0"}


async def test_the_talk_remembers_the_post_without_the_credit(engine: Engine, paper: Paper) -> None:
    place = await place_of(engine)
    record = await glenys(engine)
    async with engine.database.write() as tx:
        await tx.execute(update(chat_rows).where(chat_rows.c.id == place.id).values(persona_id=record.id))
    await listening(engine, paper, ITEM)
    await published(engine)
    async with engine.database.read() as tx:
        (turn,) = await chats.recent(tx, place.id, most=4)
    async with engine.database.write() as tx:
        (row,) = await outbox.take(tx, [("stage", "one")], now=engine.clock.now())
    assert row.text == f"{turn.text}\n\n📷 example.org, CC BY 4.0", "and the chat is shown it"


async def test_without_a_word_on_it_a_picture_is_rendered_and_nothing_is_fetched(
    settings: Settings, language: FakeLanguage, paper: Paper
) -> None:
    renderer = FakeRenderer()
    async with Engine.open(settings, models=[language], renderer=renderer) as engine:
        await listening(engine, paper)
        _post, picture, _png = await published(engine)
    assert (picture.model, picture.stand_in, paper.looked_at) == ("fake", False, 0)


@pytest.mark.parametrize("fails", [0, 10])
async def test_where_nothing_can_be_rendered_the_items_own_comes_before_the_placeholder(
    engine: Engine, paper: Paper, renderer: FakeRenderer, fails: int
) -> None:
    renderer.fails = fails
    await listening(engine, paper)
    post, picture, png = await published(engine)
    assert (picture.model, colour_of(png), post.error) == (MODEL, RED, "")
    assert "📷" in (await owed(engine))[0].text


async def test_where_the_item_has_none_the_folder_comes_before_the_placeholder(
    engine: Engine, paper: Paper, folder: Path
) -> None:
    (folder / "b.png").write_bytes(file_of(BLUE))
    paper.entries = [replace(paper.entries[0], picture="")]
    await listening(engine, paper)
    _post, picture, png = await published(engine)
    assert (picture.model, colour_of(png)) == (MODEL, BLUE)


@pytest.mark.parametrize("name", ["none.png", "cut.png", "bomb.png", "pixel.png", "page.png"])
async def test_where_nobody_lends_a_picture_the_placeholder_is_shown(
    engine: Engine, paper: Paper, name: str
) -> None:
    paper.pictures |= {
        "cut.png": file_of(RED)[:200],
        "bomb.png": file_of(RED, (20_000, 10_000)),
        "pixel.png": file_of(RED, (1, 1)),
        "page.png": b"<!DOCTYPE html><html></html>",
    }
    paper.entries = [replace(paper.entries[0], picture=paper.at(f"pictures/{name}"))]
    await listening(engine, paper)
    post, picture, _png = await published(engine)
    assert (picture.model, picture.stand_in, post.error, paper.looked_at) == ("fake", True, "", 1)
    assert "📷" not in (await owed(engine))[0].text


async def test_an_item_that_has_no_picture_is_rendered_where_its_own_was_wanted(
    engine: Engine, paper: Paper
) -> None:
    paper.entries = [replace(paper.entries[0], picture="")]
    await listening(engine, paper, ITEM)
    _post, picture, _png = await published(engine)
    assert picture.model == "fake"


async def test_a_picture_is_never_fetched_from_a_private_address(
    settings: Settings, language: FakeLanguage, renderer: FakeRenderer, paper: Paper
) -> None:
    async with Engine.open(settings, models=[language], renderer=renderer) as engine:
        feed = await listening(engine, paper, ITEM)
    strict = settings.model_copy(update={"feeds": FeedSettings()})
    async with Engine.open(strict, models=[language], renderer=renderer) as engine:
        assert (await engine.newsroom.get(feed.id)).id == feed.id
        _post, picture, _png = await published(engine)
    assert (picture.model, paper.looked_at) == ("fake", 0)


async def test_what_an_item_says_is_for_adults_is_not_lent_to_all(engine: Engine, paper: Paper) -> None:
    paper.entries = [replace(paper.entries[0], adult=True)]
    await listening(engine, paper, ITEM)
    _post, picture, _png = await published(engine)
    assert (picture.model, paper.looked_at) == ("fake", 0)


async def test_a_grown_up_place_is_shown_what_is_for_adults(
    settings: Settings, language: FakeLanguage, renderer: FakeRenderer, paper: Paper
) -> None:
    paper.entries = [replace(paper.entries[0], adult=True)]
    loose = settings.model_copy(update={"safety": SafetySettings(rating=Rating.ADULT)})
    async with Engine.open(loose, models=[language], renderer=renderer) as engine:
        place = await place_of(engine)
        async with engine.database.write() as tx:
            await chats.set_rating(tx, place.id, Rating.ADULT)
        await engine.newsroom.add(
            place=place,
            persona=await glenys(engine),
            person=None,
            address=paper.at("feed"),
            options={PICTURE_OF: ITEM},
        )
        _post, picture, _png = await published(engine)
    assert (picture.model, picture.rating) == (MODEL, Rating.ADULT)


async def test_the_folders_pictures_come_in_turn_and_none_again_before_all_were_there(
    engine: Engine, paper: Paper, folder: Path
) -> None:
    for name in ("c.png", "a.png", "b.jpg"):
        (folder / name).write_bytes(file_of(BLUE, kind="JPEG" if name.endswith("jpg") else "PNG"))
    (folder / "notes.txt").write_text("nothing to see")
    (folder / "broken.png").write_bytes(b"no picture")
    await listening(engine, paper, FOLDER)
    await shown(engine)
    for number in range(2, 6):
        paper.entries.insert(0, Entry(f"News {number}", str(number), hours=number))
        await later(engine, minutes=61)
    async with engine.database.read() as tx:
        found = await tx.execute(select(picture_rows.c.facts).order_by(picture_rows.c.id))
        names = [row.facts["borrowed"]["address"] for row in found]
    assert names == ["a.png", "b.jpg", "c.png", "a.png", "b.jpg"]


async def test_a_picture_of_the_folder_has_the_licence_beside_it_or_the_folders(
    engine: Engine, paper: Paper, folder: Path
) -> None:
    (folder / "a.png").write_bytes(file_of(BLUE))
    (folder / "a.txt").write_text("Photo by Jane Doe, CC BY 4.0\nhttps://photos.example/42\n")
    (folder / "b.png").write_bytes(file_of(RED))
    (folder / "LICENSE").write_text("CC0 1.0\n\nTo the extent possible under law …")
    await listening(engine, paper, FOLDER)
    await shown(engine)
    paper.entries.insert(0, Entry("News", "2", hours=2))
    await later(engine, minutes=61)
    first, second = [row.text.rpartition("\n\n")[2] for row in await owed(engine)]
    assert first == "📷 https://photos.example/42, Photo by Jane Doe, CC BY 4.0"
    assert second == "📷 CC0 1.0"


async def test_another_picture_than_the_items_own_is_rendered(
    settings: Settings, language: FakeLanguage, paper: Paper
) -> None:
    async with Engine.open(
        settings, models=[language], renderer=FakeRenderer(), clock=ManualClock()
    ) as engine:
        await _another_is_rendered(engine, paper)


async def _another_is_rendered(engine: Engine, paper: Paper) -> None:
    await listening(engine, paper, ITEM, approval="skip")
    await shown(engine)
    post = await only_post(engine)
    assert (post.state, (await picture_of(engine, post)).model) == (PostState.WAITING, MODEL)
    await engine.posting.repicture(post.id)
    await shown(engine)
    await paint(engine)
    await shown(engine)
    post = await only_post(engine)
    assert (post.state, (await picture_of(engine, post)).model) == (PostState.WAITING, "fake")


async def test_a_post_that_was_skipped_while_its_picture_came_leaves_no_file(
    engine: Engine, paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    await listening(engine, paper, ITEM)
    post = await only_post(engine)
    put = engine.files.put

    async def put_late(key: str, data: bytes) -> None:
        await put(key, data)
        await engine.posting.skip(post.id)

    monkeypatch.setattr(engine.files, "put", put_late)
    await shown(engine)
    assert (await only_post(engine)).state is PostState.SKIPPED
    assert [key async for key in engine.files.keys("borrowed")] == []


async def test_lent_pictures_raise_no_alarm_that_nothing_can_be_painted(engine: Engine, paper: Paper) -> None:
    async with engine.database.read() as tx:
        before = await troubles.mark(tx)
    await listening(engine, paper, ITEM)
    await published(engine)
    async with engine.database.read() as tx:
        assert await troubles.painted(tx, before.picture) == []


# In place of a picture that is only late

SECOND = timedelta(seconds=1)


async def waited(engine: Engine, moment: datetime) -> Post:
    """The one post, when all that can be done for it until then is done but painting."""
    at(engine, moment)
    await shown(engine)
    await engine.posting.publishing.lend()
    await shown(engine)
    return await only_post(engine)


async def begun(engine: Engine, paper: Paper, **options: Any) -> Post:
    """A post whose picture stands in line."""
    await listening(engine, paper, **options)
    await shown(engine)
    post = await only_post(engine)
    assert (post.state, post.job_id is not None, post.picture_id) == (PostState.MAKING, True, None)
    return post


async def test_news_whose_picture_is_late_goes_out_with_a_lent_one_and_the_late_one_is_kept(
    engine: Engine, paper: Paper
) -> None:
    begins = await begun(engine, paper)
    lent = begins.created_at + PICTURE_PATIENCE - LENDING
    post = await waited(engine, lent - SECOND)
    assert (post.state, paper.looked_at) == (PostState.MAKING, 0), "it still has time"
    post = await waited(engine, lent)
    picture = await picture_of(engine, post)
    assert (post.state, post.error, picture.model) == (PostState.PUBLISHED, "", MODEL)
    (row,) = await owed(engine)
    assert (row.job_id, row.text.endswith("📷 example.org, CC BY 4.0")) == (picture.job_id, True)

    await paint(engine)
    await waited(engine, lent + timedelta(minutes=5))
    async with engine.database.read() as tx:
        late = await jobs.get(tx, begins.job_id or 0)
        (kept,) = (await pictures.of_jobs(tx, [late.id]))[late.id]
    assert (late.state, kept.model) == (JobState.DONE, "fake"), "in the gallery"
    assert await engine.files.get(kept.file)
    assert [one.id for one in await owed(engine)] == [row.id], "and not posted as well"
    assert (await only_post(engine)).picture_id == picture.id


async def test_a_post_that_has_a_time_goes_out_at_that_time_with_a_lent_picture(
    engine: Engine, paper: Paper, folder: Path
) -> None:
    (folder / "a.png").write_bytes(file_of(BLUE))
    (folder / "LICENSE").write_text("CC0 1.0")
    paper.entries = [replace(paper.entries[0], picture="")]
    begins = await begun(engine, paper, approval="post")
    assert begins.due_at > begins.created_at + PICTURE_PATIENCE
    post = await waited(engine, begins.due_at - LENDING - SECOND)
    assert post.state is PostState.MAKING
    post = await waited(engine, begins.due_at - LENDING)
    assert (post.state, await owed(engine)) == (PostState.WAITING, []), "it is there before its time"
    at(engine, begins.due_at)
    await engine.posting.publishing.round()
    (row,) = await owed(engine)
    assert row.text.endswith("📷 CC0 1.0")
    assert (await only_post(engine)).state is PostState.PUBLISHED


async def test_where_nobody_lends_one_a_late_picture_is_waited_for_as_ever_and_nobody_is_asked_twice(
    engine: Engine, paper: Paper
) -> None:
    paper.entries = [replace(paper.entries[0], picture=paper.at("pictures/none.png"))]
    begins = await begun(engine, paper)
    for seconds in (15, 10, 5, 1):
        post = await waited(engine, begins.due_at + PICTURE_PATIENCE - seconds * SECOND)
        assert (post.state, post.job_id, paper.looked_at) == (PostState.MAKING, begins.job_id, 1)
    await paint(engine)
    await shown(engine)
    post = await only_post(engine)
    assert (post.state, post.job_id) == (PostState.PUBLISHED, begins.job_id)


async def test_a_picture_that_comes_while_another_is_borrowed_is_shown_itself(
    settings: Settings, language: FakeLanguage, paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    async with Engine.open(settings, models=[language], renderer=FakeRenderer(), clock=clock) as engine:
        begins = await begun(engine, paper)
        put = engine.files.put

        async def put_late(key: str, data: bytes) -> None:
            await put(key, data)
            if key.startswith("borrowed"):
                await paint(engine)

        monkeypatch.setattr(engine.files, "put", put_late)
        post = await waited(engine, begins.due_at + PICTURE_PATIENCE - LENDING)
        assert (post.state, post.job_id) == (PostState.PUBLISHED, begins.job_id)
        assert (await picture_of(engine, post)).model == "fake"
        assert [key async for key in engine.files.keys("borrowed")] == []


async def test_nothing_is_borrowed_for_what_is_not_shown_without_somebodys_word(
    engine: Engine, paper: Paper
) -> None:
    begins = await begun(engine, paper, approval="skip")
    post = await waited(engine, begins.due_at - SECOND)
    assert (post.state, paper.looked_at) == (PostState.MAKING, 0)
    await engine.posting.approve(begins.id)
    post = await waited(engine, engine.clock.now())
    assert (post.state, (await picture_of(engine, post)).model) == (PostState.PUBLISHED, MODEL)


async def test_a_lent_picture_is_shown_at_the_posts_time_only_where_one_is_wanted_and_lacking(
    engine: Engine, paper: Paper
) -> None:
    post = await begun(engine, paper)
    assert lent_at(post) == post.due_at + PICTURE_PATIENCE, "it happened just now"
    later = replace(post, due_at=post.due_at + timedelta(hours=1))
    assert lent_at(later) == later.due_at
    soon = replace(post, due_at=post.due_at + timedelta(minutes=1))
    assert lent_at(soon) == post.created_at + PICTURE_PATIENCE
    by_hand = replace(post, options=post.options | {"by_hand": True})
    assert is_by_hand(by_hand)
    words_only = replace(post, options=post.options | {"picture": False})
    no_news = replace(post, options={})
    for other in (
        by_hand,
        words_only,
        no_news,
        replace(post, picture_id=1),
        replace(post, options=instead(post)),
    ):
        assert lent_at(other) is None


# Decoding


def test_a_picture_is_turned_upright_made_small_enough_and_loses_what_it_told_of_its_maker() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010F] = "A camera"
    ours = as_ours(file_of(RED, (3_000, 1_000), "JPEG", exif=exif.tobytes()), ORIGIN)
    assert (ours.width, ours.height) == (MOST_SIDE // 3, MOST_SIDE)
    with Image.open(BytesIO(ours.png)) as image:
        assert (image.format, image.size, dict(image.getexif())) == ("PNG", (ours.width, ours.height), {})


def test_of_one_that_moves_the_first_is_taken_and_nothing_shows_through() -> None:
    out = BytesIO()
    first, second = Image.new("RGBA", (200, 200), (0, 0, 0, 0)), Image.new("RGBA", (200, 200), (*BLUE, 255))
    first.save(out, "GIF", save_all=True, append_images=[second], transparency=0)
    ours = as_ours(out.getvalue(), ORIGIN)
    assert colour_of(ours.png) == (255, 255, 255)


def test_greys_of_sixteen_bits_are_taken_and_none_of_them_is_clear() -> None:
    out = BytesIO()
    Image.new("I;16", (200, 200), 0x8080).save(out, "PNG", transparency=0x80)
    ours = as_ours(out.getvalue(), ORIGIN)
    with Image.open(BytesIO(ours.png)) as image:
        assert not image.has_transparency_data
    assert colour_of(ours.png) == (128, 128, 128)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "cannot be read"),
        (b"GIF89a" + b"\0" * 50, "cannot be read"),
        (file_of(RED, kind="BMP"), "cannot be read"),
        (file_of(RED)[:-40], "cannot be read"),
        (file_of(RED, (99, 400)), "too small"),
        (file_of(RED, (9_000, 9_000)), "too large"),
        (file_of(RED, (20_000, 10_000)), "too large"),
    ],
)
def test_what_is_no_picture_or_too_much_of_one_is_refused_in_a_sentence(data: bytes, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        as_ours(data, ORIGIN)

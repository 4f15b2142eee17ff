"""`greenroom schedule` and `greenroom posts` as a person or a script meets them, beside a running house and alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import StoreError
from engine.posting import Posting
from engine.store import chats, outbox, personas
from engine.store import posts as store
from engine.store.records import DeliveryKind, DeliveryState, Post, PostState
from engine.store.tables import deliveries, schedules
from tests.bot.command_line import DEN, Greenroom, changed, until, with_two_places


@pytest.fixture
def greenroom(greenroom: Greenroom) -> Greenroom:
    with_two_places(greenroom)
    return greenroom


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Greenroom:
    """One that several tests only look at: nothing is planned there."""
    home = Greenroom(tmp_path_factory.mktemp("untouched"))
    with_two_places(home)
    return home


def waits(greenroom: Greenroom, key: str = "k", caption: str = "Good morning.\x1b[31m") -> int:
    """A post that waits for approval; answers its number."""

    async def add(tx: AsyncConnection) -> int:
        place = await chats.place(tx, DEN)
        who = (await personas.listing(tx))[0]
        now = datetime.now(UTC)
        assert place is not None
        post = await store.add(
            tx, key=key, due_at=now + timedelta(hours=3), chat_id=place.id, persona_id=who.id, now=now
        )
        assert post is not None
        await store.change(tx, post.id, was=[post.state], state=PostState.WAITING, caption=caption)
        return post.id

    number: int = changed(greenroom, add)
    return number


def test_a_schedule_is_added_looked_at_and_taken_away(greenroom: Greenroom) -> None:
    assert "Nothing is scheduled" in greenroom("schedule", "list").stdout
    added = greenroom.told(
        *("schedule", "add", "daily 09:00", "morning coffee", "--place", "1", "--zone", "europe/berlin"),
        *("--style", "noir", "--text-only", "--to", "2", "--ahead", "90m", "--approval", "skip", "--yes"),
    )
    assert (added["when"], added["zone"], added["theme"]) == (
        "daily 09:00",
        "Europe/Berlin",
        "morning coffee",
    )
    assert added["options"] == {
        "style": "noir",
        "text": True,
        "picture": False,
        "targets": [2],
        "ahead": 5400,
        "approval": "skip",
    }
    assert added["chat"] == "telegram:bot:-100815"
    assert len(added["next"]) == 5
    listed = greenroom("schedule", "list").stdout
    for told in ("active", "#1 telegram:bot:-100815", "daily 09:00", "Europe/Berlin", "morning coffee"):
        assert told in listed
    assert greenroom.told("schedule", "list", "--place", "discord:bot:4711:9") == []
    assert len(greenroom("schedule", "next", "1").stdout.splitlines()) == 5
    assert greenroom.told("schedule", "pause", "1")["state"] == "paused"
    assert greenroom.told("schedule", "resume", "1")["state"] == "active"
    name = str(added["persona_id"])
    assert greenroom.told("schedule", "pause", "--persona", name)["schedules"] == 1
    assert greenroom.told("schedule", "list")[0]["state"] == "paused"
    assert greenroom.told("schedule", "resume", "--persona", name)["schedules"] == 1
    assert greenroom.told("schedule", "list")[0]["state"] == "active"
    assert "--persona" in greenroom("schedule", "pause").stderr
    before = greenroom.told("schedule", "next", "1")
    skipped = greenroom.told("schedule", "skip", "1")["next"]
    assert skipped[:4] == before[1:]
    changed = greenroom.told("schedule", "edit", "1", "weekly mon 20:00", "--theme", "a | b", "--both")
    assert (changed["when"], changed["options"]["themes"]) == ("weekly mon 20:00", ["a", "b"])
    assert changed["options"]["picture"]
    assert "is gone" in greenroom("schedule", "remove", "1").stdout
    assert greenroom.told("schedule", "list") == []


def test_a_script_that_is_not_sure_saves_nothing(greenroom: Greenroom) -> None:
    ended = greenroom("schedule", "add", "daily 09:00", "--place", "1")
    assert ended.returncode == 2
    assert "--yes saves it" in ended.stderr
    assert greenroom.told("schedule", "list") == []


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (2, ("add", "daily 25:61", "--place", "1", "--yes")),
        (2, ("add", "cron * * * * *", "--place", "1", "--yes")),
        (2, ("add", "once 2020-01-01 09:00", "--place", "1", "--yes")),
        (2, ("add", "daily 09:00", "--place", "1", "--zone", "Mars/Olympus", "--yes")),
        (2, ("add", "daily 09:00", "--place", "1", "--text-only", "--picture-only", "--yes")),
        (2, ("add", "daily 09:00", "x" * 501, "--place", "1", "--yes")),
        (4, ("add", "daily 09:00", "--place", "77", "--yes")),
        (4, ("add", "daily 09:00", "--place", "telegram:bot:nowhere", "--yes")),
        (4, ("add", "daily 09:00", "--place", "1", "--to", "77", "--yes")),
        (4, ("add", "daily 09:00", "--place", "1", "--persona", "nobody-at-all", "--yes")),
        (4, ("pause", "77")),
        (4, ("remove", "77")),
        (4, ("run", str(10**12))),
        (4, ("next", "77")),
    ],
)
def test_what_cannot_be_is_a_sentence(untouched: Greenroom, code: int, arguments: tuple[str, ...]) -> None:
    ended = untouched("schedule", *arguments)
    assert ended.returncode == code, ended.stderr
    assert ended.stderr.strip()
    assert "Traceback" not in ended.stderr
    assert "should not have" not in ended.stderr
    assert untouched.told("schedule", "list") == []


def test_the_zone_is_the_house_s_own_unless_somebody_names_one(greenroom: Greenroom) -> None:
    said = ("schedule", "add", "daily 09:00", "--place", "1", "--yes", "--json")
    assert '"Asia/Tokyo"' in greenroom(*said, GREENROOM_POSTS__ZONE="Asia/Tokyo").stdout
    assert '"Europe/Berlin"' in greenroom(*said, TZ="Europe/Berlin").stdout
    ended = greenroom(*said, GREENROOM_POSTS__ZONE="Mars/Olympus")
    assert ended.returncode == 3
    assert "posts.zone: there is no such time zone" in ended.stderr


FILE = """
[[schedule]]
name = "coffee"
place = 1
persona = "wiebe-terpstra"
when = "daily 09:00"
themes = ["coffee", "tea"]
zone = "Europe/Berlin"
approval = "post"

[[schedule]]
place = "discord:bot:4711:9"
when = "window 18:00-21:00 quiet 20:00-20:30"
picture_only = true
ahead = "2h"
to = [1]
"""


def test_several_come_from_a_file_and_what_has_a_name_is_changed_the_next_time(greenroom: Greenroom) -> None:
    file = greenroom.folder / "posts.toml"
    file.write_text(FILE, encoding="utf-8")
    first, second = greenroom.told("schedule", "load", str(file))
    assert (first["persona"], first["options"]["themes"]) == ("Wiebe Terpstra", ["coffee", "tea"])
    assert (second["place"], second["options"]["targets"], second["options"]["ahead"]) == (2, [1], 7200)
    file.write_text(FILE.split("\n\n")[0].replace("09:00", "10:00"), encoding="utf-8")
    [again] = greenroom.told("schedule", "load", str(file))
    assert (again["id"], again["when"]) == (first["id"], "daily 10:00")
    assert [one["id"] for one in greenroom.told("schedule", "list")] == [first["id"], second["id"]]


NAMED = """
[[schedule]]
name = "coffee"
place = 1
when = "daily 09:00 quiet 22:00-07:00"
themes = ["coffee", "tea"]
style = "Noir"
ahead = "90m"
approval = "skip"
text_only = true
to = [2, "#2"]

[[schedule]]
name = "over"
place = 1
when = "once 2020-01-01 09:00"
zone = "UTC"
"""


def test_a_file_that_says_nothing_new_changes_nothing(greenroom: Greenroom) -> None:
    """Not what somebody approved and wrote, and not what is over."""

    async def plan(tx: AsyncConnection) -> None:
        now = datetime.now(UTC)
        post = await store.add(
            tx,
            key="k",
            due_at=now + timedelta(hours=1),
            chat_id=1,
            persona_id=(await personas.listing(tx))[0].id,
            schedule_id=1,
            options={"approved": True},
            now=now,
        )
        assert post is not None
        await store.change(tx, post.id, was=[post.state], state=PostState.READY, caption="My own words.")

    async def grow_old(tx: AsyncConnection) -> None:
        await tx.execute(
            update(schedules).where(schedules.c.id == 2).values(spec="once 2020-01-01 09:00", state="ended")
        )

    file = greenroom.folder / "posts.toml"
    file.write_text(NAMED.replace("2020", str(datetime.now(UTC).year + 1)), encoding="utf-8")
    greenroom.told("schedule", "load", str(file))
    changed(greenroom, plan)
    changed(greenroom, grow_old)
    before = greenroom.told("schedule", "list")
    assert [one["state"] for one in before] == ["active", "ended"]
    file.write_text(NAMED, encoding="utf-8")
    greenroom.told("schedule", "load", str(file))
    assert greenroom.told("schedule", "list") == before
    [post] = greenroom.told("posts", "list")
    assert (post["state"], post["caption"]) == ("ready", "My own words.")

    file.write_text(NAMED.replace('style = "Noir"\nahead = "90m"\n', ""), encoding="utf-8")
    first, _ = greenroom.told("schedule", "load", str(file))
    assert (first["options"]["style"], "ahead" in first["options"]) == ("", False)
    assert first["options"]["approval"] == "skip"


def test_a_style_and_a_time_before_are_taken_back(greenroom: Greenroom) -> None:
    how = ("--style", "noir", "--ahead", "90m", "--yes")
    greenroom.told("schedule", "add", "daily 09:00", "tea", "--place", "1", *how)
    options = greenroom.told("schedule", "edit", "1", "--style", "none", "--ahead", "default")["options"]
    assert options == {"style": ""}


def test_two_windows_of_one_persona_in_one_place_are_drawn_apart(greenroom: Greenroom) -> None:
    drawn = []
    for theme, zone in (("tea", "UTC"), ("coffee", "UTC"), ("coffee", "UTC")):
        said = ("window 08:00-21:00", theme, "--place", "1", "--zone", zone, "--yes")
        drawn.append(greenroom.told("schedule", "add", *said)["next"])
    assert drawn[0] != drawn[1]
    assert drawn[1] == drawn[2], "what was shown is what is kept"


def test_one_that_cannot_be_read_is_told_and_hides_no_other(greenroom: Greenroom) -> None:
    for theme in ("tea", "coffee"):
        greenroom.told("schedule", "add", "daily 09:00", theme, "--place", "1", "--yes")

    async def garble(tx: AsyncConnection) -> None:
        await tx.execute(update(schedules).where(schedules.c.id == 1).values(spec="fortnightly"))

    changed(greenroom, garble)
    first, second = greenroom.told("schedule", "list")
    assert "Begin with when it is to be" in first["error"]
    assert (first["next"], len(second["next"])) == ([], 5)
    assert "coffee" in greenroom("schedule", "list").stdout
    assert greenroom.told("schedule", "edit", "1", "daily 10:00")["next"]


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ("is not TOML", "[[schedule"),
        ("[[schedule]]", ""),
        ("[[schedule]]", "schedule = 3"),
        ("[[schedule]]", "[other]\na = 1"),
        ("no `colour`", '[[schedule]]\nplace = 1\nwhen = "daily 09:00"\ncolour = "red"'),
        ("`when` is missing", "[[schedule]]\nplace = 1"),
        ("`when` cannot be", "[[schedule]]\nplace = 1\nwhen = 9"),
        ("`to` cannot be", '[[schedule]]\nplace = 1\nwhen = "daily 09:00"\nto = [[1]]'),
        ("Schedule 3", FILE + '\n[[schedule]]\nplace = 1\nwhen = "soonish"'),
        ("Schedule 3", FILE + '\n[[schedule]]\nplace = 9\nwhen = "daily 09:00"'),
        ("the name 'coffee'", FILE + '\n[[schedule]]\nname = "coffee"\nplace = 2\nwhen = "daily 09:00"'),
        ("stands inside of something else", "a = " + "[" * 5_000),
        ("is not TOML", "[[schedule]]\nwhen = 'x'\nplace = " + "9" * 5_000),
        ("`place` cannot be", "[[schedule]]\nwhen = 'x'\nplace = 0x" + "f" * 9_000),
        ("`to` cannot be", "[[schedule]]\nwhen = 'x'\nplace = 1\nto = [0x" + "f" * 9_000 + "]"),
    ],
)
def test_of_a_file_with_a_mistake_nothing_is_saved(untouched: Greenroom, told: str, text: str) -> None:
    file = untouched.folder / "posts.toml"
    file.write_text(text, encoding="utf-8")
    ended = untouched("schedule", "load", str(file))
    assert ended.returncode in (2, 4)
    assert told in ended.stderr
    assert untouched.told("schedule", "list") == []


def test_a_file_that_is_not_there_is_a_sentence(greenroom: Greenroom) -> None:
    ended = greenroom("schedule", "load", str(greenroom.folder / "nothing.toml"))
    assert ended.returncode == 2
    assert "cannot be read" in ended.stderr


def test_posts_wait_in_the_inbox_until_somebody_decides(greenroom: Greenroom) -> None:
    assert "Nothing waits" in greenroom("posts", "inbox").stdout
    assert "No post yet" in greenroom("posts", "list").stdout
    one, other = waits(greenroom, "a"), waits(greenroom, "b")
    shown = greenroom("posts", "inbox").stdout
    assert f"Post {one}" in shown
    assert "Good morning." in shown
    assert "\x1b" not in shown
    assert [post["id"] for post in greenroom.told("posts", "inbox")] == [one, other]
    assert greenroom.told("posts", "approve", str(one))["state"] == "ready"
    assert greenroom.told("posts", "skip", str(other))["state"] == "skipped"
    assert greenroom.told("posts", "inbox") == []
    assert {post["state"] for post in greenroom.told("posts", "list")} == {"ready", "skipped"}
    assert [post["id"] for post in greenroom.told("posts", "list", "--state", "ready")] == [one]
    assert greenroom("posts", "approve", "77").returncode == 4
    assert greenroom("posts", "recall", "77").returncode == 4


def planned(greenroom: Greenroom) -> str:
    """The number of a schedule."""
    told = greenroom.told("schedule", "add", "daily 09:00", "stars", "--place", "1", "--text-only", "--yes")
    return str(told["id"])


def test_an_order_whose_answer_is_lost_is_given_again_and_makes_one_post(
    greenroom: Greenroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, run_now, given = planned(greenroom), Posting.run_now, []

    async def unheard(self: Posting, schedule_id: int, *, by: str = "") -> Post:
        post = await run_now(self, schedule_id, by=by)
        given.append(by)
        if len(given) < 3:
            raise StoreError("The store does not answer.")
        return post

    monkeypatch.setattr(Posting, "run_now", unheard)
    post = greenroom.told("schedule", "run", number)["post"]
    assert len(given) == 3
    assert [one["id"] for one in greenroom.told("posts", "list")] == [post]


def test_each_order_makes_a_post_of_its_own_unless_it_is_called_the_same(greenroom: Greenroom) -> None:
    number = planned(greenroom)
    first, second = (greenroom.told("schedule", "run", number)["post"] for _ in range(2))
    assert first != second
    third, same = (greenroom.told("schedule", "run", number, "--key", "noon")["post"] for _ in range(2))
    assert third == same
    assert len(greenroom.told("posts", "list")) == 3
    for key in ("x" * 65, "a\nb", "half a letter: \udcff"):
        refused = greenroom("schedule", "run", number, "--key", key)
        assert (refused.returncode, len(greenroom.told("posts", "list"))) == (2, 3)
        assert "64 characters" in refused.stderr


def test_a_store_that_stays_silent_is_told_in_a_sentence(
    greenroom: Greenroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = planned(greenroom)

    async def silent(self: Posting, schedule_id: int, *, by: str = "") -> Post:
        raise StoreError("The store does not answer.")

    monkeypatch.setattr(Posting, "run_now", silent)
    ended = greenroom("schedule", "run", number)
    assert (ended.returncode, ended.stderr.strip()) == (1, "The store does not answer.")


def test_a_house_that_runs_hears_of_what_is_changed_beside_it(greenroom: Greenroom) -> None:
    process = greenroom.starts("up")
    try:
        until(process, "Open.")
        added = greenroom.told(
            "schedule", "add", "daily 09:00", "stars", "--place", "1", "--text-only", "--yes"
        )
        post = greenroom.told("schedule", "run", str(added["id"]))["post"]
        for _ in range(600):
            [found] = [one for one in greenroom.told("posts", "list") if one["id"] == post]
            if found["state"] == "published":
                break
        assert found["state"] == "published"
        assert found["caption"]
        assert greenroom.told("posts", "recall", str(post))["messages"] == 1
    finally:
        process.terminate()
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in log


def held(greenroom: Greenroom) -> int:
    """A post that was being shown in the den when the house stopped; answers the delivery's number."""

    async def hold(tx: AsyncConnection) -> int:
        place = await chats.place(tx, DEN)
        assert place is not None
        now = datetime.now(UTC)
        number = await outbox.owe(
            tx, place.id, DeliveryKind.POST, text="Good morning.\x1b[31m", post_id=waits_id, now=now
        )
        await outbox.take(tx, [("telegram", "bot")], now=now)
        await outbox.recover(tx, [("telegram", "bot")], recognises_repeats=False)
        return number

    waits_id = waits(greenroom)
    number: int = changed(greenroom, hold)
    return number


def test_what_may_have_arrived_is_listed_and_released(greenroom: Greenroom) -> None:
    assert "Nothing is held." in greenroom("posts", "held").stdout
    number = held(greenroom)
    shown = greenroom("posts", "held").stdout
    assert "Good morning." in shown
    assert "\x1b[31m" not in shown
    [told] = greenroom.told("posts", "held")
    assert (told["id"], told["place"], told["chat"]) == (number, 1, "telegram:bot:-100815")
    unsaid = greenroom("posts", "release", str(number))
    assert unsaid.returncode == 2
    assert "--again" in unsaid.stderr
    assert greenroom.told("posts", "release", str(number), "--again") == {"released": number, "again": True}

    async def state(tx: AsyncConnection) -> str:
        found = await tx.execute(select(deliveries.c.state).where(deliveries.c.id == number))
        return str(found.scalar_one())

    assert changed(greenroom, state) == DeliveryState.PENDING
    assert greenroom("posts", "release", str(number), "--gone").returncode == 4


def test_one_that_has_arrived_is_not_sent_again(greenroom: Greenroom) -> None:
    number = held(greenroom)
    assert f"{number} has arrived." in greenroom("posts", "release", str(number), "--gone").stdout
    assert greenroom.told("posts", "held") == []


def test_a_backfill_is_ordered_by_the_clock(greenroom: Greenroom) -> None:
    added = greenroom.told(
        *("schedule", "add", "daily 03:00", "in the rain", "--backfill", "--place", "1", "--limit", "3"),
        *("--style", "noir", "--zone", "UTC"),
    )
    assert added["options"]["order"]["limit"] == 3
    assert added["options"]["order"]["wish"] == {"style": "noir"}
    assert (added["theme"], added["state"]) == ("", "active")
    assert "03:00" in added["next"][0]
    listed = greenroom("schedule", "list").stdout
    assert "backfill of all:" in listed
    batch = greenroom.told(
        *("schedule", "add", "weekly mon 03:00", "--batch", "--persona", "glenys", "--place", "1"),
        *("--run-key", "mondays"),
    )
    assert (batch["options"]["name"], batch["options"]["order"]["kind"]) == ("mondays", "batch")
    for wrong, says in (
        (("--backfill", "--batch"), "choose one"),
        (("--tag", "x"), "--backfill"),
        (("--backfill", "--text-only"), "--text-only"),
        (("--backfill", "--tag", "nobody-has-it"), "nobody-has-it"),
        (("--batch", "--limit", "0"), "limit of 0"),
    ):
        refused = greenroom("schedule", "add", "daily 03:00", "--place", "1", *wrong)
        assert refused.returncode != 0
        assert says in refused.stderr
    assert len(greenroom.told("schedule", "list")) == 2
    assert greenroom("schedule", "run", "1").returncode != 0

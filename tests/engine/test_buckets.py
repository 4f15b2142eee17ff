"""A bucket on its bad days: each is a sentence, nothing is half written, and no secret is in a word of it."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from engine.errors import GreenroomError, NotFound, SettingsError, StoreError, TryAgain
from engine.locales import locale_of
from engine.settings import FileSettings
from engine.store.buckets import meaning
from engine.store.files import PART, StoredFiles, kind_of
from tests.servers.s3 import ACCESS_KEY, S3, SECRET, Fault
from tests.servers.s3.fixtures import s3_bucket, s3_server  # noqa: F401 - fixtures

KEY = "pictures/ada/12-1_ada_noir.png"
OLD, NEW = b"what was there before", b"what is to be there"

BAD_DAYS = {
    "it is too busy": (Fault(status=503, code="SlowDown"), TryAgain, "try again"),
    "it is broken": (Fault(status=500), TryAgain, "try again"),
    "it is slow": (Fault(slow=30.0), TryAgain, "try again"),
    "it hangs up": (Fault(hangs_up=True), TryAgain, "try again"),
    "it lies elsewhere": (Fault(status=301), StoreError, "another region"),
    "it lies in a region that it names": (
        Fault(status=400, code="AuthorizationHeaderMalformed", region="eu-west-7"),
        StoreError,
        "eu-west-7",
    ),
    "the key has expired": (Fault(status=400, code="ExpiredToken"), StoreError, "has expired"),
    "the key is unknown": (Fault(status=403, code="InvalidAccessKeyId"), StoreError, "does not know the key"),
    "the secret is wrong": (Fault(status=403, code="SignatureDoesNotMatch"), StoreError, "its secret"),
    "the key may not": (Fault(status=403, code="AccessDenied"), StoreError, "does not open"),
    "nothing is said but no": (Fault(status=403), StoreError, "does not open"),
    "the clock is wrong": (Fault(status=403, code="RequestTimeTooSkewed"), StoreError, "clock"),
    "it is full": (Fault(status=507), StoreError, "full"),
    "it has gone": (Fault(status=404, code="NoSuchBucket"), StoreError, "is not there"),
    "it says what nobody knows": (Fault(status=400, code="Whatever"), StoreError, "Whatever"),
}


@pytest.fixture
def files(s3: S3) -> StoredFiles:
    return StoredFiles.in_bucket(FileSettings(**s3.settings()))


async def listed(files: StoredFiles) -> list[str]:
    return [key async for key in files.keys()]  # noqa: SIM118 - these are no dictionary's


def attempts(files: StoredFiles) -> dict[str, Callable[[], Awaitable[Any]]]:
    return {
        "put": lambda: files.put(KEY, NEW),
        "get": lambda: files.get(KEY),
        "delete": lambda: files.delete(KEY),
        "list": lambda: listed(files),
    }


@contextmanager
def nothing_told() -> Iterator[list[Any]]:
    """No secret, and nothing of what a server answers beside its code, is in an error or in the log."""
    seen: list[GreenroomError] = []
    with capture_logs() as logged:
        yield seen
    told = [str(logged), *("".join(traceback.format_exception(error)) for error in seen)]
    assert seen
    assert [one for one in told if SECRET in one or ACCESS_KEY in one or "<Error>" in one] == []
    assert "obstore" not in "".join(told).replace("engine/store", "").replace("site-packages", "")


@pytest.mark.parametrize("day", BAD_DAYS)
async def test_a_bad_day_is_a_sentence_and_changes_nothing(day: str, s3: S3, files: StoredFiles) -> None:
    fault, kind, words = BAD_DAYS[day]
    await files.put(KEY, OLD)
    s3.give(fault)
    # Who waits in vain need not wait long for it.
    asking = StoredFiles.in_bucket(FileSettings(**s3.settings(patience=0.6))) if fault.slow else files
    with nothing_told() as seen:
        for attempt in attempts(asking).values():
            with pytest.raises(GreenroomError) as raised:
                await attempt()
            seen.append(raised.value)
    assert {type(error) for error in seen} == {kind}
    assert all(words in str(error) and "\n" not in str(error) for error in seen)
    assert all(locale_of("de").says(error) != str(error) for error in seen)
    s3.mend()
    assert list(s3.objects().values()) == [OLD]
    assert await files.get(KEY) == OLD


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503, code="SlowDown", times=2),
        Fault(status=500, times=1),
        Fault(hangs_up=True, times=2),
        Fault(slow=0.2, times=1),
        Fault("GET", "pictures", cut=3, times=1),
        Fault("PUT", cut=0, times=1),
    ],
    ids=["busy", "broken", "hung up", "slow", "cut in the middle", "the answer is lost"],
)
async def test_a_bad_moment_is_noticed_by_nobody(fault: Fault, s3: S3) -> None:
    files = StoredFiles.in_bucket(FileSettings(**s3.settings()))
    for asked in range(2):
        s3.give(fault)
        await files.put(f"pictures/{asked}.png", NEW * 1000)
        assert await files.get(f"pictures/{asked}.png") == NEW * 1000
        await files.delete(f"pictures/{asked}.png")
    assert s3.objects() == {}


async def test_a_picture_that_always_breaks_off_is_given_to_nobody(s3: S3, files: StoredFiles) -> None:
    await files.put(KEY, NEW * 100_000)
    s3.give(Fault("GET", cut=0))
    with pytest.raises(TryAgain):
        await files.get(KEY)
    s3.mend()
    assert await files.get(KEY) == NEW * 100_000


async def test_a_file_that_is_missing_and_a_bucket_that_is_missing_are_two_things(
    s3: S3, files: StoredFiles
) -> None:
    with pytest.raises(NotFound, match=KEY):
        await files.get(KEY)
    await files.delete(KEY)
    s3.drop()
    for attempt in attempts(files).values():
        with pytest.raises(StoreError, match="is not there"):
            await attempt()
    s3.make()


async def test_nobody_is_there_at_all(s3: S3) -> None:
    nowhere = FileSettings(**s3.settings(endpoint="http://127.0.0.1:1"))
    for attempt in attempts(StoredFiles.in_bucket(nowhere)).values():
        with nothing_told() as seen:
            with pytest.raises(TryAgain, match="does not answer") as raised:
                await attempt()
            seen.append(raised.value)


LARGE = bytes(range(256)) * (2 * PART // 256) + b"and a little more"


async def test_what_is_large_goes_in_parts_and_arrives_whole(s3: S3) -> None:
    files = StoredFiles.in_bucket(FileSettings(**s3.settings()))
    s3.give(Fault("PUT", "partNumber=2", status=503, code="SlowDown", times=1))
    await files.put(KEY, LARGE)
    assert await files.get(KEY) == LARGE
    parts = [asked for asked in s3.asked if "partNumber" in asked]
    assert len(parts) == 4  # three, and one of them twice
    assert s3.unfinished() == 0


async def test_of_a_large_file_that_fails_no_part_is_left(s3: S3) -> None:
    files = StoredFiles.in_bucket(FileSettings(**s3.settings()))
    await files.put(KEY, OLD)
    s3.give(Fault("PUT", "partNumber=2", status=403, code="AccessDenied"))
    with pytest.raises(StoreError):
        await files.put(KEY, LARGE)
    assert s3.unfinished() == 0
    assert list(s3.objects().values()) == [OLD]


async def test_of_a_large_file_that_nobody_waits_for_any_more_no_part_is_left(s3: S3) -> None:
    files = StoredFiles.in_bucket(FileSettings(**s3.settings()))
    s3.give(Fault("PUT", "partNumber=2", slow=0.3, times=1))
    putting = asyncio.create_task(files.put(KEY, LARGE))
    async with asyncio.timeout(20):
        while not any("partNumber" in asked for asked in s3.asked):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert s3.unfinished() == 0
    assert list(s3.objects().values()) == [LARGE]


async def test_where_the_library_itself_stumbles_it_is_a_sentence_too(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"{ACCESS_KEY}\n")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    files = StoredFiles.in_bucket(FileSettings(**s3.settings(access_key="", secret_key="")))
    with nothing_told() as seen:
        for attempt in attempts(files).values():
            with pytest.raises(StoreError, match="could not be asked") as raised:
                await attempt()
            seen.append(raised.value)


async def test_files_stand_under_the_folder_that_the_settings_name(s3: S3) -> None:
    s3.put("somebody/else.png", b"not ours")
    files = StoredFiles.in_bucket(FileSettings(**s3.settings()))
    await files.put(KEY, NEW)
    assert set(s3.objects()) == {"somebody/else.png", f"home/of/it/{KEY}"}
    assert await listed(files) == [KEY]
    whole = StoredFiles.in_bucket(FileSettings(**s3.settings(store=f"s3://{s3.bucket}")))
    assert sorted(await listed(whole)) == [f"home/of/it/{KEY}", "somebody/else.png"]


async def test_a_file_is_served_as_what_it_is(s3: S3, files: StoredFiles) -> None:
    for name, kind in (
        ("a.png", "image/png"),
        ("b.JPG", "image/jpeg"),
        ("c.html", "application/octet-stream"),
    ):
        await files.put(name, NEW)
        assert s3.kind(f"home/of/it/{name}") == kind == kind_of(name)


async def test_a_signed_link_opens_one_file_and_its_address_alone_opens_none(
    s3: S3, files: StoredFiles
) -> None:
    key = "pictures/ada/ü %41&?.png"
    await files.put(key, NEW)
    link = await files.link(key)
    assert link is not None
    assert SECRET not in link
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        seen = await client.get(link)
        assert (seen.status_code, seen.content, seen.headers["content-type"]) == (200, NEW, "image/png")
        assert (await client.get(link.partition("?")[0])).status_code == 403
    assert f"X-Amz-Expires={FileSettings().signed_for}" in link
    short = StoredFiles.in_bucket(FileSettings(**s3.settings(signed_for=60)))
    assert "X-Amz-Expires=60&" in str(await short.link(key))


async def test_where_files_are_public_their_address_is_the_link(s3: S3) -> None:
    public = FileSettings(**s3.settings(public="https://pictures.example.org/all/"))
    there = "https://pictures.example.org/all/pictures/ada/%C3%BC%20%23.png"
    assert await StoredFiles.in_bucket(public).link("pictures/ada/ü #.png") == there


async def test_what_the_environment_says_of_amazon_does_not_mix_with_a_key_of_ours(
    s3: S3,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-somebody-else")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "SOMEBODYELSE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-somebody-else")
    files = StoredFiles.in_bucket(FileSettings(**s3.settings()))
    await files.put(KEY, NEW)
    link = str(await files.link(KEY))
    assert ACCESS_KEY in link
    assert "SOMEBODYELSE" not in link
    assert "Security-Token" not in link


async def test_without_a_key_it_is_said_where_one_belongs(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    # Where a machine in the cloud would be asked who it is.
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    none = FileSettings(**s3.settings(access_key="", secret_key=""))
    for attempt in attempts(StoredFiles.in_bucket(none)).values():
        with pytest.raises(StoreError, match="access_key and secret_key belong"):
            await attempt()


async def test_a_name_that_climbs_is_refused_before_the_bucket_hears_of_it(
    s3: S3, files: StoredFiles
) -> None:
    for attempt in (files.put("../a", NEW), files.get("../a"), files.delete("../a"), files.link("../a")):
        with pytest.raises(StoreError, match="cannot be the name"):
            await attempt
    assert s3.asked == []


def test_what_the_environment_says_wrongly_of_amazon_is_a_mistake_in_the_settings(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_S3_EXPRESS", "perhaps")
    with pytest.raises(SettingsError, match="perhaps"):
        StoredFiles.in_bucket(FileSettings(**s3.settings()))


def test_what_a_server_says_is_read_whatever_stands_around_it() -> None:
    told = f"x <Code> NoSuchBucket\n</Code> {SECRET} <Region>eu-1</Region>"
    assert "is not there" in str(meaning(told))
    assert isinstance(meaning(""), TryAgain)
    assert isinstance(meaning("status code: 429 Too Many Requests"), TryAgain)
    assert isinstance(meaning("<Code>RequestTimeout</Code> status code: 400 Bad Request"), TryAgain)
    assert str(meaning("status code: 418 <Code><b>bold</b></Code>")).endswith("refused: 418.")


async def test_many_at_once_get_each_its_own(s3: S3) -> None:
    files = StoredFiles.in_bucket(FileSettings(**s3.settings()))
    s3.give(Fault(status=503, code="SlowDown", times=10))
    names = [f"pictures/{number}.png" for number in range(20)]
    await asyncio.gather(*(files.put(name, name.encode()) for name in names))
    assert await asyncio.gather(*map(files.get, names)) == [name.encode() for name in names]

"""Pictures for posts that nobody has to render: an item's own, and those of the operator's folder in their turn.

Each becomes a file and a row of the house, with whose it is. When a post has to borrow one, it does not know.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.clock import Clock
from engine.errors import BadRequest, GreenroomError, StoreError
from engine.feeds import LONGEST_TITLE, link_of, plain
from engine.fetching import fetch, host_of
from engine.locales import say
from engine.pictures.atelier import LARGE, Atelier
from engine.pictures.borrowed import MODEL, Borrowed, Origin, as_ours
from engine.planning import FOLDER, ITEM, About, about_of, state_made, take_of
from engine.settings import Settings
from engine.store import borrowed, jobs, posts
from engine.store.database import Database
from engine.store.files import Files
from engine.store.records import JobState, Post, PostState
from personas.persona import Rating

log = structlog.get_logger(__name__)

PICTURES = "image/webp, image/png, image/jpeg, image/gif;q=0.8, image/*;q=0.1"
#: So many bytes a picture has at most, and for so many seconds it is waited for.
MOST_BYTES, PATIENCE = 10 * 1024 * 1024, 10.0
#: Of a folder so many files are known, and so many are tried until one can be read; of what is told of one, so much.
MOST_FILES, MOST_TRIED, MOST_TOLD = 2_000, 20, 10_000
ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif"})
#: What a whole folder's licence stands in.
LICENCES = ("licence", "license", "licence.txt", "license.txt", "licence.md", "license.md")


class Borrowing:
    def __init__(
        self, database: Database, files: Files, atelier: Atelier, settings: Settings, clock: Clock
    ) -> None:
        self._database = database
        self._files = files
        self._atelier = atelier
        self._private = settings.feeds.private
        #: Named without the way to it, it lies in the home.
        self._folder = settings.home / settings.feeds.folder if settings.feeds.folder else None
        self._clock = clock
        #: Two who choose at once would choose the same.
        self._choosing = asyncio.Lock()

    async def lend(self, post: Post, lenders: Sequence[str], *, allowed: Rating) -> bool:
        """A post that waits for a picture has one then, from the first who has one; False: nobody has.

        One that is being painted for it is only late: it is painted all the same, and kept, but not shown.
        """
        about = about_of(post)
        if about is None:
            return False
        for lender in lenders:
            lend = self._of_item if lender == ITEM else self._of_folder
            try:
                if await lend(post, about, allowed):
                    return True
            except StoreError:
                raise
            except GreenroomError as error:
                log.warning("picture_not_lent", post=post.id, lender=lender, cause=str(error))
        return False

    async def _of_item(self, post: Post, about: About, allowed: Rating) -> bool:
        if not about.picture or about.rating.level > allowed.level:
            return False
        fetched = await fetch(
            about.picture, private=self._private, accept=PICTURES, most=MOST_BYTES, patience=PATIENCE
        )
        source = host_of(about.link) or host_of(about.picture)
        origin = Origin(ITEM, source, about.picture, about.licence)
        return await self._keep(post, about, await self._ours(fetched.body, origin), origin, about.rating)

    async def _of_folder(self, post: Post, about: About, _allowed: Rating) -> bool:
        if self._folder is None:
            return False
        async with self._choosing:
            for name in await self._in_turn(self._folder):
                try:
                    data, origin = await asyncio.to_thread(_read, self._folder, name)
                    ours = await self._ours(data, origin)
                except BadRequest as error:
                    log.warning("picture_unusable", file=name, cause=str(error))
                    continue
                # The operator answers for what lies there: it may be shown everywhere.
                return await self._keep(post, about, ours, origin, Rating.ALL_AGES)
        return False

    async def _in_turn(self, folder: Path) -> list[str]:
        """The files that may be next: those not lent lately, then those lent longest ago."""
        names = await asyncio.to_thread(_pictures_in, folder)
        told = await self._database.look(partial(borrowed.lately, lender=FOLDER, most=len(names)))
        lately = [origin.address for facts in told if (origin := Origin.of(facts)) is not None]
        age = {name: len(lately) for name in names} | {
            name: at for at, name in reversed([*enumerate(lately)])
        }
        return sorted(names, key=lambda name: -age[name])[:MOST_TRIED]

    async def _ours(self, data: bytes, origin: Origin) -> Borrowed:
        # However few bytes it has: how large it gets is not known before.
        return await self._atelier.do(as_ours, LARGE, data, origin)

    async def _keep(self, post: Post, about: About, ours: Borrowed, origin: Origin, rating: Rating) -> bool:
        """The file first, and then its row with the post's: no row names a file that is not there."""
        take = take_of(post)
        key, once = f"borrowed/{post.id}-{take}.png", f"post:{post.id}:{take}:borrowed"
        await self._files.put(key, ours.png)

        async def kept(tx: AsyncConnection) -> Post | None:
            now = await posts.get(tx, post.id, alone=True)
            if now.state is not PostState.MAKING or now.job_id != post.job_id or take_of(now) != take:
                return None
            if now.job_id is not None and (await jobs.get(tx, now.job_id)).state is JobState.DONE:
                return None  # it was not too late after all
            ids = await borrowed.add(
                tx,
                lender=origin.lender,
                scene=about.title,
                file=key,
                width=ours.width,
                height=ours.height,
                rating=rating,
                model=MODEL,
                facts=origin.facts,
                dedup_key=once,
                now=self._clock.now(),
            )
            if ids is None:
                return None
            job_id, picture_id = ids
            was = (PostState.MAKING,)
            return await posts.change(
                tx, post.id, was=was, state=state_made(now), job_id=job_id, picture_id=picture_id, error=""
            )

        changed = await self._database.change(kept)
        if changed is not None:
            late = {} if post.job_id is None else {"in_place_of_job": post.job_id}
            log.info("picture_lent", post=post.id, lender=origin.lender, file=key, **late)
        elif not await self._database.look(partial(borrowed.is_shown, file=key, dedup_key=once)):
            await self._files.delete(key)
        # Where somebody else was quicker, or nobody wants it any more, there is nothing left to lend.
        return True


def _pictures_in(folder: Path) -> list[str]:
    """The names of a folder's pictures, in their order. One that is not there holds none."""
    try:
        with os.scandir(folder) as found:
            names = [
                one.name
                for one in found
                if Path(one.name).suffix.lower() in ENDINGS and one.name[0] != "." and one.is_file()
            ]
    except OSError as error:
        log.warning("folder_not_read", folder=str(folder), cause=error.strerror)
        return []
    return sorted(names)[:MOST_FILES]


def _read(folder: Path, name: str) -> tuple[bytes, Origin]:
    try:
        with (folder / name).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadRequest(say("feeds.picture.unreadable")) from error
    if len(data) > MOST_BYTES:
        raise BadRequest(say("fetching.too_large", n=MOST_BYTES // 2**20))
    lines = _first_text(folder, (f"{name}.txt", f"{Path(name).stem}.txt", *LICENCES))
    source = next(filter(None, map(link_of, lines)), "")
    licence = next((line for line in lines if line != source), "")
    return data, Origin(FOLDER, source, name, plain(licence, LONGEST_TITLE))


def _first_text(folder: Path, names: Sequence[str]) -> list[str]:
    """The lines of the first of these files that is there, whatever the case of its name."""
    there = {path.name.lower(): path for path in folder.iterdir()}
    for name in names:
        try:
            with there[name.lower()].open("rb") as file:
                text = file.read(MOST_TOLD).decode("utf-8", "replace")
        except (KeyError, OSError):
            continue
        return [line.strip() for line in text.lstrip("\ufeff").splitlines() if line.strip()]
    return []

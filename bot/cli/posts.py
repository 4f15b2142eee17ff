"""`greenroom posts`: what personas are about to post and what they posted, and a person's word on each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli import opening
from bot.cli.schedules import parts, place_named, ref_told

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.settings import Settings
    from engine.store.records import Post

Message = dict[str, Any]

STATES = ("planned", "making", "waiting", "ready", "published", "skipped", "failed", "recalled")
COLOURS = {"waiting": "yellow", "ready": "cyan", "published": "green", "failed": "red"}
#: What somebody may say to a post that waits, and what that is called.
WORDS = {"a": "approve", "s": "skip", "w": "write it", "n": "next", "q": "quit"}


@click.group()
def posts() -> None:
    """What personas are about to post, and what they posted."""


@posts.command("list")
@click.option(
    "--state", "states", type=click.Choice(STATES), multiple=True, help="Only these; may be repeated."
)
@click.option("--place", metavar="PLACE", help="Only those of this place.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="At most so many.")
@opening.as_json
def list_(states: tuple[str, ...], place: str | None, limit: int, as_json: bool) -> None:
    """The latest posts, and those that are still to come."""
    settings = opening.settings_and_log()
    found = opening.run_async(_listing(settings, states, place, limit))
    if as_json:
        opening.put_json(found)
    elif not found:
        click.echo("No post yet. `greenroom schedule add` plans some.")
    else:
        _draw_list(found)


async def _listing(
    settings: Settings, states: tuple[str, ...], place: str | None, limit: int
) -> list[Message]:
    from engine.store.records import PostState

    async with parts(settings) as engine:
        chat_id = (await place_named(engine, place)).id if place else None
        wanted = [PostState(state) for state in states] or None
        return [await _shown(engine, one) for one in await engine.posting.posts(chat_id, wanted, limit)]


async def _shown(engine: Engine, post: Post) -> Message:
    """A post as scripts are told of it."""
    from functools import partial

    from bot.commands.plans import names_of
    from engine.errors import NotFound
    from engine.store import chats, pictures

    file = ""
    if post.picture_id is not None:
        try:
            picture = await engine.database.look(partial(pictures.get, picture_id=post.picture_id))
            file = str(engine.home.files / picture.file)
        except NotFound:
            file = ""  # deleted since
    return {
        "id": post.id,
        "state": post.state.value,
        "due": post.due_at.isoformat(),
        "place": post.chat_id,
        "chat": ref_told(await engine.database.look(partial(chats.place_of, chat_id=post.chat_id))),
        "persona": (await names_of(engine)).get(post.persona_id, ""),
        "persona_id": post.persona_id,
        "schedule": post.schedule_id,
        "theme": post.theme,
        "caption": post.caption,
        "source": post.source.value if post.source else None,
        "job": post.job_id,
        "picture": post.picture_id,
        "file": file,
        "error": post.error,
    }


def _draw_list(found: list[Message]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from bot.terminal.drawing import fitting

    out = opening.console()
    table = Table(box=box.SIMPLE_HEAD, header_style="bright_black", pad_edge=False)
    table.add_column("id", justify="right", no_wrap=True)
    for name in ("state", "due", "who and where", "words"):
        table.add_column(name, no_wrap=name != "words", overflow="fold")
    for one in found:
        words = one["error"] if one["state"] in ("failed", "skipped") and one["error"] else one["caption"]
        where = f"#{one['place']} {fitting(one['chat'], 24)}"
        table.add_row(
            str(one["id"]),
            Text(one["state"], COLOURS.get(one["state"], "bright_black")),
            Text(_local(one["due"])),
            Text(f"{fitting(one['persona'], 24)}\n").append(where, "bright_black"),
            Text(fitting(words or one["theme"], 70)),
        )
    out.print(table)


def _local(moment: str) -> str:
    from datetime import datetime

    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")


@posts.command()
@click.argument("post_id", metavar="ID", type=int)
@opening.as_json
def approve(post_id: int, as_json: bool) -> None:
    """A post that waits may appear at its time."""
    _do(post_id, "approve", f"Post {post_id} is approved.", as_json=as_json)


@posts.command()
@click.argument("post_id", metavar="ID", type=int)
@opening.as_json
def skip(post_id: int, as_json: bool) -> None:
    """A post that is still to come does not appear."""
    _do(post_id, "skip", f"Post {post_id} is skipped.", as_json=as_json)


def _do(post_id: int, what: str, sentence: str, *, as_json: bool) -> None:
    settings = opening.settings_and_log()

    async def done() -> Message:
        async with parts(settings) as engine:
            await getattr(engine.posting, what)(post_id)
            return await _shown(engine, await engine.posting.post(post_id))

    shown = opening.run_async(done())
    if as_json:
        opening.put_json(shown)
    else:
        click.echo(sentence)


@posts.command()
@click.argument("post_id", metavar="ID", type=int)
@opening.as_json
def recall(post_id: int, as_json: bool) -> None:
    """Take a published post back, wherever it was shown."""
    from bot.terminal.words import counted

    settings = opening.settings_and_log()
    messages = opening.run_async(_recall(settings, post_id))
    if as_json:
        opening.put_json({"recalled": post_id, "messages": messages})
    else:
        click.echo(f"Post {post_id} is taken back: {counted(messages, 'message')}.")


async def _recall(settings: Settings, post_id: int) -> int:
    async with parts(settings) as engine:
        return await engine.posting.recall(post_id)


@posts.command()
@opening.as_json
def held(as_json: bool) -> None:
    """What may have arrived, and may not: the house stopped while it was being shown."""
    settings = opening.settings_and_log()
    found = opening.run_async(_held(settings))
    if as_json:
        opening.put_json(found)
    elif not found:
        click.echo("Nothing is held.")
    else:
        _draw_held(found)
        click.echo("Look whether they stand there: `greenroom posts release ID --again`, or `--gone`.")


async def _held(settings: Settings) -> list[Message]:
    async with parts(settings) as engine:
        return [
            {
                "id": one.id,
                "post": one.post_id,
                "since": one.created_at.isoformat(),
                "place": one.chat_id,
                "chat": ":".join(
                    filter(None, (one.chat.front, one.chat.account, one.chat.chat, one.chat.thread))
                ),
                "persona": one.persona_name,
                "caption": one.text,
            }
            for one in await engine.posting.held()
        ]


def _draw_held(found: list[Message]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from bot.terminal.drawing import fitting

    table = Table(box=box.SIMPLE_HEAD, header_style="bright_black", pad_edge=False)
    for name in ("id", "post"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("since", "who and where", "words"):
        table.add_column(name, no_wrap=name != "words", overflow="fold")
    for one in found:
        where = f"#{one['place']} {fitting(one['chat'], 24)}"
        table.add_row(
            str(one["id"]),
            str(one["post"] or "–"),
            Text(_local(one["since"])),
            Text(f"{fitting(one['persona'], 24)}\n").append(where, "bright_black"),
            Text(fitting(one["caption"], 70)),
        )
    opening.console().print(table)


@posts.command()
@click.argument("delivery_id", metavar="ID", type=int)
@click.option("--again/--gone", "again", default=None, help="It is sent once more, or it has arrived.")
@opening.as_json
def release(delivery_id: int, again: bool | None, as_json: bool) -> None:
    """Say what became of one that is held; `greenroom posts held` shows their numbers."""
    if again is None:
        raise click.UsageError("Say what became of it: --again sends it once more, --gone: it has arrived.")
    settings = opening.settings_and_log()
    opening.run_async(_release(settings, delivery_id, again=again))
    if as_json:
        opening.put_json({"released": delivery_id, "again": again})
    else:
        click.echo(f"{delivery_id} is sent again." if again else f"{delivery_id} has arrived.")


async def _release(settings: Settings, delivery_id: int, *, again: bool) -> None:
    async with parts(settings) as engine:
        await engine.posting.release(delivery_id, again=again)


@posts.command()
@opening.as_json
def inbox(as_json: bool) -> None:
    """What waits for approval, one after the other; whoever sits here is asked what becomes of each."""
    settings = opening.settings_and_log()
    waiting = opening.run_async(_listing(settings, ("waiting",), None, 500))
    waiting.sort(key=lambda post: (post["due"], post["id"]))
    if as_json:
        opening.put_json(waiting)
        return
    if not waiting:
        click.echo("Nothing waits for approval.")
    for post in waiting:
        _draw_post(post)
        if opening.somebody_sits_there() and not _decided(settings, post):
            return


def _draw_post(post: Message) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from bot.terminal.words import safe, safe_line

    head = Text().append(f"Post {post['id']}  ", "bold").append(safe_line(post["persona"]))
    head.append(f"  {_local(post['due'])}  #{post['place']} {safe_line(post['chat'])}", "bright_black")
    body = Text(safe(post["caption"]) or "(no words)")
    if post["file"]:
        body.append(f"\n{Path(post['file'])}", "bright_black")
    if post["error"]:
        body.append(f"\n{safe(post['error'])}", "yellow")
    out = opening.console()
    out.print(head)
    out.print(Padding(body, (0, 0, 1, 2)))


def _decided(settings: Settings, post: Message) -> bool:
    """Ask what becomes of a post; False: nothing more is asked."""
    from engine.errors import BadRequest

    asked = ", ".join(f"{letter} {word}" for letter, word in WORDS.items())
    said = click.prompt(asked, type=click.Choice(tuple(WORDS)), default="n", show_choices=False, err=True)
    try:
        if said == "w":
            caption = click.prompt("It reads", default=post["caption"], err=True)
            opening.run_async(_decide(settings, post["id"], "approve", caption))
        elif said in ("a", "s"):
            opening.run_async(_decide(settings, post["id"], WORDS[said]))
    except BadRequest as error:
        click.secho(str(error), fg="red", err=True)  # decided elsewhere meanwhile
    return bool(said != "q")


async def _decide(settings: Settings, post_id: int, what: str, caption: str = "") -> None:
    async with parts(settings) as engine:
        if caption:
            await engine.posting.reword(post_id, caption)
        await getattr(engine.posting, what)(post_id)

"""`greenroom posts`: what personas are about to post and what they posted, and a person's word on each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot import places
from bot.cli import listing, opening
from bot.posts_shown import post_shown

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from engine.engine import Engine
    from engine.settings import Settings
    from engine.store.records import Delivery, Post

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
    found = opening.on_engine(partial(_listing, states=states, place=place, limit=limit))
    if as_json:
        opening.put_json(found)
    elif not found:
        none = "No post yet." if not states and place is None else "No such post."
        click.echo(f"{none} `greenroom schedule add` plans some.")
    else:
        _draw_list(found)


async def _listing(
    engine: Engine, *, states: Sequence[str], place: str | None = None, limit: int
) -> list[Message]:
    from engine.store.records import PostState

    wanted = [PostState(state) for state in states] or None
    return await places.listed(
        engine, place, lambda chat_id: engine.posting.posts(chat_id, wanted, limit), post_shown
    )


def _draw_list(found: list[Message]) -> None:
    from rich.text import Text

    from bot.terminal.drawing import fitting

    table = _table(("id",), ("state", "due", "who and where", "words"))
    for one in found:
        words = one["error"] if one["state"] in ("failed", "skipped") and one["error"] else one["caption"]
        table.add_row(
            str(one["id"]),
            Text(one["state"], COLOURS.get(one["state"], "bright_black")),
            Text(_local(one["due"])),
            _who_and_where(one),
            Text(fitting(words or one["theme"], 70)),
        )
    listing.draw(opening.console(), table, whole=("id", "state", "due", "who and where"))


def _table(numbers: Sequence[str], columns: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, header_style="bright_black", pad_edge=False)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    for name in columns:
        table.add_column(name, no_wrap=name != "words", overflow="fold")
    return table


def _who_and_where(one: Message) -> Text:
    from rich.text import Text

    from bot.terminal.drawing import fitting

    where = f"#{one['place']} {fitting(one['chat'], 24)}"
    return Text(f"{fitting(one['persona'], 24)}\n").append(where, "bright_black")


def _local(moment: str) -> str:
    from datetime import datetime

    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")


@posts.command()
@click.argument("post_id", metavar="ID", type=int)
@opening.as_json
def approve(post_id: int, as_json: bool) -> None:
    """A post that waits may appear at its time."""
    _do(post_id, lambda engine: engine.posting.approve(post_id), "approved", as_json=as_json)


@posts.command()
@click.argument("post_id", metavar="ID", type=int)
@opening.as_json
def skip(post_id: int, as_json: bool) -> None:
    """A post that is still to come does not appear."""
    _do(post_id, lambda engine: engine.posting.skip(post_id), "skipped", as_json=as_json)


def _do(post_id: int, does: Callable[[Engine], Awaitable[Post]], what: str, *, as_json: bool) -> None:
    async def done(engine: Engine) -> Message:
        await does(engine)
        return await post_shown(places.WhoAndWhere(engine), await engine.posting.post(post_id))

    opening.tell(opening.on_engine(done), f"Post {post_id} is {what}.", as_json=as_json)


@posts.command()
@click.argument("post_id", metavar="ID", type=int)
@opening.as_json
def recall(post_id: int, as_json: bool) -> None:
    """Take a published post back, wherever it was shown."""
    from bot.terminal.words import counted

    messages = opening.on_engine(lambda engine: engine.posting.recall(post_id))
    sentence = f"Post {post_id} is taken back: {counted(messages, 'message')}."
    opening.tell({"recalled": post_id, "messages": messages}, sentence, as_json=as_json)


@posts.command()
@opening.as_json
def held(as_json: bool) -> None:
    """What may have arrived, and may not: the house stopped while it was being shown."""
    found = [_held_shown(one) for one in opening.on_engine(lambda engine: engine.posting.held())]
    if as_json:
        opening.put_json(found)
    elif not found:
        click.echo("Nothing is held.")
    else:
        _draw_held(found)
        click.echo("Look whether they stand there: `greenroom posts release ID --again`, or `--gone`.")


def _held_shown(one: Delivery) -> Message:
    return {
        "id": one.id,
        "post": one.post_id,
        "since": one.created_at.isoformat(),
        "place": one.chat_id,
        "chat": places.ref_told(one.chat),
        "persona": one.persona_name,
        "caption": one.text,
    }


def _draw_held(found: list[Message]) -> None:
    from rich.text import Text

    from bot.terminal.drawing import fitting

    table = _table(("id", "post"), ("since", "who and where", "words"))
    for one in found:
        table.add_row(
            str(one["id"]),
            str(one["post"] or "–"),
            Text(_local(one["since"])),
            _who_and_where(one),
            Text(fitting(one["caption"], 70)),
        )
    listing.draw(opening.console(), table, whole=("id", "post", "since", "who and where"))


@posts.command()
@click.argument("delivery_id", metavar="ID", type=int)
@click.option("--again/--gone", "again", default=None, help="It is sent once more, or it has arrived.")
@opening.as_json
def release(delivery_id: int, again: bool | None, as_json: bool) -> None:
    """Say what became of one that is held; `greenroom posts held` shows their numbers."""
    if again is None:
        raise click.UsageError("Say what became of it: --again sends it once more, --gone: it has arrived.")
    opening.on_engine(lambda engine: engine.posting.release(delivery_id, again=again))
    sentence = f"{delivery_id} is sent again." if again else f"{delivery_id} has arrived."
    opening.tell({"released": delivery_id, "again": again}, sentence, as_json=as_json)


@posts.command()
@opening.as_json
def inbox(as_json: bool) -> None:
    """What waits for approval, one after the other; whoever sits here is asked what becomes of each."""
    settings = opening.settings_and_log()
    waiting = opening.on_engine(partial(_listing, states=("waiting",), limit=500), settings)
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
            opening.on_engine(partial(_approve, post_id=post["id"], caption=caption), settings)
        elif said == "a":
            opening.on_engine(partial(_approve, post_id=post["id"]), settings)
        elif said == "s":
            opening.on_engine(lambda engine: engine.posting.skip(post["id"]), settings)
    except BadRequest as error:
        click.secho(str(error), fg="red", err=True)  # decided elsewhere meanwhile
    return bool(said != "q")


async def _approve(engine: Engine, *, post_id: int, caption: str = "") -> None:
    if caption:
        await engine.posting.reword(post_id, caption)
    await engine.posting.approve(post_id)

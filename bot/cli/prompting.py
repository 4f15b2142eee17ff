"""`greenroom prompt`: a picture prompt is looked through, made better, or varied, without making a picture."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from bot.cli import opening

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.client import Client
    from engine.rewording import Kept, Reworded
    from engine.settings import Settings
    from engine.wording import Report

Message = dict[str, Any]

#: The chat of this command. What is written in it is shown here, and nowhere else.
CHAT = "prompt"
#: How often the owner is asked whether all is answered; the pause grows while somebody writes.
FIRST_LOOK, LONGEST_LOOK = 0.02, 0.5
#: A refusal comes down the line and not through the outbox: so long is waited for one.
REFUSAL_WITHIN = 2.0


def _how(command: Callable[..., None]) -> Callable[..., None]:
    style = click.option(
        "--style", default="", metavar="STYLE", help="A style by name; without it the words or the taste say."
    )
    persona = click.option(
        "--persona",
        default="",
        metavar="WHO",
        help="Whose picture it is to be, by slug or name; without it whoever was last.",
    )
    return style(persona(opening.as_json(command)))


_model = click.option(
    "--model", default="", metavar="NAME", help="Who writes, of the models that the settings allow."
)


@click.group()
def prompt() -> None:
    """The words of a picture: look them through, make them better, vary them. `-` reads them from a pipe."""


@prompt.command()
@click.argument("words")
@_how
def validate(words: str, persona: str, style: str, as_json: bool) -> None:
    """Say how WORDS are read: length, weights, tokens, contradictions, and what is not what it seems.

    Nothing is loaded for it, and it works beside a running Greenroom.
    """
    settings = opening.settings_and_log()
    report = opening.run_async(_looked_at(settings, _read(words), persona, style))
    if as_json:
        opening.put_json(report.as_json())
        return
    from bot.commands.prompting import told_of
    from bot.terminal.words import safe
    from engine.locales import ENGLISH, locale_of

    click.echo(safe(told_of(locale_of(ENGLISH), report)))


async def _looked_at(settings: Settings, words: str, persona: str, style: str) -> Report:
    from engine import rewording
    from engine.errors import SettingsError
    from engine.store import personas
    from engine.styles import load_styles

    whose = None
    if persona:
        async with opening.store(settings) as database, database.read() as tx:
            whose = (await personas.find(tx, persona)).persona
    own = settings.home / "styles.toml"
    try:
        styles = load_styles(own if own.exists() else None)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    return rewording.looked_at(words, settings, styles, style=style, persona=whose)


@prompt.command()
@click.argument("words")
@_model
@_how
def improve(words: str, persona: str, style: str, model: str, as_json: bool) -> None:
    """Write a prompt of 100 to 200 words from an idea, or from a prompt that does not work yet."""
    _reword("improve", words, persona, style, model, as_json=as_json)


@prompt.command()
@click.argument("words")
@_model
@_how
def vary(words: str, persona: str, style: str, model: str, as_json: bool) -> None:
    """Write three variants of a prompt: the same subject in another light, from another angle, elsewhere."""
    _reword("vary", words, persona, style, model, as_json=as_json)


def _reword(part: str, words: str, persona: str, style: str, model: str, *, as_json: bool) -> None:
    settings = opening.settings_and_log()
    kept = opening.run_async(_kept(settings, _order(part, _read(words), style, model), persona))
    if as_json:
        opening.put_json({"prompts": [_shown(one) for one in kept.reworded]})
    else:
        _tell(kept)


def _order(part: str, words: str, style: str, model: str) -> str:
    """The line that somebody would type in a chat."""
    from bot.commands import COMMANDS
    from bot.orders import order_of

    found = COMMANDS["prompt"].part(part)
    told = {"words": words, "style": style, "model": model}
    return order_of(["prompt", part], found.options if found else (), told)


def _read(words: str) -> str:
    read = sys.stdin.read() if words == "-" else words
    if not read.strip():
        raise click.UsageError("There are no words to work with.")
    return read


async def _kept(settings: Settings, order: str, persona: str) -> Kept:
    """What comes of an order that the owner of the home is given in the chat of this command."""
    import secrets

    from bot.client import reach
    from engine import rewording

    key = secrets.token_hex(12)
    async with reach(settings) as client:
        await client.enter(CHAT, persona)
        last, refused = await _answered(client, order, key)
        async with opening.store(settings) as database, database.read() as tx:
            order_id = await _heard(tx, key)
            kept = await rewording.kept_of(tx, order_id) if order_id is not None else None
    if kept is not None:
        return kept
    raise refused(last)


async def _answered(client: Client, order: str, key: str) -> tuple[str, type[Exception]]:
    """Wait until the order is answered; what was said last, and what kind of failure that is if it failed."""
    import asyncio

    from engine.errors import BadRequest, Refused

    opened, refused = asyncio.Event(), asyncio.Event()
    last = ""

    async def listen() -> None:
        nonlocal last
        async for message in client.live(f"/chats/{CHAT}/live"):
            if message["is"] == "open":
                opened.set()
            elif message["is"] == "told":
                last = message["text"]
                refused.set()
            elif message["is"] == "delivery":
                last = message["text"]
                await client.post(f"/chats/{CHAT}/shown/{message['id']}")

    listening = asyncio.create_task(listen())
    try:
        await _unless_gone(listening, opened.wait())
        await client.post(f"/chats/{CHAT}/turns", text=order, key=key)
        pause = FIRST_LOOK
        while True:
            waits = await client.get(f"/chats/{CHAT}/open")
            if not waits["answering"] and not waits["owed"]:
                break
            await asyncio.sleep(pause)
            pause = min(LONGEST_LOOK, pause * 1.4)
        if not last:
            try:
                async with asyncio.timeout(REFUSAL_WITHIN):
                    await refused.wait()
            except TimeoutError:
                last = "Nothing came of it; the log says why."
    finally:
        listening.cancel()
        await asyncio.wait([listening])
    return last, Refused if refused.is_set() else BadRequest


async def _unless_gone(listening: Any, wanted: Any) -> None:
    """Wait for something on the line, or until the line breaks, and then raise what broke it."""
    import asyncio

    waiting = asyncio.ensure_future(wanted)
    await asyncio.wait([listening, waiting], return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        listening.result()


async def _heard(tx: Any, key: str) -> int | None:
    """The turn under which the order was heard."""
    from datetime import UTC, datetime

    from engine.store import people
    from engine.store.records import Account, ChatRef, Incoming

    ref = ChatRef("terminal", "home", CHAT)
    there = Incoming(ref, Account("terminal", "operator"), "", ref.key(key))
    now = datetime.now(UTC)
    return (await people.arrival(tx, there, since=now, now=now)).heard_before


def _shown(one: Reworded) -> Message:
    request = one.request
    return {
        "prompt": request.prompt,
        "negative": request.negative,
        "words": request.word_count,
        "style": request.style,
        "seed": request.seed,
        "by": request.source.value,
        "version": request.prompt_version,
        "changed": {"kind": one.change.kind, "to": one.change.words} if one.change else None,
        "shortened": one.shortened,
    }


def _tell(kept: Kept) -> None:
    """The prompts alone go where a script reads them; all that is about them goes beside it."""
    from rich.text import Text

    from bot.terminal.words import safe, safe_line
    from engine.language import Source

    beside = opening.console(err=True)
    for number, one in enumerate(kept.reworded, 1):
        request = one.request
        about = [f"{request.word_count} words", request.style, f"seed {request.seed}"]
        if one.change is not None:
            about.insert(0, f"{one.change.kind}: {one.change.words}")
        if len(kept.reworded) > 1:
            about.insert(0, str(number))
        beside.print(Text(safe_line(" · ".join(about)), "bright_black"), soft_wrap=True)
        click.echo(safe(request.prompt) + ("\n" if number < len(kept.reworded) else ""))
    beside.print(
        Text(f"Not to be seen: {safe_line(kept.reworded[0].request.negative)}", "bright_black"),
        soft_wrap=True,
    )
    if any(one.shortened for one in kept.reworded):
        beside.print(Text("There was more than is read at once: written from its beginning.", "yellow"))
    if any(one.request.source is Source.UNDERSTUDY for one in kept.reworded):
        note = "Written by the understudy, because no model could. See `greenroom doctor`."
        beside.print(Text(note, "yellow"), soft_wrap=True)

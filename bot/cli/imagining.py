"""`greenroom imagine`: a picture is asked for, waited for, and written to a file; or one of each of many personas."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli import batches, opening
from bot.cli.ending import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.client import Client
    from engine.settings import Settings

Message = dict[str, Any]

#: An owner that closes over an order is followed by another so often.
MOST_OWNERS = 5


@click.command()
@click.argument("words", nargs=-1, metavar="PERSONA SCENE")
@click.option("--all", "everybody", is_flag=True, help="One picture of each persona, in SCENE.")
@batches.cohort_options
@click.option(
    "--missing-only", is_flag=True, help="Of many: only whoever has no picture, or none in the style."
)
@click.option(
    "--style", metavar="STYLE", help="A style by name; without it the scene or the persona's taste says."
)
@click.option("--seed", type=int, metavar="N", help="The same seed makes the same picture.")
@click.option("--count", type=int, default=1, show_default=True, metavar="N", help="From 1 to 4 pictures.")
@click.option("--size", metavar="WxH", help="512, 1k, 2k, or exactly: 832x1216.")
@click.option(
    "--quality",
    metavar="QUALITY",
    help="draft takes half the steps, standard the usual ones, high half as many again, in two passes.",
)
@click.option("--steps", type=int, metavar="N", help="From 1 to 150.")
@click.option("--guidance", type=float, metavar="N", help="How closely the words are followed, from 0 to 30.")
@click.option("--scheduler", default="", metavar="NAME", help='As "euler a" or "dpm++ 2m karras".')
@click.option("--outfit", default="", metavar="NAME", help="One of the persona's wardrobe.")
@click.option("--pose", default="", metavar="POSE", help="The name of a pose, or any words.")
@click.option("--negative", default="", metavar="WORDS", help="What the picture must not show.")
@click.option(
    "--model", default="", metavar="NAME", help="Who writes the prompt, of the models that are allowed."
)
@click.option(
    "--out",
    "-o",
    metavar="WHERE",
    default="",
    help="A file, a folder, or a pattern with {n} or {seed} in it. Without it: the current folder, under the "
    "picture's own name.",
)
@click.option(
    "--force", "-f", is_flag=True, help="Overwrite what is there; of many: also whoever has a picture."
)
@opening.as_json
def imagine(
    words: tuple[str, ...],
    everybody: bool,
    tags: tuple[str, ...],
    who: tuple[str, ...],
    year: int | None,
    limit: int | None,
    run_key: str,
    notes: str,
    face: bool,
    dry_run: bool,
    missing_only: bool,
    style: str | None,
    seed: int | None,
    count: int,
    size: str | None,
    quality: str | None,
    steps: int | None,
    guidance: float | None,
    scheduler: str,
    outfit: str,
    pose: str,
    negative: str,
    model: str,
    out: str,
    force: bool,
    as_json: bool,
) -> None:
    """Make a picture of PERSONA in SCENE.

    The picture is also kept in the home. Nothing is overwritten without --force: a picture under its own name
    gets a number where the name is taken, and a file that you named is refused before anything is made.

    With --all, --tag, --persona or --year it is one picture of each of them, kept in the home alone; SCENE may be
    left out for a portrait. Such a run is paused by Ctrl-C, and the same command goes on with it.
    """
    from bot.commands import size_of

    width, height = size_of(size) if size else (None, None)
    wish = {
        "style": style,
        "seed": seed,
        "width": width,
        "height": height,
        "quality": quality,
        "steps": steps,
        "guidance": guidance,
        "scheduler": scheduler,
        "outfit": outfit,
        "pose": pose,
        "negative": negative,
        "model": model,
    }
    if everybody or tags or who or year is not None:
        scene = _scene_of_many(words, everybody and bool(tags or who or year is not None), count, out)
        if missing_only and force:
            raise click.UsageError("--missing-only and --force say opposite things.")
        ordered = {
            "kind": "batch",
            "scene": scene,
            "tags": tags,
            "personas": who,
            "year": year,
            "missing_only": missing_only,
            "limit": limit,
            "face": face,
            "key": run_key,
            "notes": notes,
            "wish": wish,
        }
        settings = opening.settings_and_log()
        if code := batches.carry_out(settings, ordered, dry_run=dry_run, as_json=as_json):
            click.get_current_context().exit(code)
        return
    of_many = {
        "--missing-only": missing_only,
        "--limit": limit is not None,
        "--run-key": run_key,
        "--notes": notes,
        "--face": face,
        "--dry-run": dry_run,
    }
    if said := [name for name, value in of_many.items() if value]:
        raise click.UsageError(f"{said[0]} is for many: name whom, with --all, --tag, --persona or --year.")
    if len(words) != 2:
        lacks = "Missing argument" if len(words) < 2 else "Got unexpected extra arguments"
        raise click.UsageError(f'{lacks}: `greenroom imagine PERSONA "SCENE"`, with the scene in quotes.')
    persona, scene = words
    target = Target(out, count, force=force)
    settings = opening.settings_and_log()
    asked = wish | {"persona": persona, "scene": scene, "count": count}
    opening.run_async(_imagine(settings, asked, target, as_json=as_json))


def _scene_of_many(words: tuple[str, ...], both: bool, count: int, out: str) -> str:
    """What all of them are seen in. Raises for what only the picture of one can have."""
    if both:
        raise click.UsageError("--all leaves nobody out: name either all, or whom.")
    if count != 1:
        raise click.UsageError("--count is for a single persona: of many there is one picture each.")
    if out:
        raise click.UsageError("--out is for a single persona: pictures of many are kept in the home.")
    if len(words) > 1:
        raise click.UsageError(
            'With --all, --tag, --persona or --year there is only a scene, in quotes: `imagine --all "a garden"`.'
        )
    return words[0] if words else ""


async def _imagine(settings: Settings, wish: Message, target: Target, *, as_json: bool) -> None:
    import asyncio
    import secrets

    from bot.client import GoneError, reach

    key = secrets.token_hex(12)
    for owners_left in reversed(range(MOST_OWNERS)):
        try:
            async with reach(settings) as client:
                ended, pictures = await _made(client, key, wish, quiet=as_json)
            break
        except GoneError:
            # The owner closed over it. The next, perhaps this process, knows the order by its key.
            if not owners_left:
                raise
            await asyncio.sleep(0.2)
    written: list[Message] = []
    for picture, png in zip(ended["pictures"], pictures, strict=True):
        path = target.path(picture)
        opening.write_new(path, png, force=target.force)
        written.append(picture | {"path": str(path)})
    if as_json:
        opening.put_json(ended | {"pictures": written})
    else:
        _tell(ended, written)


async def _made(client: Client, key: str, wish: Message, *, quiet: bool) -> tuple[Message, list[bytes]]:
    """The finished job and the bytes of its pictures."""
    job = await client.post("/jobs", key=key, **wish)
    ended = await until_ended(client, job, quiet=quiet)
    return ended, [await client.picture(picture["id"]) for picture in ended["pictures"]]


class Target:
    """Where pictures go. What a person named must be free before anything is made."""

    def __init__(self, out: str, count: int, *, force: bool) -> None:
        self.force = force
        self._out = out
        self._count = count
        path = Path(out)
        self._folder = path if not out or out.endswith(("/", "\\")) or path.is_dir() else None
        if self._folder is not None:
            return
        if not path.suffix:
            self._out = f"{out}.png"
        if not path.parent.is_dir():
            raise click.UsageError(f"There is no folder {path.parent}.")
        taken = [one for one in map(self._named, range(1, count + 1)) if one.exists()]
        if taken and not force and "{seed}" not in out:
            raise click.UsageError(
                f"{taken[0]} is there already. --force overwrites it; --out names another."
            )

    def path(self, picture: Message) -> Path:
        if self._folder is None:
            return self._named(picture["number"], picture["seed"])
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.ClickException(
                f"The folder {self._folder} cannot be made: {error.strerror}."
            ) from None
        path = first = self._folder / Path(picture["file"]).name
        number = 2
        while path.exists() and not self.force:
            path = first.with_stem(f"{first.stem}-{number}")
            number += 1
        return path

    def _named(self, number: int, seed: int = 0) -> Path:
        if "{n}" in self._out or "{seed}" in self._out:
            return Path(self._out.replace("{n}", str(number)).replace("{seed}", str(seed)))
        path = Path(self._out)
        return path if self._count == 1 else path.with_stem(f"{path.stem}-{number}")


async def until_ended(client: Client, job: Message, *, quiet: bool) -> Message:
    """Follow a job to its end, with a bar. Ctrl-C takes it back if only this process works on it."""
    import asyncio

    from bot.client import GoneError
    from bot.house import stopped_by_signals
    from engine.errors import RenderFailed, Stopped

    asked = asyncio.Event()
    with stopped_by_signals(asked), _bar(quiet=quiet) as told:
        following = asyncio.create_task(_follow(client, job, told))
        waiting = asyncio.create_task(asked.wait())
        await asyncio.wait([following, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not following.done():
            following.cancel()
            await asyncio.wait([following])
            raise Interrupted(await _left_behind(client, job["id"]))
        ended = following.result()
    if ended["state"] == "cancelled":
        raise Stopped(f"Job {ended['id']} was cancelled.")
    if ended["state"] == "failed":
        raise RenderFailed(f"Job {ended['id']} failed. {ended['error']}")
    if ended["state"] != "done":
        raise GoneError(
            f"Greenroom closed before job {ended['id']} was made. It goes on after the next start."
        )
    return ended


async def _follow(client: Client, job: Message, told: Callable[[Message], None]) -> Message:
    import asyncio

    watching = asyncio.create_task(_watch_the_line(client, job, told))
    try:
        async for message in client.live(f"/jobs/{job['id']}/live"):
            watching.cancel()
            if message["is"] == "job":
                return message
            told(message)
    finally:
        watching.cancel()
    ended: Message = await client.get(f"/jobs/{job['id']}")
    return ended


async def _watch_the_line(client: Client, job: Message, told: Callable[[Message], None]) -> None:
    """Until work on it begins, say how many stand before it."""
    import asyncio

    from engine.errors import GreenroomError

    try:
        while job["state"] == "queued":
            told({"is": "waiting", "ahead": job["ahead"]})
            await asyncio.sleep(0.5)
            job = await client.get(f"/jobs/{job['id']}")
    except GreenroomError:
        return  # the one who follows the job sees it too, and tells it


async def _left_behind(client: Client, job_id: int) -> str:
    if not opening.is_own(client):
        return f"Job {job_id} goes on. `greenroom jobs cancel {job_id}` takes it back."
    from engine.errors import GreenroomError

    try:
        await client.post(f"/jobs/{job_id}/cancel")
    except GreenroomError:
        return f"Job {job_id} had just ended: `greenroom jobs show {job_id}`."
    return f"Job {job_id} is cancelled."


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Callable[[Message], None]]:
    """A bar on stderr where somebody looks at it; it goes away when the work is done."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(
            bar_width=32, complete_style="#8fbf9f", finished_style="#8fbf9f", pulse_style="bright_black"
        ),
        TextColumn("{task.fields[steps]}", style="bright_black"),
        TimeElapsedColumn(),
    )
    err = opening.console(err=True)
    with Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as progress:
        task = progress.add_task("Asking", total=None, steps="")

        def told(message: Message) -> None:
            if message["is"] == "waiting":
                ahead = message["ahead"]
                words = f"In line, {ahead} before it" if ahead else "In line"
                progress.update(task, description=words)
            elif message["is"] == "job.step":
                progress.update(
                    task,
                    description="Drawing",
                    completed=message["step"],
                    total=message["steps"],
                    steps=f"{message['step']}/{message['steps']}",
                )

        yield told


def _tell(job: Message, written: list[Message]) -> None:
    from rich.text import Text

    from bot.terminal.drawing import facts, wrapped

    out = opening.console()
    for one in written:
        drawn = Text().append(f"{one['path']}\n", "bold")
        drawn.append(f"  {facts(one)} · job {job['id']}\n", "bright_black")
        drawn.append("\n".join(wrapped(one["prompt"], out.width)) + "\n")
        out.print(drawn, soft_wrap=True)
    if any(one["stand_in"] for one in written):
        note = "A stand-in: no picture model painted this, so it is a card and no likeness. See `greenroom doctor`."
        opening.console(err=True).print(Text(note, "yellow"))

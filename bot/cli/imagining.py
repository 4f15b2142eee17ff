"""`greenroom imagine`: a picture is asked for, waited for, and written to a file; or one of each of many personas."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli import batches, following, opening

if TYPE_CHECKING:
    import asyncio

    from bot.client import Client
    from engine.settings import Settings

Message = dict[str, Any]


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
    cohort: batches.Cohort,
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
    if everybody or cohort.is_named:
        scene = _scene_of_many(words, everybody and cohort.is_named, count, out)
        if missing_only and force:
            raise click.UsageError("--missing-only and --force say opposite things.")
        ordered = cohort.ordered("batch", scene, missing_only=missing_only, wish=wish)
        settings = opening.settings_and_log()
        if code := batches.carry_out(settings, ordered, dry_run=cohort.dry_run, as_json=as_json):
            click.get_current_context().exit(code)
        return
    if said := [*(["--missing-only"] if missing_only else ()), *cohort.said]:
        raise click.UsageError(f"{said[0]} is for many: name whom, with --all, --tag, --persona or --year.")
    if len(words) != 2:
        lacks = "Missing argument" if len(words) < 2 else "Got unexpected extra arguments"
        raise click.UsageError(f'{lacks}: `greenroom imagine PERSONA "SCENE"`, with the scene in quotes.')
    persona, scene = words
    if not persona.strip():
        raise click.UsageError("PERSONA is empty: `greenroom personas list` shows who there is.")
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
    import secrets

    made = partial(_made, key=secrets.token_hex(12), wish=wish, quiet=as_json)
    ended, pictures = await following.owned(settings, made)
    written: list[Message] = []
    for picture, png in zip(ended["pictures"], pictures, strict=True):
        path = target.path(picture)
        opening.write_new(path, png, force=target.force)
        written.append(picture | {"path": str(path)})
    if as_json:
        opening.put_json(ended | {"pictures": written})
    else:
        _tell(ended, written)


async def _made(
    client: Client, asked: asyncio.Event, *, key: str, wish: Message, quiet: bool
) -> tuple[Message, list[bytes]]:
    """The finished job and the bytes of its pictures. The next owner knows the order by its key.

    `asked`: somebody pressed Ctrl-C.
    """
    job = await client.post("/jobs", key=key, **wish)
    ended = await following.until_ended(client, job, asked, quiet=quiet)
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

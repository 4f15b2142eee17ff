"""`greenroom backfill`: the pictures that are missing, of personas or of posts, made as one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bot.cli import batches, opening

if TYPE_CHECKING:
    from engine.settings import Settings


@click.command()
@click.argument("scene", default="")
@batches.cohort_options
@click.option("--style", default="", metavar="STYLE", help="Who has none in this style; made in it.")
@click.option("--size", metavar="WxH", help="512, 1k, 2k, or exactly: 832x1216.")
@click.option("--missing-only", is_flag=True, help="Only whoever has no picture: what is done anyway.")
@click.option("--force", is_flag=True, help="Also whoever has one.")
@click.option("--posts", is_flag=True, help="For published posts that lack a picture, instead of personas.")
@opening.as_json
def backfill(
    scene: str,
    cohort: batches.Cohort,
    style: str,
    size: str | None,
    missing_only: bool,
    force: bool,
    posts: bool,
    as_json: bool,
) -> None:
    """Make the pictures that are missing.

    Ctrl-C pauses, and the same command goes on. One that fails does not stop the others. SCENE is what they are
    seen in; without it, a portrait.
    """
    from bot.commands import size_of

    if missing_only and force:
        raise click.UsageError("--missing-only and --force say opposite things.")
    width, height = size_of(size) if size else (None, None)
    wish = {"style": style or None, "width": width, "height": height}
    ordered = cohort.ordered("backfill", scene, missing_only=not force, wish=wish, posts=posts)
    settings = opening.settings_and_log()
    head = "" if as_json else opening.run_async(_pictured(settings, style, posts_only=posts))
    if head and not cohort.dry_run:
        click.echo(head)
    code = batches.carry_out(settings, ordered, dry_run=cohort.dry_run, as_json=as_json, head=head)
    if code:
        click.get_current_context().exit(code)


async def _pictured(settings: Settings, style: str, *, posts_only: bool) -> str:
    """How many there are, with a picture and without."""
    import asyncio

    from engine.pictures.painting import choice
    from engine.store import cohorts

    nothing_paints = (await asyncio.to_thread(choice, settings)).found is None
    async with opening.store(settings) as database, database.read() as tx:
        people = await cohorts.personas_pictured(
            tx, style=style.strip().lower(), stand_ins_count=nothing_paints
        )
        posts = await cohorts.posts_pictured(tx)
    if posts_only:
        return f"Posts: {posts.total:,}, {posts.pictured:,} with a picture, {posts.bare:,} without."
    a_picture = f"a picture in {style}" if style else "a picture"
    told = f"Personas: {people.total:,}, {people.pictured:,} with {a_picture}, {people.bare:,} without."
    if posts.total:
        told += f"\nPosts: {posts.total:,}, {posts.pictured:,} with a picture, {posts.bare:,} without."
    return told

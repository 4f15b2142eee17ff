"""The routes of picture files: addresses that open one file for a while, and a persona's picture by its style."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from bot.web.doors import Scope, needs
from bot.web.owners import Looker, picture_for
from bot.web.problems import API, PROBLEMS
from bot.web.shapes import IdInPath, Slug
from engine.engine import Engine
from engine.errors import Refused
from engine.locales import say
from engine.pictures.faces import draw_face
from engine.store import gallery, personas
from engine.store.files import kind_of

#: A drawn stand-in has sides of so many pixels.
STAND_IN = 512

#: Whatever the bytes are, a browser shows a picture or nothing.
HARMLESS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


def signed_path(key: str, expires: int, secret: bytes) -> str:
    """The address of a file on this server, good until that second of the epoch."""
    return f"/files/{quote(key)}?expires={expires}&signature={_signature(key, expires, secret)}"


async def link_to(key: str, engine: Engine, secret: bytes, *, at: str) -> str:
    """Where others see a file for a while: at the bucket, or else here, at the address that they asked at."""
    if there := await engine.files.link(key):
        return there
    until = int(engine.clock.now().timestamp()) + engine.settings.files.signed_for
    return at.rstrip("/") + signed_path(key, until, secret)


def _signature(key: str, expires: int, secret: bytes) -> str:
    return hmac.new(secret, f"{expires}\n{key}".encode(), hashlib.sha256).hexdigest()


def bytes_of(*kinds: str, known: bool = False) -> dict[int | str, dict[str, Any]]:
    """What a route documents that answers a file. `known`: or says that it is the same still."""
    told = {"schema": {"type": "string", "format": "binary"}}
    same: dict[int | str, dict[str, Any]] = {304: {"description": "It is the same still."}}
    return {200: {"description": "The file.", "content": dict.fromkeys(kinds, told)}} | (
        same if known else {}
    )


class LinkOut(BaseModel):
    link: str


class PicturedIn(BaseModel):
    styles: list[str]


def open_routes(engine: Engine, secret: bytes) -> APIRouter:
    """For whoever shows a signature of ours: it alone opens one file, and for a while."""
    # Whoever has such an address was given it whole.
    router = APIRouter(include_in_schema=False)

    @router.get("/files/{key:path}")
    async def file(key: str, expires: int = 0, signature: str = "") -> Response:
        right = _signature(key, expires, secret)
        if not hmac.compare_digest(right.encode(), signature.encode()):
            raise Refused(say("web.link_made_up"))
        left = expires - int(engine.clock.now().timestamp())
        if left <= 0:
            raise Refused(say("web.link_over"))
        headers = {**HARMLESS, "Cache-Control": f"private, max-age={left}"}
        return Response(await engine.files.get(key), media_type=kind_of(key), headers=headers)

    return router


def routes(engine: Engine, secret: bytes) -> APIRouter:
    router = APIRouter(prefix=API, responses=PROBLEMS)

    @router.get("/pictures/{picture_id}/link", response_model=LinkOut, tags=["pictures"])
    async def link(picture_id: IdInPath, who: Looker, request: Request) -> dict[str, Any]:
        """Where others see the picture: at the bucket, or else here."""
        found = await picture_for(engine, who, picture_id)
        return {"link": await link_to(found.file, engine, secret, at=str(request.base_url))}

    @router.get(
        "/personas/{slug}/styles",
        response_model=PicturedIn,
        dependencies=[Depends(needs(Scope.READ))],
        tags=["personas"],
    )
    async def styles(slug: Slug) -> dict[str, Any]:
        """In which styles there are pictures of a persona."""
        async with engine.database.read() as tx:
            record = await personas.find(tx, slug)
        return {"styles": await gallery.styles_of(engine.files, record.persona.slug)}

    @router.get(
        "/personas/{slug}/picture",
        response_class=Response,
        responses=bytes_of("image/png", "image/jpeg", "image/webp"),
        dependencies=[Depends(needs(Scope.READ))],
        tags=["personas"],
    )
    async def picture(slug: Slug, style: Annotated[str, Query(max_length=80)] = "") -> Response:
        """The persona's latest picture in a style, or the next best; a drawn one stands in where there is none."""
        async with engine.database.read() as tx:
            persona = (await personas.find(tx, slug)).persona
        found = await gallery.find_picture(
            engine.files, persona.slug, wanted=style, default=persona.picture.style
        )
        if found is None:
            drawn = await asyncio.to_thread(draw_face, persona, STAND_IN)
            return Response(drawn, media_type="image/png", headers=HARMLESS | {"Greenroom-Stands-In": "yes"})
        return Response(found.data, media_type=kind_of(found.key), headers=HARMLESS)

    return router

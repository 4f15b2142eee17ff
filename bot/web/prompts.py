"""The routes of picture prompts: what would be painted, before anything is; and the styles that there are."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.web.owners import Looker, Maker, rating_of
from bot.web.problems import API, PROBLEMS
from bot.web.shapes import Given, Long, Number, Short, Whole
from engine import remaking, rewording, safety
from engine.engine import Engine
from engine.errors import Unsuitable
from engine.imagining import Wish
from engine.language import Source
from engine.locales import say
from engine.store import people, personas
from engine.store.records import PersonaRecord
from engine.wording import Report
from personas.persona import Rating


class Building(Given):
    persona: Annotated[str, Field(min_length=1, max_length=200)]
    scene: Long
    style: Short | None = None
    negative: Annotated[str, Field(max_length=2_000)] = ""
    seed: Whole | None = None
    outfit: Short = ""
    pose: Short = ""
    #: The language model that is to write.
    model: Short = ""
    #: The prompt itself, where it is only to be looked through; else it is written.
    prompt: Long = ""
    rating: Rating = Rating.ALL_AGES
    quality: Annotated[str, Field(max_length=40)] | None = None
    width: Whole | None = None
    height: Whole | None = None
    steps: Whole | None = None
    guidance: Number | None = None
    scheduler: Annotated[str, Field(max_length=80)] = ""


class TokensOut(BaseModel):
    #: One number for each text encoder; one where it is an estimate.
    encoders: list[int]
    #: So many readings stand one behind the other: nothing is cut off.
    chunks: int
    #: By whose tokenizers it was counted; empty: it is an estimate.
    model: str
    estimated: bool


class WeightOut(BaseModel):
    text: str
    weight: float


class RepeatedOut(BaseModel):
    word: str
    times: int


class LookedOut(BaseModel):
    """What is odd about a prompt."""

    of_length: bool
    faultless: bool
    words_cut: int
    plain_text: list[str]
    taken_out: list[str]
    contradictions: list[str]
    blocked: list[str]
    repeated: list[RepeatedOut]


class PromptOut(BaseModel):
    positive: str
    negative: str
    words: int
    source: Source
    style: str
    seed: int
    tokens: TokensOut
    weights: list[WeightOut]
    loras: dict[str, float]
    looked: LookedOut
    width: int
    height: int
    steps: int
    guidance: float
    scheduler: str


class StyleOut(BaseModel):
    slug: str
    name: str
    words: str
    negative: str


class StylesOut(BaseModel):
    items: list[StyleOut]


def routes(engine: Engine) -> APIRouter:
    router = APIRouter(prefix=API, responses=PROBLEMS, tags=["prompts"])

    @router.post("/prompts", response_model=PromptOut)
    async def build(asked: Building, who: Maker) -> dict[str, Any]:
        """Write the prompt of a picture, and say how it is read. Nothing is kept, and nothing painted."""

        async def found(tx: AsyncConnection) -> PersonaRecord:
            record = await personas.find(tx, asked.persona)
            allowed = await rating_of(tx, engine, who, await people.known(tx, who.account))
            if asked.rating.level > allowed.level:
                raise Unsuitable(say("imagine.too_grown_up"))
            if who.key_id is not None:
                safety.check_persona(record.persona, allowed)
            return record

        record = await engine.database.look(found)
        wish = Wish(**asked.model_dump(exclude={"persona", "prompt", "rating"}))
        prompt = asked.prompt.strip()
        request = await engine.imagining.compose(record, wish, rating=asked.rating, prompt=prompt)
        if prompt:
            request = await remaking.by_hand(engine.imagining, request, prompt)
        look = partial(
            rewording.looked_at,
            request.prompt,
            engine.settings,
            engine.imagining.styles,
            style=request.style,
            persona=record.persona,
        )
        report = await asyncio.to_thread(look)
        return {
            "positive": request.prompt,
            "negative": request.negative,
            "words": report.words,
            "source": request.source,
            "style": request.style,
            "seed": request.seed,
            "tokens": {
                "encoders": list(report.tokens),
                "chunks": report.chunks,
                "model": report.model,
                "estimated": report.estimated,
            },
            "weights": [{"text": one.text, "weight": one.weight} for one in report.weights],
            "loras": request.loras,
            "looked": _looked(report),
            "width": request.width,
            "height": request.height,
            "steps": request.steps,
            "guidance": request.guidance,
            "scheduler": request.scheduler,
        }

    @router.get("/styles", response_model=StylesOut)
    async def styles(_: Looker) -> dict[str, Any]:
        """How pictures may look, and the words that each adds."""
        return {
            "items": [
                {"slug": one.slug, "name": one.name, "words": one.words, "negative": one.negative}
                for one in engine.imagining.styles.values()
            ]
        }

    return router


def _looked(report: Report) -> dict[str, Any]:
    told = {
        name: getattr(report, name)
        for name in (
            "of_length",
            "faultless",
            "words_cut",
            "plain_text",
            "taken_out",
            "contradictions",
            "blocked",
        )
    }
    return told | {"repeated": [{"word": word, "times": times} for word, times in report.repeated]}

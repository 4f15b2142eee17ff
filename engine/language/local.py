"""A model in this house, as a `LanguageModel`: it talks, writes picture prompts and casts personas.

What is said comes through `cleaning`; what has a form comes out of a grammar, so that it is valid whatever the model.
How tokens are made it does not know.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from engine.errors import ModelUnavailable
from engine.language import (
    PROMPT_WORDS,
    CaptionWanted,
    PersonaWanted,
    PromptWanted,
    ReplyWanted,
    Source,
    Wanted,
    count_words,
)
from engine.language.cleaning import Cleaner
from engine.language.grammars import (
    Choice,
    List,
    Object,
    Text,
    gbnf,
    parse_persona,
    persona_grammar,
    picture_prompt_grammar,
)
from engine.language.requests import Request
from engine.language.sampling import for_forms, sampling_of
from engine.language.scribe import RESTART, Scribe
from engine.settings import LanguageSettings
from personas import prompting
from personas.persona import Persona, printable
from personas.prompting import Reach, Segment

#: A waiting person, then prompts, then castings.
CHAT, PROMPTS, CASTING = range(3)
#: A picture prompt of 200 words, a persona with every field, a handful of corrections; in tokens, with room to spare.
PROMPT_TOKENS, PERSONA_TOKENS, CORRECTIONS_TOKENS = 1_200, 5_000, 600
#: What a model may think before it speaks, where its form makes it think.
THOUGHT_TOKENS = 1_500
#: Of a picture prompt so many words at most say who is in it, as they always look.
SUBJECT_WORDS = 70
#: And so many at least are the model's own.
OWN_WORDS = 30

#: What the second look at a persona may correct, with how many words it may take.
_CORRECTABLE: Mapping[str, tuple[str, ...]] = {
    "occupation": ("occupation",),
    "home": ("home",),
    "description": ("description",),
    "summary": ("personality", "summary"),
    "manner": ("voice", "manner"),
    "face": ("appearance", "face"),
    "hair": ("appearance", "hair"),
    "eyes": ("appearance", "eyes"),
    "build": ("appearance", "build"),
    "marks": ("appearance", "marks"),
}
_NOTHING = "nothing"
_SECOND_LOOK = (
    "Read the persona once more, as an editor would. Where two of its fields contradict each other (an age and a "
    "life, a home and a job, hair of two colours), name the field that is wrong and write it anew. Where nothing "
    f"does, name the field “{_NOTHING}”."
)


class Local:
    source = Source.MODEL

    def __init__(self, scribe: Scribe, settings: LanguageSettings, *, casting: str, picture: str) -> None:
        self._scribe = scribe
        self._settings = settings
        self._casting = casting
        self._picture = picture

    @property
    def name(self) -> str:
        return self._scribe.name

    @property
    def scribe(self) -> Scribe:
        return self._scribe

    async def write(self, wanted: Wanted) -> AsyncGenerator[str, None]:
        if isinstance(wanted, ReplyWanted):
            async with aclosing(self._talk(wanted)) as pieces:
                async for piece in pieces:
                    yield piece
        elif isinstance(wanted, PromptWanted):
            yield await self._prompt(wanted)
        else:
            yield json.dumps(await self._persona(wanted), ensure_ascii=False)

    async def close(self) -> None:
        await self._scribe.close()

    async def _talk(self, wanted: ReplyWanted) -> AsyncGenerator[str, None]:
        persona = wanted.persona
        await self._scribe.up()
        thinks = self._scribe.ready.thinks if self._scribe.ready else None
        request = Request(
            wanted.segments or _plain_talk(wanted),
            sampling=sampling_of(self._settings, persona.sampling, seed=wanted.seed),
            most=min(self._settings.reply_tokens, wanted.most or self._settings.reply_tokens)
            + (THOUGHT_TOKENS if thinks else 0),
            rank=PROMPTS if isinstance(wanted, CaptionWanted) else CHAT,
            talk=wanted.talk,
        )
        others = {wanted.person_name, *(line.name for line in wanted.lines if not line.by_persona)}
        cleaner = Cleaner(
            [persona.called, persona.name], [name for name in sorted(others) if name], opened=thinks
        )
        said = False
        async with aclosing(self._scribe.write(request, tally=wanted.tally)) as pieces:
            async for piece in pieces:
                if shown := cleaner.feed(piece):
                    said = said or bool(shown.strip())
                    yield shown
                if cleaner.ended:
                    break
        if rest := cleaner.finish():
            said = said or bool(rest.strip())
            yield rest
        if not said:
            raise ModelUnavailable("The model said nothing that can be shown.")

    async def _prompt(self, wanted: PromptWanted) -> str:
        scene = wanted.scene
        segments = wanted.segments or prompting.picture_segments(
            scene, instructions=self._picture, style_words=wanted.style_words, rating=wanted.rating
        )
        style = _fewer(wanted.style_words, PROMPT_WORDS[-1] - SUBJECT_WORDS - OWN_WORDS)
        # Who it is stands there already, in the words of every picture; the model goes on from them.
        subject = _fewer(_subject(scene.persona), SUBJECT_WORDS)
        given = count_words(subject) + count_words(style)
        text = await self._form(
            Request(
                segments,
                sampling=for_forms(wanted.seed),
                most=PROMPT_TOKENS,
                rank=PROMPTS,
                grammar=picture_prompt_grammar(
                    max(OWN_WORDS, PROMPT_WORDS[0] - given), PROMPT_WORDS[-1] - given
                ),
                begun=f"{subject},",
            )
        )
        own = f"{subject}, {text.strip().rstrip(',;:')}"
        return f"{own}, {style}" if style else own

    async def _persona(self, wanted: PersonaWanted) -> dict[str, Any]:
        wish = ", ".join(
            part
            for part in (
                f"type: {wanted.kind}" if wanted.kind else "",
                f"name: {wanted.name}" if wanted.name else "",
            )
            if part
        )
        segments = wanted.segments or (
            Segment(Reach.SHARED, "system", self._casting),
            Segment(Reach.VOLATILE, "user", f"Write a persona as JSON ({wish or 'your choice'})."),
        )
        text = await self._form(
            Request(
                segments,
                sampling=for_forms(wanted.seed),
                most=PERSONA_TOKENS,
                rank=CASTING,
                grammar=persona_grammar(wanted.name, wanted.kind),
            )
        )
        try:
            persona = parse_persona(text, wanted)
        except ValueError as error:
            raise ModelUnavailable(f"The model wrote no persona: {error}") from None
        return await self._looked_at_again(persona, segments, text, wanted.seed)

    async def _looked_at_again(
        self, persona: dict[str, Any], segments: tuple[Segment, ...], text: str, seed: int
    ) -> dict[str, Any]:
        """The model's own second look: what contradicts itself is written anew. Without it the persona stands."""
        correction = Object((("field", Choice((_NOTHING, *_CORRECTABLE))), ("better", Text(2, 12))))
        try:
            told = await self._form(
                Request(
                    (
                        *segments,
                        Segment(Reach.VOLATILE, "assistant", text),
                        Segment(Reach.VOLATILE, "user", _SECOND_LOOK),
                    ),
                    sampling=for_forms(seed + 1),
                    most=CORRECTIONS_TOKENS,
                    rank=CASTING,
                    grammar=gbnf(List(correction, 1, 3)),
                )
            )
            corrections = json.loads(told)
        except (ModelUnavailable, ValueError):
            return persona
        for one in corrections:
            if path := _CORRECTABLE.get(one["field"]):
                *above, last = path
                place = persona
                for key in above:
                    place = place[key]
                place[last] = one["better"]
        return persona

    async def _form(self, request: Request) -> str:
        text = ""
        async with aclosing(self._scribe.write(request)) as pieces:
            async for piece in pieces:
                text = "" if piece == RESTART else text + piece
        return text


def _plain_talk(wanted: ReplyWanted) -> tuple[Segment, ...]:
    """For whoever asks without segments: the persona, and what was said."""
    return prompting.segments(
        wanted.persona,
        wanted.lines or (prompting.Line(False, "…"),),
        shared=prompting.shared_part(wanted.persona, "You are {{char}}."),
        person_name=wanted.person_name,
        room_chars=24_000,
    )


def _subject(persona: Persona) -> str:
    age = f"{persona.age}-year-old" if persona.age is not None and persona.age >= 18 else ""
    told = ", ".join(part for part in (persona.called, age, persona.appearance.body) if part)
    return prompting.one_line(printable(told), 2_000).rstrip(",. ")


def _fewer(text: str, most: int) -> str:
    """The first words of a text, no more than so many."""
    kept: list[str] = []
    left = most
    for run in text.split():
        left -= count_words(run)
        if left < 0:
            break
        kept.append(run)
    return " ".join(kept).rstrip(",;: ")

"""A language model on another server: anything that speaks OpenAI's language, as llama-server, vLLM, Ollama, a host.

It sends what is wanted and hears what comes. How words become messages stands in `messages`, how a stream is read in
`streamed`, what refusals mean in `refusals`, what is made of prompts and personas in `mending`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import structlog

from engine.clock import Clock, SystemClock
from engine.errors import ModelUnavailable
from engine.language import (
    PROMPT_WORDS,
    PersonaWanted,
    PromptWanted,
    ReplyWanted,
    Source,
    Task,
    Wanted,
    count_words,
    task_of,
)
from engine.language.cleaning import Cleaner
from engine.language.connection import Connection
from engine.language.mending import persona_of, plain_prompt, with_style
from engine.language.messages import (
    Message,
    again_with_count,
    in_strict_turn,
    messages_of,
    shorter,
    shows_pictures,
)
from engine.language.refusals import Habits, PassingError, complaint, is_about_pictures, is_too_long
from engine.language.sampling import Sampling, for_forms, sampling_of
from engine.language.streamed import Heard, Lines, heard, in_answer
from engine.settings import LanguageSettings, ServerSettings

if TYPE_CHECKING:
    import httpx

log = structlog.get_logger(__name__)

#: How many tokens a picture prompt and a persona may take, with what a model thinks before it.
_MOST_TOKENS = {Task.PROMPTS: 1_200, Task.CASTING: 4_096}
#: After the last word, what else a server sends is awaited so long, so that the connection can be used again.
_PARTING_SECONDS = 2.0
_MOST_HEARD = 1_000_000
_MOST_ADAPTING = 10


@dataclass(frozen=True)
class _Ask:
    wanted: Wanted
    messages: list[Message]
    sampling: Sampling
    most: int
    persona_names: tuple[str, ...] = ()
    person_names: tuple[str, ...] = ()
    form: Mapping[str, Any] = field(default_factory=dict)


class Remote:
    """A `LanguageModel` at `server.address`. `forms` are fields that hold a task's answer to a form there,
    such as `grammar` or `response_format`; where a server does not know them, they are left out.
    """

    def __init__(
        self,
        server: ServerSettings,
        language: LanguageSettings,
        clock: Clock | None = None,
        *,
        forms: Mapping[Task, Mapping[str, Any]] | None = None,
    ) -> None:
        self._server = server
        self._language = language
        self._clock = clock or SystemClock()
        self._forms = forms or {}
        self._there = Connection(server, self._clock)
        self._habits = Habits()
        #: The operator was told that pictures are refused there.
        self._told_blind = False

    @property
    def name(self) -> str:
        return self._server.model or f"the model at {self._there.shown}"

    @property
    def source(self) -> Source:
        return Source.MODEL

    async def write(self, wanted: Wanted) -> AsyncGenerator[str, None]:
        if isinstance(wanted, PromptWanted):
            yield await self._prompt(wanted)
        elif isinstance(wanted, PersonaWanted):
            text = await self._whole(self._asked(wanted))
            yield persona_of(text, wanted).model_dump_json(exclude={"card"}, exclude_none=True)
        else:
            async with aclosing(self._words(self._asked(wanted))) as pieces:
                async for piece in pieces:
                    yield piece

    async def close(self) -> None:
        await self._there.close()

    async def _prompt(self, wanted: PromptWanted) -> str:
        """A prompt of the right length: asked for, asked for again with the count, or else cut."""
        asked = self._asked(wanted)
        first = plain_prompt(await self._whole(asked))
        if (prompt := with_style(first, wanted.style_words)) and _is_prompt(first, prompt):
            return prompt
        again = again_with_count(asked.messages, first, count_words(first))
        second = first
        with suppress(ModelUnavailable):
            second = plain_prompt(await self._whole(self._asked(wanted, again)))
        prompt = with_style(second, wanted.style_words)
        if not _is_prompt(second, prompt) and count_words(second) < count_words(first):
            prompt = with_style(first, wanted.style_words)
        if count_words(prompt) in PROMPT_WORDS:
            return prompt
        raise ModelUnavailable(
            f"{self.name} wrote a prompt of {count_words(prompt)} words, twice not enough."
        )

    async def _whole(self, ask: _Ask) -> str:
        async with aclosing(self._words(ask)) as pieces:
            return "".join([piece async for piece in pieces])

    def _asked(self, wanted: Wanted, messages: list[Message] | None = None) -> _Ask:
        messages = messages_of(wanted, sees=self._server.sees) if messages is None else messages
        task = task_of(wanted)
        form = self._forms.get(task, {})
        if not isinstance(wanted, ReplyWanted):
            return _Ask(wanted, messages, for_forms(wanted.seed), _MOST_TOKENS[task], form=form)
        persona = wanted.persona
        others = [wanted.person_name, *(line.name for line in wanted.lines if not line.by_persona)]
        return _Ask(
            wanted,
            messages,
            # Another answer than the ones before, also where the same seed gives the same words.
            sampling_of(self._language, persona.sampling, seed=wanted.seed + len(wanted.rejected)),
            min(self._language.reply_tokens, wanted.most or self._language.reply_tokens),
            persona_names=_spoken((persona.name, persona.called)),
            person_names=_spoken(others),
            form=form,
        )

    async def _words(self, ask: _Ask) -> AsyncGenerator[str, None]:
        """The answer piece by piece; asked for again after passing trouble, as long as nothing was said."""
        again = 0
        while True:
            said = False
            try:
                async with aclosing(self._once(ask)) as pieces:
                    async for piece in pieces:
                        said = True
                        yield piece
                return
            except PassingError as trouble:
                again += 1
                pause = self._there.pause(trouble, again)
                if said or pause is None:
                    raise ModelUnavailable(str(trouble)) from None
            await self._clock.sleep(pause)

    async def _once(self, ask: _Ask) -> AsyncGenerator[str, None]:
        cleaner = Cleaner(ask.persona_names, ask.person_names)
        said, reason = False, ""
        async with aclosing(self._stream(ask)) as events:
            async for event in events:
                reason = event.reason or reason
                if piece := cleaner.feed(event.text):
                    said = True
                    yield piece
                if cleaner.ended:
                    break
        if reason == "length" and isinstance(ask.wanted, ReplyWanted) and ask.wanted.tally is not None:
            ask.wanted.tally.full = True
        if piece := cleaner.finish():
            yield piece
        elif not said:
            raise ModelUnavailable(self._nothing(reason, ask))

    async def _stream(self, ask: _Ask) -> AsyncGenerator[Heard, None]:
        """The events of one answer. What the server does not take is left out, and it is asked again at once."""
        model = await self._model(ask.wanted)
        for _ in range(_MOST_ADAPTING):
            payload = self._payload(ask, model)
            answer = await self._there.send("POST", "/chat/completions", payload)
            try:
                if answer.is_success:
                    async with aclosing(self._events(answer)) as events:
                        async for event in events:
                            yield event
                    return
                told = self._there.scrubbed(complaint(await self._there.body(answer)))
            finally:
                await answer.aclose()
            if is_too_long(answer.status_code, told) and (fewer := shorter(ask.messages)):
                ask = replace(ask, messages=fewer)
            elif shows_pictures(ask.messages) and is_about_pictures(answer.status_code, told):
                self._warn(answer.status_code, told)
                ask = replace(ask, messages=messages_of(ask.wanted))
            elif not self._habits.learn(answer.status_code, payload, told):
                if answer.status_code == 404:
                    self._there.forget()  # its models may have changed
                raise self._there.refusal(answer, told, model)
        raise ModelUnavailable(f"The server at {self._there.shown} takes nothing that is asked of it: {told}")

    async def _events(self, answer: httpx.Response) -> AsyncGenerator[Heard, None]:
        if "json" in answer.headers.get("content-type", ""):
            yield await self._unstreamed(answer)
            return
        if "html" in answer.headers.get("content-type", ""):
            raise ModelUnavailable(f"What answers at {self._there.shown} is no OpenAI-compatible server.")
        loop = asyncio.get_running_loop()
        chunks, lines = aiter(answer.aiter_bytes()), Lines()
        # Comments keep a connection alive, and say nothing: only an event begins the wait anew.
        until, ended, length, data = loop.time() + self._server.patience, False, 0, True
        while data:
            try:
                async with asyncio.timeout_at(until):
                    chunk = await anext(chunks, b"")
                told = lines.feed(chunk) if chunk else lines.finish()
            except Exception as error:
                if ended:  # all was said; only the farewell is missing
                    return
                self._there.failed(error)
            data = bool(chunk)
            for event in filter(None, map(heard, told)):
                if event.error:
                    raise PassingError(
                        f"The server at {self._there.shown} broke off: {self._there.scrubbed(event.error)[:300]}"
                    )
                length += len(event.text)
                if length > _MOST_HEARD:
                    raise ModelUnavailable(f"The server at {self._there.shown} does not stop talking.")
                yield event
                if event.done:
                    return
                ended = ended or bool(event.reason)
                until = loop.time() + (_PARTING_SECONDS if ended else self._server.patience)
        if not ended:
            raise PassingError(f"The server at {self._there.shown} broke off in the middle of an answer.")

    async def _unstreamed(self, answer: httpx.Response) -> Heard:
        """The whole answer at once, of a server that does not stream."""
        body = await self._there.body(answer)
        try:
            event = in_answer(json.loads(body))
        except (ValueError, RecursionError):
            event = None
        if event is None:
            raise ModelUnavailable(f"What answers at {self._there.shown} is no OpenAI-compatible server.")
        if event.error:
            raise PassingError(
                f"The server at {self._there.shown} failed: {self._there.scrubbed(event.error)[:300]}"
            )
        return event

    def _payload(self, ask: _Ask, model: str) -> dict[str, Any]:
        messages = in_strict_turn(ask.messages) if self._habits.strict else ask.messages
        payload = self._habits.fields(ask.sampling, ask.most, ask.form)
        return payload | {"messages": messages, "stream": True} | ({"model": model} if model else {})

    async def _model(self, wanted: Wanted) -> str:
        """The model that was asked for where the operator allows it and the server has it; else the house's."""
        asked = wanted.model or (wanted.persona.model if isinstance(wanted, ReplyWanted) else "")
        if asked in self._language.allowed and asked in await self._there.models():
            return asked
        if self._server.model:
            return self._server.model
        return next(iter(await self._there.models()), "")

    def _warn(self, status: int, told: str) -> None:
        """Once: the talk goes on without its pictures."""
        tell = log.debug if self._told_blind else log.warning
        self._told_blind = True
        tell("pictures_refused", server=self._there.shown, status=status, cause=told[:300])

    def _nothing(self, reason: str, ask: _Ask) -> str:
        if reason == "length":
            return (
                f"{self.name} used up all of its {ask.most} tokens before the first word that can be shown."
            )
        return f"{self.name} answered with nothing that can be shown."


def _is_prompt(text: str, prompt: str) -> bool:
    """Whether a prompt is as long as it should be without having been cut."""
    return count_words(text) <= PROMPT_WORDS[-1] and count_words(prompt) in PROMPT_WORDS


def _spoken(names: Iterable[str]) -> tuple[str, ...]:
    """Names as a model may put them before words: whole, or the first part alone."""
    parts = [part for name in names for part in (name, name.split(" ")[0])]
    return tuple(dict.fromkeys(part for part in parts if len(part) > 1))

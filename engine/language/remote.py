"""A language model on another server: anything that speaks OpenAI's language, as llama-server, vLLM, Ollama, a host.

It sends what is wanted and hears what comes. How words become messages stands in `messages`, how a stream is read in
`streamed`, what refusals mean in `refusals`, what is made of prompts and personas in `mending`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

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
from engine.language.mending import persona_of, plain_prompt, with_style
from engine.language.messages import Message, again_with_count, in_strict_turn, messages_of, shorter
from engine.language.refusals import Habits, PassingError, complaint, is_too_long, refusal
from engine.language.sampling import Sampling, for_forms, sampling_of
from engine.language.streamed import Heard, Lines, heard, in_answer
from engine.settings import LanguageSettings, ServerSettings

if TYPE_CHECKING:
    import httpx

#: How many tokens a picture prompt and a persona may take, with what a model thinks before it.
_MOST_TOKENS = {Task.PROMPTS: 1_200, Task.CASTING: 4_096}
#: Nobody waits longer between two tries: if a server wants more time, the next in line answers.
MOST_PAUSE = 30.0
_FIRST_PAUSE = 0.5
_CONNECT_SECONDS = 10.0
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
        self._address = server.address.strip().rstrip("/")
        self._habits = Habits()
        self._known: tuple[str, ...] | None = None
        self._client: httpx.AsyncClient | None = None
        self._closed = False

    @property
    def name(self) -> str:
        return self._server.model or f"the model at {self._shown}"

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
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

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
        messages = messages_of(wanted) if messages is None else messages
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
                pause = (
                    min(_FIRST_PAUSE * 2 ** (again - 1), MOST_PAUSE)
                    if trouble.pause is None
                    else trouble.pause
                )
                if said or again > self._server.tries or pause > MOST_PAUSE:
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
            answer = await self._send("POST", "/chat/completions", payload)
            try:
                if answer.is_success:
                    async with aclosing(self._events(answer)) as events:
                        async for event in events:
                            yield event
                    return
                told = self._scrubbed(complaint(await self._body(answer)))
            finally:
                await answer.aclose()
            if is_too_long(answer.status_code, told) and (fewer := shorter(ask.messages)):
                ask = replace(ask, messages=fewer)
            elif not self._habits.learn(answer.status_code, payload, told):
                if answer.status_code == 404:
                    self._known = None  # its models may have changed
                self._refuse(answer, told, model)
        raise ModelUnavailable(f"The server at {self._shown} takes nothing that is asked of it: {told}")

    async def _events(self, answer: httpx.Response) -> AsyncGenerator[Heard, None]:
        if "json" in answer.headers.get("content-type", ""):
            yield await self._unstreamed(answer)
            return
        if "html" in answer.headers.get("content-type", ""):
            raise ModelUnavailable(f"What answers at {self._shown} is no OpenAI-compatible server.")
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
                self._failed(error)
            data = bool(chunk)
            for event in filter(None, map(heard, told)):
                if event.error:
                    raise PassingError(
                        f"The server at {self._shown} broke off: {self._scrubbed(event.error)[:300]}"
                    )
                length += len(event.text)
                if length > _MOST_HEARD:
                    raise ModelUnavailable(f"The server at {self._shown} does not stop talking.")
                yield event
                if event.done:
                    return
                ended = ended or bool(event.reason)
                until = loop.time() + (_PARTING_SECONDS if ended else self._server.patience)
        if not ended:
            raise PassingError(f"The server at {self._shown} broke off in the middle of an answer.")

    async def _unstreamed(self, answer: httpx.Response) -> Heard:
        """The whole answer at once, of a server that does not stream."""
        body = await self._body(answer)
        try:
            event = in_answer(json.loads(body))
        except (ValueError, RecursionError):
            event = None
        if event is None:
            raise ModelUnavailable(f"What answers at {self._shown} is no OpenAI-compatible server.")
        if event.error:
            raise PassingError(f"The server at {self._shown} failed: {self._scrubbed(event.error)[:300]}")
        return event

    def _payload(self, ask: _Ask, model: str) -> dict[str, Any]:
        messages = in_strict_turn(ask.messages) if self._habits.strict else ask.messages
        payload = self._habits.fields(ask.sampling, ask.most, ask.form)
        return payload | {"messages": messages, "stream": True} | ({"model": model} if model else {})

    async def _model(self, wanted: Wanted) -> str:
        """The model that was asked for where the operator allows it and the server has it; else the house's."""
        asked = wanted.model or (wanted.persona.model if isinstance(wanted, ReplyWanted) else "")
        if asked in self._language.allowed and asked in await self._models():
            return asked
        if self._server.model:
            return self._server.model
        return next(iter(await self._models()), "")

    async def _models(self) -> tuple[str, ...]:
        if self._known is not None:
            return self._known
        answer = await self._send("GET", "/models")
        try:
            body = await self._body(answer)
        finally:
            await answer.aclose()
        if answer.status_code in {404, 405, 501}:
            return ()  # not every server has a list; then it has one model, and needs no name
        if not answer.is_success:
            self._refuse(answer, self._scrubbed(complaint(body)), "")
        try:
            told = json.loads(body)
            self._known = tuple(str(one["id"]) for one in told["data"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ModelUnavailable(f"What answers at {self._shown} is no OpenAI-compatible server.") from None
        return self._known

    async def _send(self, method: str, path: str, payload: Mapping[str, Any] | None = None) -> httpx.Response:
        """The head of an answer, within the patience of the settings; whoever gets it closes it."""
        try:
            client = self._opened()
            request = client.build_request(
                method,
                self._address + path,
                # A lone surrogate in a talk is nothing that UTF-8 can carry.
                content=None
                if payload is None
                else json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace"),
                headers={"Content-Type": "application/json"} if payload is not None else None,
            )
            async with asyncio.timeout(self._server.patience):
                return await client.send(request, stream=True)
        except Exception as error:
            self._failed(error)

    async def _body(self, answer: httpx.Response) -> bytes:
        try:
            async with asyncio.timeout(self._server.patience):
                return await answer.aread()
        except Exception as error:
            self._failed(error)

    def _opened(self) -> httpx.AsyncClient:
        import httpx

        if self._closed:
            raise ModelUnavailable("The connection to the model's server is closed.")
        if self._client is None:
            key = self._server.key.get_secret_value().strip()
            if not (key.isascii() and key.isprintable()):
                raise ModelUnavailable("server.key holds characters that no key has: copy it again.")
            self._client = httpx.AsyncClient(
                headers={"Authorization": f"Bearer {key}"} if key else None,
                # The waiting between words is ours to measure; see `_events`.
                timeout=httpx.Timeout(None, connect=min(_CONNECT_SECONDS, self._server.patience)),
                trust_env=not _is_near(httpx.URL(self._address).host),
            )
        return self._client

    def _failed(self, error: Exception) -> NoReturn:
        """Trouble of the connection, in words; nothing of the request in it, for that holds the key."""
        import httpx

        if isinstance(error, ModelUnavailable):
            raise error
        if isinstance(error, TimeoutError):
            raise ModelUnavailable(
                f"The server at {self._shown} said nothing for {self._server.patience:g} seconds; server.patience "
                "sets how long that may be."
            ) from None
        if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
            raise ModelUnavailable(
                f"server.address is {self._shown!r}, and should look like http://127.0.0.1:8080/v1."
            ) from None
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            raise PassingError(
                f"Nobody answers at {self._shown}: is the server running, and is server.address right?"
            ) from None
        if isinstance(error, httpx.HTTPError | httpx.StreamError):
            raise PassingError(
                f"The connection to {self._shown} broke off ({type(error).__name__})."
            ) from None
        if isinstance(error, ValueError):
            raise ModelUnavailable(f"What answers at {self._shown} is no OpenAI-compatible server.") from None
        raise error

    def _refuse(self, answer: httpx.Response, told: str, model: str) -> NoReturn:
        raise refusal(
            answer.status_code,
            told,
            where=f"The server at {self._shown}",
            model=model,
            retry_after=answer.headers.get("retry-after", ""),
            now=self._clock.now(),
        )

    def _nothing(self, reason: str, ask: _Ask) -> str:
        if reason == "length":
            return (
                f"{self.name} used up all of its {ask.most} tokens before the first word that can be shown."
            )
        return f"{self.name} answered with nothing that can be shown."

    @property
    def _shown(self) -> str:
        """The address without what is secret in it."""
        scheme, slashes, rest = self._address.partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"

    def _scrubbed(self, told: str) -> str:
        key = self._server.key.get_secret_value().strip()
        return told.replace(key, "…") if key else told


def _is_prompt(text: str, prompt: str) -> bool:
    """Whether a prompt is as long as it should be without having been cut."""
    return count_words(text) <= PROMPT_WORDS[-1] and count_words(prompt) in PROMPT_WORDS


def _spoken(names: Iterable[str]) -> tuple[str, ...]:
    """Names as a model may put them before words: whole, or the first part alone."""
    parts = [part for name in names for part in (name, name.split(" ")[0])]
    return tuple(dict.fromkeys(part for part in parts if len(part) > 1))


def _is_near(host: str) -> bool:
    """Whether a host is this machine, to which no proxy leads."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"

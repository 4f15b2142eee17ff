"""What a program asks for when it asks for a chat completion, and what that means here.

What it sends that we do not have is passed over where the answer is as good without it, and refused where it would
think that it was done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from bot.web.compatible.addresses import picture_in
from bot.web.compatible.wording import MOST_USER, unsupported
from bot.web.problems import Mistake
from engine.locales import say
from engine.speaking import Elsewhere
from engine.store.records import Account
from personas.persona import Sampling
from personas.prompting import Line

MOST_MESSAGES = 4_096
MOST_STOPS = 64
#: So many pictures of a talk are looked at.
MOST_PICTURES = 8
#: The least of `top_p` that we know: the likeliest word alone.
LEAST_TOP_P = 1e-4

_PICTURE = "picture"
#: What a part of a message is that is no words, as a model is told of it.
_UNSEEN = {
    "image_url": _PICTURE,
    "input_image": _PICTURE,
    "input_audio": "sound",
    "audio": "sound",
    "video_url": "video",
    "file": "file",
    "input_file": "file",
}
_WORDS = frozenset({"text", "input_text", "output_text", "refusal"})

Name = Annotated[str, Field(max_length=MOST_USER)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Stop = Annotated[str, Field(max_length=1_000)]


class Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None


class StreamOptions(BaseModel):
    include_usage: bool | None = None


class ChatAsked(BaseModel):
    model: Annotated[str, Field(min_length=1, max_length=200)]
    messages: Annotated[list[Message], Field(min_length=1, max_length=MOST_MESSAGES)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=MOST_STOPS)] | None = None
    seed: int | None = None
    user: Name | None = None
    safety_identifier: Name | None = None
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    # Not OpenAI's own, and sent by programs that know other servers too.
    top_k: Annotated[int, Field(ge=-1, le=1_000)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.5, le=2)] | None = None
    repeat_penalty: Annotated[float, Field(ge=0.5, le=2)] | None = None
    # Refused where they ask for something.
    n: int | None = None
    logit_bias: dict[str, Any] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: dict[str, Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    function_call: str | dict[str, Any] | None = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None
    store: bool | None = None

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def counts_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)


@dataclass(frozen=True)
class _Said:
    role: str
    text: str
    name: str
    pictures: tuple[bytes, ...] = ()
    unseen: tuple[str, ...] = ()


def check(asked: ChatAsked) -> None:
    """Refuse what cannot be had here, where the program would take it for done."""
    if asked.n not in (None, 1):
        raise unsupported("n", say("compatible.n"))
    if asked.logit_bias:
        raise unsupported("logit_bias", say("compatible.logit_bias"))
    if asked.logprobs or asked.top_logprobs:
        raise unsupported("logprobs", say("compatible.logprobs"))
    if asked.response_format and asked.response_format.get("type") != "text":
        raise unsupported("response_format", say("compatible.response_format"))
    for param in ("tool_choice", "function_call"):
        if getattr(asked, param) not in (None, "none", "auto"):
            raise unsupported(param, say("compatible.tools"))
    if asked.audio or set(asked.modalities or ()) - {"text"}:
        raise unsupported("modalities", say("compatible.modalities"))
    if asked.web_search_options is not None:
        raise unsupported("web_search_options", say("compatible.web_search"))
    if asked.store:
        raise unsupported("store", say("compatible.store"))


def talk_of(asked: ChatAsked, account: Account, *, sees: bool = False) -> Elsewhere:
    """The talk as the program tells it. `sees`: there is a model that looks at pictures."""
    said = list(_said(asked.messages, sees=sees))
    lines = tuple(
        Line(one.role == "assistant", one.text, one.name if one.role == "user" else "", one.pictures)
        for one in said
        if one.role in ("user", "assistant") and one.text.strip()
    )
    notes = [one.text.strip() for one in said if one.role in ("system", "developer")]
    return Elsewhere(
        persona=asked.model,
        lines=lines,
        account=account,
        person=asked.safety_identifier or asked.user or "",
        note="\n\n".join(filter(None, notes)),
        unseen=next((one.unseen for one in reversed(said) if one.role == "user"), ()),
        sampling=_sampling(asked),
        seed=None if asked.seed is None else asked.seed % 2**32,
        most=asked.max_completion_tokens or asked.max_tokens,
    )


def _sampling(asked: ChatAsked) -> Sampling:
    return Sampling(
        temperature=asked.temperature,
        top_p=None if asked.top_p is None else max(asked.top_p, LEAST_TOP_P),
        # Elsewhere -1 means what 0 means here.
        top_k=None if asked.top_k is None else max(asked.top_k, 0),
        min_p=asked.min_p,
        repeat_penalty=asked.repeat_penalty if asked.repetition_penalty is None else asked.repetition_penalty,
        frequency_penalty=asked.frequency_penalty,
        presence_penalty=asked.presence_penalty,
    )


def _said(messages: Sequence[Message], *, sees: bool) -> Iterator[_Said]:
    # The latest are looked at: a talk may go on for longer than a model looks back.
    older = sum(map(_pictures_in, messages)) - MOST_PICTURES
    for place, message in enumerate(messages):
        where = f"messages.{place}"
        if message.role in ("tool", "function"):
            raise Mistake(400, say("compatible.no_tool"), param=f"{where}.role")
        content = message.content
        if content is None or isinstance(content, str):
            yield _Said(message.role, content or "", message.name or "")
            continue
        count = _pictures_in(message)
        if sees and count > MOST_PICTURES:
            sentence = say("shown.many", most=MOST_PICTURES)
            raise Mistake(400, sentence, param=f"{where}.content", code="invalid_value")
        yield _in_parts(
            message, content, f"{where}.content", max(older, 0) if sees and count else len(content)
        )
        older -= count


def _in_parts(message: Message, content: Sequence[Mapping[str, Any]], where: str, passed: int) -> _Said:
    """`passed`: so many of its pictures, the first ones, are not looked at."""
    words: list[str] = []
    brought: list[str] = []
    unseen: list[str] = []
    pictures: list[bytes] = []
    for number, part in enumerate(content):
        place = f"{where}.{number}"
        kind, told = _part(part, place)
        if not kind:
            words.append(told)
            continue
        brought.append(kind)
        if kind == _PICTURE and passed <= 0:
            pictures.append(picture_in(_address(part), place))
        else:
            passed -= kind == _PICTURE
            unseen.append(kind)
    text = "\n".join(words)
    # A picture without words is something that somebody said, too.
    shown = text if text.strip() or not brought else f"({', '.join(brought)})"
    return _Said(message.role, shown, message.name or "", tuple(pictures), tuple(unseen))


def _pictures_in(message: Message) -> int:
    """How many of them a model could look at: no program shows what a persona has shown."""
    if message.role != "user" or not isinstance(message.content, list):
        return 0
    return sum(_UNSEEN.get(str(part.get("type"))) == _PICTURE for part in message.content)


def _address(part: Mapping[str, Any]) -> object:
    """Where a picture is, in either of the two ways in which programs say it."""
    told = part.get("image_url")
    return told.get("url") if isinstance(told, Mapping) else told


def _part(part: Mapping[str, Any], where: str) -> tuple[str, str]:
    """What came that is no words, or the words."""
    kind = part.get("type")
    if kind in _WORDS:
        told = part.get("text", part.get("refusal"))
        if isinstance(told, str):
            return "", told
    elif isinstance(kind, str) and kind in _UNSEEN:
        return _UNSEEN[kind], ""
    raise Mistake(400, say("compatible.part"), param=where, code="invalid_value")

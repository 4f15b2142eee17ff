"""What is answered in OpenAI's words, as the API's document says it: of each answer what programs read of it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class ModelOut(BaseModel):
    """A persona."""

    #: Its slug: what `model` is asked for by.
    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    #: Not OpenAI's own.
    name: str


class ModelsOut(BaseModel):
    object: Literal["list"]
    data: list[ModelOut]


class SaidOut(BaseModel):
    role: Literal["assistant"]
    content: str
    refusal: None


class ChoiceOut(BaseModel):
    index: int
    message: SaidOut
    logprobs: None
    #: `stop`, or `length` where `max_tokens` ended it.
    finish_reason: str | None


class UsageOut(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CompletionOut(BaseModel):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    #: Changes with the language model that wrote; `understudy`: none did.
    system_fingerprint: str
    choices: list[ChoiceOut]
    usage: UsageOut


class MadeOut(BaseModel):
    #: One of the two, as `response_format` asks for it.
    url: str = ""
    b64_json: str = ""
    #: The prompt that was written of what was asked for.
    revised_prompt: str


class PicturesOut(BaseModel):
    created: int
    data: list[MadeOut]

"""The understudy: templates that step in when no model can. It always succeeds, at once, and says what it is.

It knows its lines in `data/understudy/` and the persona it stands in for; it understands nothing and does not
claim to. The same thing wanted gives the same words.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import AsyncGenerator
from functools import cached_property
from importlib import resources
from typing import Any

from engine.language import CaptionWanted, PromptWanted, ReplyWanted, Source, Wanted
from engine.language.captioning import caption
from engine.language.inventing import persona_text
from engine.language.listening import Vocabulary, vocabulary
from engine.language.picturing import picture_prompt
from engine.language.replying import reply

_PIECE = re.compile(r"\s*\S+\s*$|\s*\S+")


class Understudy:
    """A `LanguageModel` without a model. Its words are read from disk once, when first needed."""

    @property
    def name(self) -> str:
        return "understudy"

    @property
    def source(self) -> Source:
        return Source.UNDERSTUDY

    async def write(self, wanted: Wanted) -> AsyncGenerator[str, None]:
        for piece in _PIECE.findall(self.text(wanted)):
            yield piece

    async def close(self) -> None:
        """Nothing is held."""

    def text(self, wanted: Wanted) -> str:
        """The whole answer at once."""
        if isinstance(wanted, CaptionWanted):
            return caption(wanted, self.captions)
        if isinstance(wanted, ReplyWanted):
            return reply(wanted, self._lines, self._vocabulary)
        if isinstance(wanted, PromptWanted):
            return picture_prompt(wanted, self._pictures)
        return persona_text(wanted, self._casting)

    @cached_property
    def _lines(self) -> dict[str, Any]:
        return _words("replies") | {"colours": self._pictures["colours"]}

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return vocabulary(_words("listening"))

    @cached_property
    def _pictures(self) -> dict[str, Any]:
        return _words("pictures")

    @cached_property
    def captions(self) -> dict[str, Any]:
        """Its lines for posts."""
        return _words("captions")

    @cached_property
    def _casting(self) -> dict[str, Any]:
        return _words("casting")


def _words(file: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("data").joinpath("understudy", f"{file}.toml").read_text("utf-8"))

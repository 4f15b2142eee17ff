"""Pure: the stream of events in which a server answers, in all dialects of OpenAI's language.

Knows nothing of connections, of what was asked, or of what is done with the words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

#: No event is longer; whatever sends more without a line's end is no such server.
MOST_LINE = 4_000_000


@dataclass(frozen=True)
class Heard:
    """One event: more words, or an end, or trouble."""

    text: str = ""
    #: Why it ended, in the server's word.
    reason: str = ""
    done: bool = False
    error: str = ""


class Lines:
    """Bytes become lines. Only line feeds part them: what else Python takes for a line's end may stand in JSON."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > MOST_LINE:
            raise ValueError("a line without an end")
        return [line.rstrip(b"\r").decode("utf-8", "replace") for line in whole]

    def finish(self) -> list[str]:
        return self.feed(b"\n")


def heard(line: str) -> Heard | None:
    """What a line of the stream says; None for what says nothing: comments, other events, rubbish, usage."""
    if not line.startswith("data:"):
        return None
    data = line[5:].strip()
    if data == "[DONE]":
        return Heard(done=True)
    try:
        told = json.loads(data, strict=False)
    except (ValueError, RecursionError):
        return None
    return in_answer(told)


def in_answer(told: Any) -> Heard | None:
    """The same of an event, or of a whole answer by a server that does not stream."""
    if not isinstance(told, dict):
        return None
    if error := told.get("error"):
        return Heard(error=words_of(error))
    choices = told.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return None
    said = choices[0].get("delta") or choices[0].get("message") or {}
    content = said.get("content") if isinstance(said, dict) else ""
    if isinstance(content, list):  # in parts, of which some may be thoughts
        texts = [
            part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"
        ]
        content = "".join(text for text in texts if isinstance(text, str))
    reason = choices[0].get("finish_reason")
    return Heard(content if isinstance(content, str) else "", reason if isinstance(reason, str) else "")


def words_of(told: Any) -> str:
    """What an error says, whatever form it has."""
    if isinstance(told, dict) and isinstance(told.get("message"), str):
        told = told["message"]
    return told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)

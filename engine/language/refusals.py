"""Pure: what a server's refusal means. Leave something out, wait a little, or tell the operator what to do.

Knows what is asked by its names alone, and nothing of connections.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from engine.errors import ModelUnavailable
from engine.language.sampling import Sampling
from engine.language.streamed import words_of

#: Ways to draw words that OpenAI itself does not know.
EXTRAS = frozenset({"min_p", "top_k", "repeat_penalty", "dry_multiplier", "xtc_probability", "xtc_threshold"})
_NEEDED = frozenset({"model", "messages", "stream"})
_UNKNOWN = re.compile(
    r"unknown|unrecogni[sz]ed|unexpected|unsupported|unavailable|not supported|not permitted|not allowed|forbidden"
    r"|does not support|doesn't support|invalid|extra",
    re.I,
)
_ROLES = re.compile(r"\broles?\b|template|jinja|alternat|system (?:message|prompt|instruction)", re.I)
#: A template that cannot be rendered is a 500 on some servers, and says so.
_TEACHING = frozenset({400, 422, 500})
_PASSING = frozenset({408, 425, 429})


class PassingError(ModelUnavailable):
    """Trouble that may be over in a moment; `pause` is what the server asks for."""

    def __init__(self, message: str, *, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


#: How servers say that a request has more tokens than there is room for.
_TOO_LONG = re.compile(
    r"(exceed|maximum|larger than|too long|reduce|longer than).{0,80}(context|token)"
    r"|(context|token).{0,80}(exceed|maximum|too long)",
    re.IGNORECASE | re.DOTALL,
)


def is_too_long(status: int, complaint: str) -> bool:
    """Whether a refusal says that the talk has outgrown the server's context."""
    return status in (400, 413, 422, 500) and _TOO_LONG.search(complaint[:2_000]) is not None


#: How servers say that they do not look at pictures, or not at these.
_PICTURES = re.compile(
    r"image|picture|vision|multi-?modal|mmproj|content.{0,60}string|string.{0,60}content",
    re.IGNORECASE | re.DOTALL,
)


def is_about_pictures(status: int, complaint: str) -> bool:
    """Whether a message without its pictures may be taken where the one with them was refused."""
    if status in (413, 415):
        return True
    return status in (400, 404, 422, 500, 501) and _PICTURES.search(complaint[:2_000]) is not None


@dataclass
class Habits:
    """What one server turned out not to take. It is not offered again while the house is open."""

    refused: set[str] = field(default_factory=set)
    limit: str = "max_tokens"
    #: It wants no system role, or the two strictly in turn.
    strict: bool = False

    def fields(self, drawn: Sampling, most: int, form: Mapping[str, Any]) -> dict[str, Any]:
        """How the words are to be drawn, as far as this server takes it."""
        fields: dict[str, Any] = {
            "temperature": drawn.temperature,
            "top_p": drawn.top_p,
            "seed": drawn.seed,
            self.limit: most,
            **form,
        }
        more: dict[str, Any] = {
            "frequency_penalty": drawn.frequency_penalty,
            "presence_penalty": drawn.presence_penalty,
            "min_p": drawn.min_p,
            "top_k": drawn.top_k,
            "repeat_penalty": drawn.repeat_penalty - 1 and drawn.repeat_penalty,
            "dry_multiplier": drawn.dry,
            "xtc_probability": drawn.xtc,
            "xtc_threshold": drawn.xtc and drawn.xtc_threshold,
        }
        # What is switched off anyway is no reason for a server to refuse.
        fields |= {name: value for name, value in more.items() if value}
        return {name: value for name, value in fields.items() if name not in self.refused}

    def learn(self, status: int, payload: Mapping[str, Any], complaint: str) -> bool:
        """Whether a refusal says what to leave out, so that it is worth asking again at once."""
        if status not in _TEACHING:
            return False
        if "max_completion_tokens" in complaint and self.limit in payload and self.limit == "max_tokens":
            self.limit = "max_completion_tokens"
            return True
        unknown = _UNKNOWN.search(complaint) is not None
        optional = set(payload) - _NEEDED
        named = {one for one in optional if unknown and re.search(rf"(?<![a-z_]){one}(?![a-z_])", complaint)}
        if named & EXTRAS:
            named |= EXTRAS
        if not named and not self.strict and _ROLES.search(complaint):
            self.strict = True
            return True
        if not named and unknown:
            named = optional & EXTRAS
        self.refused |= named
        return bool(named)


def refusal(
    status: int, told: str, *, where: str, model: str, retry_after: str, now: datetime
) -> ModelUnavailable:
    """A refusal in words for the operator; a `PassingError` where it may be another answer in a moment."""
    told = told[:300]
    if status in {401, 403}:
        return ModelUnavailable(f"{where} refuses us ({status}): check server.key.")
    if status == 404:
        return ModelUnavailable(
            f"{where} knows no such address, or no model {model!r} (404): server.address usually ends with /v1, "
            "and server.model must be a name from its list of models."
        )
    if 300 <= status < 400:
        return ModelUnavailable(
            f"{where} sends us elsewhere ({status}): give server.address as it is in the end."
        )
    if status in _PASSING or status >= 500:
        return PassingError(
            f"{where} cannot answer now ({status}): {told}", pause=_asked_pause(retry_after, now)
        )
    return ModelUnavailable(f"{where} does not take what is asked of it ({status}): {told}")


def complaint(body: bytes) -> str:
    """What a server says is wrong, in one line, of whatever form."""
    text = body.decode("utf-8", "replace")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = re.sub(r"<[^>]{0,200}>", " ", text)
    if isinstance(told, dict):
        told = told.get("error") or told.get("detail") or told.get("message") or told
    return " ".join(words_of(told).split())[:1_000]


def _asked_pause(told: str, now: datetime) -> float | None:
    """The seconds of a Retry-After, which may be a number or a date."""
    if re.fullmatch(r"\s*[0-9]{1,9}(\.[0-9]{0,9})?\s*", told):
        return float(told)
    with suppress(ValueError, TypeError, OverflowError):
        due = parsedate_to_datetime(told)
        return max(0.0, ((due if due.tzinfo else due.replace(tzinfo=UTC)) - now).total_seconds())
    return None

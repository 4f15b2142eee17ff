"""Pure: what the server says when nothing is scripted. The same messages get the same answer."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

_WORDS = "a quiet street after rain with warm light on wet stones and long soft shadows behind the figure"


def answer_to(messages: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The words, in pieces."""
    first, last = _text(messages[0]), _text(messages[-1])
    if "You invent people" in first:
        return _pieces(_persona(last))
    if "You write the prompt" in first:
        return _pieces(_prompt(last))
    return _pieces(f"You said {len(last)} letters to me, and I heard every one of them.")


def vector_of(text: str) -> list[float]:
    """Numbers of a text, which is no meaning, and of no particular length."""
    return [byte - 127.5 for byte in hashlib.sha256(text.encode()).digest()[:16]]


def _pieces(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\s*\S+\s*$|\s*\S+", text))


def _prompt(asked: str) -> str:
    wish = [run for run in re.findall(r"\w+", asked)[-30:] if run.isalnum()]
    words = [*wish, *(_WORDS.split() * 10)]
    return " ".join(words[:120])


def _persona(asked: str) -> str:
    name = re.search(r"^Name: (.+)$", asked, re.M)
    told = {
        "name": name[1] if name else "Somebody New",
        "age": 41,
        "description": "Mends bicycles in a cellar, and knows every bridge of the town by its sound.",
        "greetings": ["Mind the step."],
    }
    return f"Here is the persona you asked for:\n```json\n{json.dumps(told, ensure_ascii=False)}\n```\nEnjoy!"


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content)

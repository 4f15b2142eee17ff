"""What helps while typing: the history in the home, and the words that may stand after a slash."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, InMemoryHistory

from bot.client import Client
from bot.terminal.words import safe_line
from engine.errors import GreenroomError


@dataclass
class Vocabulary:
    """The names that the house knows, each with what it stands for."""

    commands: dict[str, str] = field(default_factory=dict)
    personas: dict[str, str] = field(default_factory=dict)
    styles: dict[str, str] = field(default_factory=dict)

    @classmethod
    async def of(cls, client: Client) -> Vocabulary:
        """What the house says of itself; empty where it cannot, for typing works without."""
        try:
            told: dict[str, list[dict[str, Any]]] = await client.get("/vocabulary")
        except GreenroomError:
            return cls()
        commands = {f"/{one['name']}": safe_line(one["says"]) for one in told["commands"]}
        return cls(
            commands | {"/quit": "leave (Ctrl-D does too)"},
            {one["slug"]: safe_line(one["name"]) for one in told["personas"]},
            {one["slug"]: safe_line(one["name"]) for one in told["styles"]},
        )


class Words(Completer):
    """Completes commands, and after them personas and styles."""

    def __init__(self) -> None:
        self.vocabulary = Vocabulary()

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        before = document.text_before_cursor
        if re.fullmatch(r"/[a-z]*", before):
            yield from _beginning(before, self.vocabulary.commands)
        elif persona := re.fullmatch(r"/persona\s+(?:use\s+)?([\w-]*)", before):
            yield from _beginning(persona[1], self.vocabulary.personas)
        elif style := re.fullmatch(r"/imagine\s.*--style[\s=]+([\w-]*)", before, re.DOTALL):
            yield from _beginning(style[1], self.vocabulary.styles)
        elif option := re.fullmatch(r"/imagine\s.*\s(--[a-z]*)", before, re.DOTALL):
            options = {
                "--style": "",
                "--seed": "",
                "--count": "1 to 4",
                "--size": "832x1216",
                "--negative": "",
            }
            yield from _beginning(option[1], options)


def _beginning(word: str, among: dict[str, str]) -> Iterable[Completion]:
    for name, meaning in among.items():
        if name.startswith(word.lower()):
            yield Completion(name, start_position=-len(word), display_meta=meaning)


def history_in(home: Path) -> FileHistory | InMemoryHistory:
    """What was typed before, from a file that nobody else may read; in memory where there can be none."""
    path = home / "typed.txt"
    try:
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
    except OSError:
        return InMemoryHistory()
    return Remembered(str(path))


class Remembered(FileHistory):
    def store_string(self, string: str) -> None:
        with suppress(OSError):  # a full disk must not end a talk
            super().store_string(string)

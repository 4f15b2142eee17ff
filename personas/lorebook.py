"""A lorebook: what a persona's world knows, told only when the talk comes near it.

Pure: which entries a talk brings up, in which order, within which budget. Knows no model; a token is taken to
be four characters. Keys are looked for as plain pieces of text, as most books in circulation expect.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from personas.decorators import Decorated, decorated
from personas.patterns import pattern

#: How many of the last lines are looked through where a book does not say.
DEFAULT_SCAN_DEPTH = 4
CHARS_PER_TOKEN = 4

#: Bounds that no honest book comes near; they keep one message from costing more than a moment.
MAX_ENTRIES = 2_000
MAX_KEYS = 60
MAX_SCANNED = 12_000
MAX_ROUNDS = 4
MAX_PATTERN_STEPS = 20_000_000
#: How many characters all plain keys together may be looked for in; past that, nothing more is brought up.
MAX_LOOKED_THROUGH = 1_500_000_000


class Entry(BaseModel):
    """One thing to know, and the words that bring it up. Fields we do not know are kept as they came."""

    model_config = ConfigDict(frozen=True, extra="allow")

    keys: tuple[str, ...] = ()
    content: str = ""
    extensions: dict[str, Any] = Field(default_factory=dict)
    enabled: bool = True
    insertion_order: int | float = 0
    case_sensitive: bool = False
    use_regex: bool = False
    name: str = ""
    priority: int | float = 0
    id: int | str | None = None
    comment: str = ""
    selective: bool = False
    secondary_keys: tuple[str, ...] = ()
    constant: bool = False
    position: str = "before_char"


class Told(Entry):
    """An entry as it is told: the decorators are out of its content, and what they asked for stands here."""

    #: How many lines above the last words it wants to stand; None for a place by the persona's description.
    depth: int | None = None
    role: str = ""


class Lorebook(BaseModel):
    """The entries of one persona, and how far back in the talk their keys are looked for."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = ""
    description: str = ""
    scan_depth: int | None = None
    token_budget: int | None = None
    recursive_scanning: bool = False
    extensions: dict[str, Any] = Field(default_factory=dict)
    entries: tuple[Entry, ...] = ()


class Said(Protocol):
    """One line of the talk, as far as a lorebook cares."""

    @property
    def by_persona(self) -> bool: ...
    @property
    def text(self) -> str: ...


def told(book: Lorebook, lines: Sequence[Said], *, budget: int, replies: int | None = None) -> list[Told]:
    """The entries that these lines bring up, in the order in which they are told.

    First those before the persona's description, then those behind it, then those that want to stand among
    the lines, the deepest first; in each group lower `insertion_order` stands higher. The budget is in tokens;
    the book's own applies where it is smaller, and the lowest priority goes first. `replies` is how often the
    persona has spoken so far, where the lines are not the whole talk.
    """
    if replies is None:
        replies = sum(line.by_persona for line in lines)
    read = (
        _Candidate(entry, decorated(entry.content)) for entry in book.entries[:MAX_ENTRIES] if entry.enabled
    )
    candidates = [candidate for candidate in read if candidate.asked.text and candidate.may_speak(replies)]
    rounds = MAX_ROUNDS if book.recursive_scanning else 1
    patterns = sum(len(candidate.patterns) for candidate in candidates if candidate.entry.use_regex)
    scan = _Scan(lines, book.scan_depth, tries=patterns * rounds)

    found: list[_Candidate] = []
    waiting = candidates
    for _ in range(rounds):
        matched = [candidate for candidate in waiting if scan.brings_up(candidate)]
        if not matched:
            break
        found += matched
        now_told = set(matched)
        waiting = [candidate for candidate in waiting if candidate not in now_told]
        scan = scan.with_told(candidate.asked.text for candidate in matched)

    limit = max(0, budget if book.token_budget is None else min(budget, book.token_budget))
    order = {id(candidate): place for place, candidate in enumerate(candidates)}
    affordable = _within(found, limit, order)
    affordable.sort(key=lambda c: (*c.place, c.entry.insertion_order, order[id(c)]))
    return [candidate.told for candidate in affordable]


@dataclass(frozen=True, eq=False)
class _Candidate:
    """An entry that could be told, with its decorators read."""

    entry: Entry
    asked: Decorated

    def may_speak(self, replies: int) -> bool:
        asked = self.asked
        if asked.activate:
            return True
        return not (
            asked.dont_activate
            or (asked.only_after is not None and replies < asked.only_after)
            or (asked.only_every is not None and replies % asked.only_every)
        )

    @property
    def patterns(self) -> tuple[str, ...]:
        return (self.entry.keys + self.asked.additional_keys)[:MAX_KEYS]

    @property
    def position(self) -> str:
        return self.asked.position or self.entry.position or "before_char"

    @property
    def depth(self) -> int | None:
        return None if self.asked.position else self.asked.depth

    @property
    def place(self) -> tuple[int, int]:
        if self.depth is not None:
            return 2, -self.depth
        return (1 if self.position == "after_char" else 0), 0

    @property
    def cost(self) -> int:
        return math.ceil(len(self.asked.text) / CHARS_PER_TOKEN)

    @property
    def told(self) -> Told:
        own = {name: getattr(self.entry, name) for name in Entry.model_fields}
        own |= {"content": self.asked.text, "position": self.position}
        return Told.model_construct(**own, depth=self.depth, role=self.asked.role)


class _Scan:
    """The text in which keys are looked for, by depth; each depth is put together once."""

    def __init__(
        self,
        lines: Sequence[Said],
        depth: int | None,
        *,
        tries: int,
        told: str = "",
        left: int = MAX_LOOKED_THROUGH,
    ) -> None:
        self._lines = lines
        self._depth = DEFAULT_SCAN_DEPTH if depth is None else max(0, depth)
        self._tries = tries
        self._told = told
        self._left = left
        self._texts: dict[tuple[int, bool], str] = {}

    def with_told(self, texts: Iterable[str]) -> _Scan:
        """The same talk, in which these entries have been told too."""
        told = "\n".join([self._told, *(_without_comments(text) for text in texts)])[:MAX_SCANNED]
        return _Scan(self._lines, self._depth, tries=self._tries, told=told, left=self._left)

    def brings_up(self, candidate: _Candidate) -> bool:
        entry, asked = candidate.entry, candidate.asked
        if asked.activate:
            return True
        depth = self._depth if asked.scan_depth is None else asked.scan_depth
        if entry.use_regex:
            return any(self._matches(key, entry, depth) for key in candidate.patterns)

        def any_of(keys: Iterable[str]) -> bool:
            return any(self._holds(key, entry, depth) for key in islice(keys, MAX_KEYS))

        if asked.exclude_keys and any_of(asked.exclude_keys):
            return False
        if asked.additional_keys and not any_of(asked.additional_keys):
            return False
        if entry.constant or asked.constant:
            return True
        both = not (entry.selective and entry.secondary_keys) or any_of(entry.secondary_keys)
        return both and any_of(entry.keys)

    def _text(self, depth: int, *, folded: bool) -> str:
        key = (depth, folded)
        if key not in self._texts:
            recent = (
                [line.text[-MAX_SCANNED:] for line in self._lines[len(self._lines) - depth :]]
                if depth
                else []
            )
            if depth >= len(self._lines):
                recent = [line.text[-MAX_SCANNED:] for line in self._lines]
            text = "\n".join([self._told, "\n".join(recent)[-MAX_SCANNED:]])
            self._texts[key] = text.casefold() if folded else text
        return self._texts[key]

    def _holds(self, key: str, entry: Entry, depth: int) -> bool:
        key = key.strip()
        if not entry.case_sensitive:
            key = key.casefold()
        text = self._text(depth, folded=not entry.case_sensitive)
        self._left -= len(text)
        return bool(key) and self._left > 0 and key in text

    def _matches(self, key: str, entry: Entry, depth: int) -> bool:
        # All patterns of a book share one allowance of steps, so that many cost no more than few do.
        steps = MAX_PATTERN_STEPS // max(1, self._tries)
        sound = pattern(key, steps=steps, case_sensitive=entry.case_sensitive)
        return sound is not None and sound.found_in(self._text(depth, folded=False))


def _within(found: list[_Candidate], limit: int, order: dict[int, int]) -> list[_Candidate]:
    """What there is room for: whatever could never fit is left out, then the lowest priority goes first."""
    kept = [candidate for candidate in found if candidate.cost <= limit]
    kept.sort(key=lambda c: (c.entry.priority, c.entry.insertion_order, -order[id(c)]), reverse=True)
    spent = sum(candidate.cost for candidate in kept)
    while spent > limit:
        spent -= kept.pop().cost
    return kept


def _without_comments(text: str) -> str:
    """A note such as `{{// … }}` is nobody's word, so it brings nothing up."""
    parts = text.split("{{//")
    return parts[0] + "".join(part.partition("}}")[2] for part in parts[1:])

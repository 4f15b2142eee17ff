"""The nouns of a model's memory: what is asked, what stands there, what was laid aside, and what can happen to it.

A *stretch* is a run of tokens whose state was taken out of the model's memory, so that nobody's step is slower for
it, and can be put back as it was. It is always the end of what stood in a sequence that goes, stretch by stretch; so
what is left inside is a beginning, as a model needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

#: So many tokens are laid aside or taken back at once: a few milliseconds, which nobody's stream notices.
STRETCH = 256


@dataclass(frozen=True)
class Ask:
    """A text that somebody wants continued."""

    id: int
    tokens: tuple[int, ...]
    #: At most so many tokens are written.
    most: int
    #: Smaller goes first: a waiting person, then prompts, then castings.
    rank: int = 0
    #: So many tokens at the beginning are the same for everybody who talks with this persona.
    shared: int = 0
    #: Whose next words will begin with these; empty: nobody's.
    talk: str = ""


@dataclass(frozen=True)
class Stretch:
    """Tokens of a text, from one place to another, that lie outside."""

    number: int
    start: int
    end: int


@dataclass(eq=False)
class Root:
    """A beginning that many have in common."""

    tokens: tuple[int, ...]
    #: Smaller than 0: nothing of it is in the memory.
    seq: int
    used: int
    #: Read, and standing in its own sequence or outside.
    ready: bool = False
    #: What lies outside; the last of them comes first in the text.
    aside: list[Stretch] = field(default_factory=list)

    @property
    def base(self) -> int:
        return 0

    @property
    def inside(self) -> int:
        return self.aside[-1].start if self.aside else len(self.tokens)


@dataclass(eq=False)
class Branch:
    """What was read in a talk, up to its last written token."""

    talk: str
    tokens: list[int]
    seq: int
    used: int
    root: Root | None = None
    aside: list[Stretch] = field(default_factory=list)

    @property
    def base(self) -> int:
        """So many tokens are not its own."""
        return len(self.root.tokens) if self.root else 0

    @property
    def inside(self) -> int:
        return self.aside[-1].start if self.aside else len(self.tokens)


@dataclass(eq=False)
class Row:
    """A text in work: its tokens, and how many of them the model has read."""

    ask: Ask
    seq: int
    tokens: list[int]
    came: int
    read: int = 0
    root: Root | None = None
    #: It is the one that reads the root for all others.
    roots: bool = False
    #: What is taken back instead of being read; the last of them comes first.
    aside: list[Stretch] = field(default_factory=list)

    @property
    def written(self) -> int:
        return len(self.tokens) - len(self.ask.tokens)

    @property
    def writes(self) -> bool:
        """Whether all is read but the token that was drawn last."""
        return self.written > 0 and self.read == len(self.tokens) - 1

    @property
    def cells(self) -> int:
        """What it may need of the memory until its end, without what it shares."""
        return len(self.ask.tokens) + self.ask.most - (len(self.root.tokens) if self.root else 0)


@dataclass(frozen=True)
class Forget:
    """Of a sequence only so many tokens stay."""

    seq: int
    keep: int = 0


@dataclass(frozen=True)
class Share:
    """The first tokens of one sequence are the first tokens of another one, too."""

    source: int
    target: int
    count: int


@dataclass(frozen=True)
class LayAside:
    """The end of a sequence is kept outside the memory, under a number."""

    seq: int
    stretch: Stretch


@dataclass(frozen=True)
class TakeBack:
    """A stretch that was laid aside goes on a sequence again, or so much of its beginning; outside it is no more."""

    seq: int
    stretch: Stretch


@dataclass(frozen=True)
class Drop:
    """What was laid aside under a number is not needed any more."""

    number: int


@dataclass(frozen=True)
class Move:
    """Tokens of a sequence stand in other cells from now on: the first that are free."""

    seq: int
    start: int
    end: int


Change = Forget | Share | LayAside | TakeBack | Drop | Move


def kept_cells(branches: Sequence[Branch], roots: Sequence[Root], needed: Sequence[Root | None] = ()) -> int:
    """Cells of what is kept. `needed` are roots that rows stand on: they are there whole, or will be. What several
    stand on is there once.
    """
    shared = {id(root): len(root.tokens) for root in needed if root}
    for branch in branches:
        if branch.root and branch.seq >= 0:
            shared[id(branch.root)] = len(branch.root.tokens)
    for root in roots:
        if root.seq >= 0:
            shared.setdefault(id(root), root.inside)
    return sum(shared.values()) + sum(own_cells(branch) for branch in branches)


def own_cells(one: Branch | Root) -> int:
    """Its own cells in the memory, without what it shares."""
    return one.inside - one.base if one.seq >= 0 else 0

"""Pure: what is kept of a model's memory when nobody uses it, what leaves it, and what comes back.

It knows sequences, roots and branches, and the rows that stand on them; who waits, and who is let in, it does not
know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from engine.language.standing import (
    STRETCH,
    Branch,
    Change,
    Drop,
    Forget,
    LayAside,
    Move,
    Root,
    Row,
    Share,
    Stretch,
    TakeBack,
    kept_cells,
    own_cells,
)

#: So few tokens that nobody uses cost nobody much.
LIGHT = 1_024


@dataclass
class Keeping:
    """All that stands in the memory. A scheduler lets rows in and takes them out."""

    #: So many sequences there can be.
    seqs: int
    #: So many tokens may be laid aside; 0: none.
    aside: int = 0
    #: Nothing leaves the memory for now; what lies outside can come back.
    paused: bool = False
    #: So many tokens may always stand in the memory though nobody uses them now.
    light: int = LIGHT
    stretch: int = STRETCH
    #: What is being written, by the number of its ask.
    rows: dict[int, Row] = field(default_factory=dict)
    branches: list[Branch] = field(default_factory=list)
    roots: list[Root] = field(default_factory=list)
    #: What is to happen to the memory before the next reading.
    before: list[Change] = field(default_factory=list)
    free: list[int] = field(init=False)
    _time: int = 0
    #: How many tokens each number stands for that was laid aside.
    _outside: dict[int, int] = field(default_factory=dict)
    #: At most so many cells became free in front of others. A step looks at all up to the last that is taken.
    _holes: int = 0
    _moves: list[tuple[Row | Branch | Root, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Nothing stands there any more."""
        self.rows.clear()
        self.branches.clear()
        self.roots.clear()
        self.before.clear()
        self._outside.clear()
        self._moves.clear()
        self._holes = 0
        self.free = list(range(self.seqs - 1, -1, -1))

    @property
    def laid_aside(self) -> int:
        """Tokens that are kept outside."""
        return sum(self._outside.values())

    @property
    def used(self) -> int:
        """Cells that are taken or promised."""
        return cells_of(list(self.rows.values()), self.branches, self.roots)

    def filled(self, count: int) -> None:
        """So many tokens were put into the first cells that were free."""
        self._holes = max(0, self._holes - count)

    def now(self) -> int:
        """A clock that only goes when somebody looks at it."""
        self._time += 1
        return self._time

    def let_go(self, seq: int) -> None:
        self.before.append(Forget(seq))
        self.free.append(seq)

    def _idle(self, root: Root) -> bool:
        return root.ready and not any(row.root is root for row in self.rows.values())

    def idle_inside(self, *needed: Branch | Root | None) -> list[Branch | Root]:
        """What stands in the memory and is used by nobody now: branches first, since roots carry them."""
        idle: list[Branch | Root] = [one for one in self.branches if one.seq >= 0 and one not in needed]
        idle += [one for one in self.roots if one.seq >= 0 and one not in needed and self._idle(one)]
        return idle

    def evictable(self, *needed: Branch | Root | None) -> list[Branch | Root]:
        """Of that, what would make room: a root's cells stay while a branch that grew from it is there."""
        carrying = {id(one.root) for one in self.branches if one.seq >= 0 and one.root}
        return [one for one in self.idle_inside(*needed) if id(one) not in carrying]

    def evict(self, one: Branch | Root) -> None:
        """It is forgotten, inside and outside."""
        self._holes += own_cells(one)
        self.drop(one.aside)
        if isinstance(one, Branch):
            self.branches.remove(one)
        else:
            self.roots.remove(one)
            # What lies outside cannot be put back behind a beginning that is gone.
            for branch in [branch for branch in self.branches if branch.root is one and branch.seq < 0]:
                self.evict(branch)
        if one.seq >= 0:
            self.let_go(one.seq)

    def drop_talk(self, talk: str) -> None:
        for branch in [one for one in self.branches if one.talk == talk]:
            self.evict(branch)

    def give_up_root(self, root: Root) -> None:
        """Whoever read it is gone before its end."""
        if root in self.roots:
            self.evict(root)

    def root_stands(self, row: Row) -> None:
        if row.roots and row.root and row.read >= len(row.root.tokens):
            # From here on everybody grows from it; copying costs nothing, the memory is the same.
            row.roots, row.root.ready = False, True
            # What of it stood there is in the row, too: a cell given to a sequence twice is never free again.
            self.before.append(Forget(row.root.seq))
            self.before.append(Share(row.seq, row.root.seq, len(row.root.tokens)))

    def unfinished(self, row: Row) -> list[Stretch]:
        """A row is given up while it takes back: what is left of the persona is kept for others, and goes out of
        sight for a moment; answers what is left of its own.
        """
        left, row.aside, root = row.aside, [], row.root
        if not (row.roots and root):
            return left
        row.roots = False
        of_root = [one for one in left if one.start < len(root.tokens)]
        if not of_root or root not in self.roots:
            self.give_up_root(root)  # it was being read, and is not whole anywhere
            self.drop(left)
            return []
        root.aside, root.ready = of_root, True
        if row.read:
            self.before += [Forget(root.seq), Share(row.seq, root.seq, row.read)]
        else:
            self.let_go(root.seq)
            root.seq = -1
        return [one for one in left if one.start >= len(root.tokens)]

    def give_up(self, row: Row) -> None:
        """Of a row nothing is kept."""
        self._holes += row.read
        self.let_go(row.seq)

    # What is laid aside

    def lighten(self) -> None:
        """What nobody uses leaves the memory: a stretch in each step while somebody writes, else at once, before
        others take the cells behind it.
        """
        if not self.aside or self.paused or not self.rows:
            return
        writes = any(row.writes for row in self.rows.values())
        while True:
            idle = self.evictable()
            if not idle or sum(own_cells(one) for one in idle) <= max(self.light, self._in_use):
                return
            oldest = min(idle, key=lambda one: one.used)
            if not self._lay_aside(oldest):
                self.evict(oldest)
            if writes:
                return

    @property
    def _in_use(self) -> int:
        """Tokens that somebody's next word looks at."""
        return sum(len(row.tokens) for row in self.rows.values())

    def close_ranks(self) -> None:
        """Where much has left, what stands behind the holes moves into them, a stretch in each step."""
        if not self.aside or self.paused or not self.rows:
            return
        if not self._moves and self._holes > max(self.light, self._in_use):
            self._moves, self._holes = list(self._movable()), 0
        while self._moves:
            one, start, end = self._moves.pop()
            if isinstance(one, Row):
                there = self.rows.get(one.ask.id) is one and not one.roots and not one.aside
                there = there and one.read >= end
            else:
                # Whoever has begun on it meanwhile would keep the old cells.
                there = one.inside >= end and one in self.evictable()
            if there:
                self.before.append(Move(one.seq, start, end))
                return

    def _movable(self) -> Iterator[tuple[Row | Branch | Root, int, int]]:
        """All that stands for itself alone; what several stand on would be there twice."""
        standing: list[tuple[Row | Branch | Root, int, int]] = [
            (one, one.base, one.inside) for one in self.evictable()
        ]
        standing += [(row, len(row.root.tokens) if row.root else 0, row.read) for row in self.rows.values()]
        for one, base, end in standing:
            for start in range(base, end, self.stretch):
                yield one, start, min(end, start + self.stretch)

    def make_go(self, one: Branch | Root, needed: Sequence[Branch | Root | None]) -> None:
        """Out of the memory: aside where that is possible, else for ever."""
        while one.seq >= 0:
            if not self._lay_aside(one, needed):
                self.evict(one)
                return

    def _lay_aside(self, one: Branch | Root, needed: Sequence[Branch | Root | None] = ()) -> bool:
        """A stretch more of it; False: there is no room outside, or nothing can be laid there."""
        start, end = max(one.base, one.inside - self.stretch), one.inside
        if not self._room_outside(end - start, (one, *needed)):
            return False
        if start < end:
            stretch = Stretch(self.now(), start, end)
            self.before.append(LayAside(one.seq, stretch))
            self._outside[stretch.number] = end - start
            self._holes += end - start
            one.aside.append(stretch)
        if start == one.base:
            self.let_go(one.seq)
            one.seq = -1
        return True

    def _room_outside(self, count: int, needed: Sequence[Branch | Root | None]) -> bool:
        """What lies outside for longest is given up for it; a root after all that grew from it."""
        if not self.aside or self.paused:
            return False
        while self.laid_aside + count > self.aside:
            kept: list[Branch | Root] = [*self.branches, *self.roots]
            grown = {id(branch.root) for branch in self.branches if branch.seq < 0}
            outside = [one for one in kept if one.aside and one not in needed and id(one) not in grown]
            if not outside:
                return False
            oldest = min(outside, key=lambda one: one.used)
            if isinstance(oldest, Branch) and oldest.seq >= 0:
                # Its beginning is still inside.
                self.drop(oldest.aside)
                oldest.tokens, oldest.aside = oldest.tokens[: oldest.inside], []
            else:
                self.evict(oldest)
        return True

    def take_back(self) -> None:
        """A stretch in each step while somebody writes; else all that is wanted."""
        rows = sorted(self.rows.values(), key=lambda row: (row.ask.rank, row.came))
        left = 1 if any(row.writes for row in rows) else sum(len(row.aside) for row in rows)
        for row in rows:
            while row.aside and left > 0:
                stretch = row.aside.pop()
                self.before.append(TakeBack(row.seq, stretch))
                self._outside.pop(stretch.number, None)
                self.filled(stretch.end - stretch.start)
                row.read, left = stretch.end, left - 1
                self.root_stands(row)

    def drop(self, stretches: Sequence[Stretch]) -> None:
        for one in stretches:
            if self._outside.pop(one.number, None) is not None:
                self.before.append(Drop(one.number))


def cells_of(rows: Sequence[Row], branches: Sequence[Branch], roots: Sequence[Root]) -> int:
    """What these take or may take of the memory."""
    return sum(row.cells for row in rows) + kept_cells(branches, roots, [row.root for row in rows])

"""Pure: which tokens the model reads next, for whom, and what of its memory is kept. There is no llama.cpp in it.

What the model has read of a text lies in a *sequence* of its memory. A persona's part, the same for everybody, is a
*root*: it is read once, and every talk with that persona grows from it. What a talk added is a *branch*: it is kept
while there is room, because most talks go on. A *row* is a text that is being written now. What nobody uses costs
everybody who writes, since each token looks at all that stands in the memory: of that no more stays inside than the
rows take themselves, and the rest is laid aside until its talk goes on (`standing.py`).

The owner does what `next_step` says: first what is to happen to the memory, in that order, then it reads. It tells
`was_read`, draws a token for each row that it names, and tells `wrote` or `end`. Nothing here waits, and nothing
fails but for what can never fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from engine.language.pacing import Pace
from engine.language.standing import (
    STRETCH,
    Branch,
    Change,
    Drop,
    Forget,
    LayAside,
    Move,
    Root,
    Share,
    Stretch,
    TakeBack,
    kept_cells,
    own_cells,
)

#: So few cost nobody much.
LIGHT = 1_024


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
class Reading:
    """Tokens of one row, from a position on. Where `draws` is set, a token is drawn behind the last of them."""

    ask: int
    seq: int
    position: int
    tokens: tuple[int, ...]
    draws: bool


@dataclass(frozen=True)
class Step:
    before: tuple[Change, ...]
    reading: tuple[Reading, ...]

    @property
    def draws(self) -> tuple[int, ...]:
        """The asks for which a token is drawn, in the order of the model's outputs."""
        return tuple(one.ask for one in self.reading if one.draws)

    @property
    def size(self) -> int:
        return sum(len(one.tokens) for one in self.reading)


class TooLong(ValueError):
    """It can never fit, however much is forgotten."""


@dataclass
class Scheduler:
    """The state of a model's memory and of those who wait. One thread owns it."""

    #: So many are written at once.
    most_rows: int
    #: So many tokens fit into the memory.
    cells: int
    #: So many sequences there can be.
    seqs: int
    #: So many tokens are read in one step.
    batch: int
    #: Whether a sequence may begin with another one's tokens, and whether its end can be cut off.
    shares: bool = True
    trims: bool = True
    #: So many tokens may be laid aside; 0: none.
    aside: int = 0
    #: So many tokens may always stand in the memory though nobody uses them now.
    light: int = LIGHT
    stretch: int = STRETCH
    pace: Pace = field(default_factory=Pace)
    waiting: list[tuple[int, Ask, tuple[int, ...]]] = field(default_factory=list)
    rows: dict[int, Row] = field(default_factory=dict)
    branches: list[Branch] = field(default_factory=list)
    roots: list[Root] = field(default_factory=list)
    #: For the books: tokens that were read, of prompts alone.
    prompt_tokens_read: int = 0
    _time: int = 0
    _free: list[int] = field(init=False)
    _before: list[Change] = field(default_factory=list)
    #: How many tokens each number stands for that was laid aside.
    _outside: dict[int, int] = field(default_factory=dict)
    #: At most so many cells became free in front of others. A step looks at all up to the last that is taken.
    _holes: int = 0
    _moves: list[tuple[Row | Branch | Root, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._free = list(range(self.seqs - 1, -1, -1))

    # What the owner tells

    def submit(self, ask: Ask) -> None:
        if not ask.tokens:
            raise TooLong("there is nothing to begin from")
        if len(ask.tokens) + ask.most > self.cells:
            raise TooLong(
                f"{len(ask.tokens)} tokens, and {ask.most} to be written, do not fit into {self.cells}"
            )
        self.waiting.append((self._now(), ask, ()))

    def cancel(self, ask_id: int) -> bool:
        """Nobody wants it any more; what was read of it is kept for its talk. False: there is no such ask."""
        before = len(self.waiting)
        self.waiting = [one for one in self.waiting if one[1].id != ask_id]
        if len(self.waiting) != before:
            return True
        if ask_id not in self.rows:
            return False
        self.end(ask_id)
        return True

    def was_read(self, step: Step) -> None:
        for one in step.reading:
            row = self.rows.get(one.ask)
            if row is None:
                continue
            if one.position < len(row.ask.tokens):
                self.prompt_tokens_read += len(one.tokens)
            self._holes = max(0, self._holes - len(one.tokens))
            row.read = one.position + len(one.tokens)
            self._root_stands(row)

    def wrote(self, ask_id: int, token: int) -> bool:
        """A token was drawn for a row; False when it was the last that it may have."""
        row = self.rows[ask_id]
        row.tokens.append(token)
        return row.written < row.ask.most

    def end(self, ask_id: int) -> None:
        """A row is done. Its talk may go on from what was read."""
        row = self.rows.pop(ask_id)
        self._drop(row.aside)
        if row.roots and row.root:
            self._give_up_root(row.root)
        if row.ask.talk and row.read:
            self._drop_branches(row.ask.talk)
            self.branches.append(
                Branch(row.ask.talk, row.tokens[: row.read], row.seq, self._now(), _standing(row.root))
            )
        else:
            self._holes += row.read
            self._let_go(row.seq)

    def refused(self, step: Step) -> tuple[int, ...]:
        """The memory was full although it should not be. All that is idle goes; else the least urgent row waits
        again, with what it has written. Answers who cannot be helped: it is alone, and there is no room.
        """
        if idle := self._idle_inside():
            for one in idle:
                self._evict(one)
            return ()
        rows = sorted(self.rows.values(), key=lambda row: (row.ask.rank, row.came))
        if not rows:
            return ()
        self._put_back(rows[-1])
        if len(rows) > 1:
            return ()
        alone = rows[0].ask.id
        self.cancel(alone)
        return (alone,)

    def lost(self, seq: int) -> None:
        """A sequence is gone from the memory: whoever stands on it is read anew."""
        for row in [row for row in self.rows.values() if row.seq == seq]:
            root = row.root
            self._drop(row.aside)
            row.read, row.root, row.roots, row.aside = 0, None, False, []
            # What it read or took back for others is not theirs either.
            if root in self.roots and not any(one.root is root for one in self.rows.values()):
                self._evict(root)

    def clear(self) -> None:
        """The memory was lost; rows have to be asked for anew."""
        self.rows.clear()
        self.branches.clear()
        self.roots.clear()
        self._before.clear()
        self._outside.clear()
        self._moves.clear()
        self._holes = 0
        self._free = list(range(self.seqs - 1, -1, -1))

    # What the owner asks

    @property
    def idle(self) -> bool:
        return not self.rows and not self.waiting

    @property
    def used(self) -> int:
        """Cells that are taken or promised."""
        return self._cells(list(self.rows.values()), self.branches, self.roots)

    @property
    def laid_aside(self) -> int:
        """Tokens that are kept outside."""
        return sum(self._outside.values())

    def next_step(self) -> Step | None:
        """What to do next; None when there is nothing to read."""
        self._admit()
        self._take_back()
        if self.aside and self.rows:
            self._lighten()
            self._close_ranks()
        reading = tuple(self._readings())
        before, self._before = tuple(self._before), []
        return Step(before, reading) if before or reading else None

    # Who comes in

    def _admit(self) -> None:
        for place in sorted(self.waiting, key=lambda one: (one[1].rank, one[0])):
            came, ask, written = place
            root = self._root_of(ask)
            if root and not root.ready:
                continue  # somebody reads it now: that is waited for, and not done twice
            admitted = self._may_have_a_row(ask) and self._begin(ask, came, written)
            while not admitted and ask.rank == 0 and self._a_form_steps_aside():
                admitted = self._may_have_a_row(ask) and self._begin(ask, came, written)
            if admitted:
                self.waiting.remove(place)
            elif ask.rank == 0:
                return  # whoever waits for room is not passed by those behind

    def _may_have_a_row(self, ask: Ask) -> bool:
        """One row is kept free for a person, so that nobody waits for a form to be filled in."""
        if len(self.rows) >= self.most_rows:
            return False
        if ask.rank == 0 or self.most_rows == 1:
            return True
        patient = sum(row.ask.rank > 0 for row in self.rows.values())
        return patient < self.most_rows - 1

    def _a_form_steps_aside(self) -> bool:
        """The least urgent form waits again, with what it has written, because a person needs its place."""
        forms = [row for row in self.rows.values() if row.ask.rank > 0]
        if not forms:
            return False
        self._put_back(max(forms, key=lambda row: (row.ask.rank, row.came)))
        return True

    def _put_back(self, row: Row) -> None:
        del self.rows[row.ask.id]
        self._drop(row.aside)
        if row.roots and row.root:
            self._give_up_root(row.root)
        self._holes += row.read
        self._let_go(row.seq)
        self.waiting.append((row.came, row.ask, tuple(row.tokens[len(row.ask.tokens) :])))

    def _beginning_of(self, ask: Ask) -> tuple[int, ...]:
        """What is read for everybody; at least one token is a talk's own, or there is nothing to draw from."""
        return ask.tokens[: ask.shared] if self.shares and ask.shared < len(ask.tokens) else ()

    def _root_of(self, ask: Ask) -> Root | None:
        beginning = self._beginning_of(ask)
        return next((one for one in self.roots if beginning and one.tokens == beginning), None)

    def _begin(self, ask: Ask, came: int, written: tuple[int, ...]) -> bool:
        beginning = self._beginning_of(ask)
        root, branch = self._root_of(ask), self._branch_of(ask)
        if branch:
            root = None  # it stands on what it stood on, whether that is still kept for others or not
        elif beginning and root is None:
            root = Root(beginning, -1, self._now())
        row = Row(ask, -1, [*ask.tokens, *written], came, root=branch.root if branch else root)
        if not self._make_room(row, branch=branch, root=root):
            return False
        if branch and branch.seq >= 0:
            self._grow_inside(row, branch)
        else:
            row.seq = self._free.pop()
            if branch and branch.root:
                self._grow_from(row, branch.root)
            elif root and (root.ready or root.aside):
                self._grow_from(row, root)
            elif root:
                root.seq, row.roots = self._free.pop(), True
                self.roots.append(root)
            if branch:
                self._grow_outside(row, branch)
        if row.root:
            row.root.used = self._now()
        self.rows[ask.id] = row
        return True

    def _grow_inside(self, row: Row, branch: Branch) -> None:
        """From what stands in the branch's own sequence, and what of it lies outside."""
        kept = self._kept_of(branch, row.ask)
        row.seq, row.read = branch.seq, min(kept, branch.inside)
        if row.read < branch.inside:
            self._before.append(Forget(row.seq, row.read))
        self._grow_outside(row, branch)

    def _grow_outside(self, row: Row, branch: Branch) -> None:
        self.branches.remove(branch)
        kept = self._kept_of(branch, row.ask)
        self._drop([one for one in branch.aside if one.start >= kept])
        of_branch = [replace(one, end=min(one.end, kept)) for one in branch.aside if one.start < kept]
        row.aside = [*of_branch, *row.aside]

    def _grow_from(self, row: Row, root: Root) -> None:
        """From what everybody has in common; where a part of it lies outside, this row takes it back for all."""
        if root.inside:
            self._before.append(Share(root.seq, row.seq, root.inside))
            row.read = root.inside
        if root.aside:
            if root.seq < 0:
                root.seq = self._free.pop()
            row.aside, root.aside = root.aside, []
            row.roots, root.ready = True, False

    def _root_stands(self, row: Row) -> None:
        if row.roots and row.root and row.read >= len(row.root.tokens):
            # From here on everybody grows from it; copying costs nothing, the memory is the same.
            row.roots, row.root.ready = False, True
            self._before.append(Share(row.seq, row.root.seq, len(row.root.tokens)))

    def _branch_of(self, ask: Ask) -> Branch | None:
        """What was read of this talk, where it saves more than the persona's own part does."""
        for branch in self.branches:
            if ask.talk and branch.talk == ask.talk:
                kept = self._kept_of(branch, ask)
                gained = kept > (ask.shared if self.shares else 0)
                # A branch without its beginning would need cells that nobody counted.
                whole = branch.root is None or kept >= len(branch.root.tokens)
                # What lies outside is put behind its beginning, which must be there or come back by itself.
                stands = branch.seq >= 0 or branch.root is None or branch.root is self._root_of(ask)
                return branch if gained and whole and stands else None
        return None

    def _kept_of(self, branch: Branch, ask: Ask) -> int:
        same = common(branch.tokens, ask.tokens)
        if self.trims:
            return min(same, len(ask.tokens) - 1)
        # Where nothing can be cut off, it goes on exactly where it stood, or not at all.
        return same if same == len(branch.tokens) < len(ask.tokens) else 0

    def _make_room(self, row: Row, *, branch: Branch | None, root: Root | None) -> bool:
        """What was not used for longest goes until the row fits; False when even that is not enough."""
        base = row.root
        new_root = len(base.tokens) if base and base.seq < 0 else 0
        if base and base.seq >= 0 and base.aside:
            new_root = len(base.tokens) - base.inside
        freed = own_cells(branch) if branch else 0
        need = row.cells + new_root - freed
        seqs = (0 if branch and branch.seq >= 0 else 1) + (1 if base and base.seq < 0 else 0)
        alone = self._cells([*self.rows.values(), row], [], [root] if root else [])
        if alone > self.cells or len(self._free) + len(self._idle_inside(branch, base)) < seqs:
            return False  # then nobody's talk is forgotten for it
        while self.used + need > self.cells or len(self._free) < seqs:
            idle = self._evictable(branch, base)
            if not idle:
                return False
            self._make_go(min(idle, key=lambda one: one.used), needed=(branch, base))
        return True

    def _idle_inside(self, *needed: Branch | Root | None) -> list[Branch | Root]:
        """What stands in the memory and is used by nobody now: branches first, since roots carry them."""
        idle: list[Branch | Root] = [one for one in self.branches if one.seq >= 0 and one not in needed]
        idle += [one for one in self.roots if one.seq >= 0 and one not in needed and self._idle(one)]
        return idle

    def _evictable(self, *needed: Branch | Root | None) -> list[Branch | Root]:
        """Of that, what would make room: a root's cells stay while a branch that grew from it is there."""
        carrying = {id(one.root) for one in self.branches if one.seq >= 0 and one.root}
        return [one for one in self._idle_inside(*needed) if id(one) not in carrying]

    # What is read

    def _readings(self) -> Iterator[Reading]:
        """One token for everybody who writes; what is left of the step is for those who are still to be read."""
        rows = sorted(self.rows.values(), key=lambda row: (row.ask.rank, row.came))
        writing = [row for row in rows if row.writes]
        for row in writing:
            yield self._reading(row, 1)
        left = min(self.batch - len(writing), self.pace.chunk(writing=len(writing), most=self.batch))
        for row in rows:
            if left <= 0:
                return
            if not row.writes and not row.aside:
                # What all have in common is read by itself: they wait for it, and it comes out the same each time.
                until = len(row.root.tokens) if row.roots and row.root else len(row.tokens)
                count = min(left, until - row.read)
                left -= count
                yield self._reading(row, count)

    def _reading(self, row: Row, count: int) -> Reading:
        tokens = tuple(row.tokens[row.read : row.read + count])
        return Reading(row.ask.id, row.seq, row.read, tokens, draws=row.read + count == len(row.tokens))

    # What is kept

    def _idle(self, root: Root) -> bool:
        return root.ready and not any(row.root is root for row in self.rows.values())

    def _evict(self, one: Branch | Root) -> None:
        self._holes += own_cells(one)
        self._drop(one.aside)
        if isinstance(one, Branch):
            self.branches.remove(one)
        else:
            self.roots.remove(one)
            # What lies outside cannot be put back behind a beginning that is gone.
            for branch in [branch for branch in self.branches if branch.root is one and branch.seq < 0]:
                self._evict(branch)
        if one.seq >= 0:
            self._let_go(one.seq)

    def _drop_branches(self, talk: str) -> None:
        for branch in [one for one in self.branches if one.talk == talk]:
            self._evict(branch)

    def _give_up_root(self, root: Root) -> None:
        """Whoever read it is gone before its end."""
        if root in self.roots:
            self._evict(root)

    # What is laid aside

    def _lighten(self) -> None:
        """What nobody uses leaves the memory: a stretch in each step while somebody writes, else at once, before
        others take the cells behind it.
        """
        writes = any(row.writes for row in self.rows.values())
        while True:
            idle = self._evictable()
            if not idle or sum(own_cells(one) for one in idle) <= max(self.light, self._in_use):
                return
            oldest = min(idle, key=lambda one: one.used)
            if not self._lay_aside(oldest):
                self._evict(oldest)
            if writes:
                return

    @property
    def _in_use(self) -> int:
        """Tokens that somebody's next word looks at."""
        return sum(len(row.tokens) for row in self.rows.values())

    def _close_ranks(self) -> None:
        """Where much has left, what stands behind the holes moves into them, a stretch in each step."""
        if not self._moves and self._holes > max(self.light, self._in_use):
            self._moves, self._holes = list(self._movable()), 0
        while self._moves:
            one, start, end = self._moves.pop()
            if isinstance(one, Row):
                there = self.rows.get(one.ask.id) is one and not one.roots and not one.aside
                there = there and one.read >= end
            else:
                there = one.seq >= 0 and one.inside >= end and one in (*self.branches, *self.roots)
            if there:
                self._before.append(Move(one.seq, start, end))
                return

    def _movable(self) -> Iterator[tuple[Row | Branch | Root, int, int]]:
        """All that stands for itself alone; what several stand on would be there twice."""
        standing: list[tuple[Row | Branch | Root, int, int]] = [
            (one, one.base, one.inside) for one in self._evictable()
        ]
        standing += [(row, len(row.root.tokens) if row.root else 0, row.read) for row in self.rows.values()]
        for one, base, end in standing:
            for start in range(base, end, self.stretch):
                yield one, start, min(end, start + self.stretch)

    def _make_go(self, one: Branch | Root, needed: Sequence[Branch | Root | None]) -> None:
        """Out of the memory: aside where that is possible, else for ever."""
        while one.seq >= 0:
            if not self._lay_aside(one, needed):
                self._evict(one)
                return

    def _lay_aside(self, one: Branch | Root, needed: Sequence[Branch | Root | None] = ()) -> bool:
        """A stretch more of it; False: there is no room outside, or nothing can be laid there."""
        start, end = max(one.base, one.inside - self.stretch), one.inside
        if not self._room_outside(end - start, (one, *needed)):
            return False
        if start < end:
            stretch = Stretch(self._now(), start, end)
            self._before.append(LayAside(one.seq, stretch))
            self._outside[stretch.number] = end - start
            self._holes += end - start
            one.aside.append(stretch)
        if start == one.base:
            self._let_go(one.seq)
            one.seq = -1
        return True

    def _room_outside(self, count: int, needed: Sequence[Branch | Root | None]) -> bool:
        """What lies outside for longest is given up for it; a root after all that grew from it."""
        if not self.aside or not self.trims:
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
                self._drop(oldest.aside)
                oldest.tokens, oldest.aside = oldest.tokens[: oldest.inside], []
            else:
                self._evict(oldest)
        return True

    def _take_back(self) -> None:
        """A stretch in each step while somebody writes; else all that is wanted."""
        rows = sorted(self.rows.values(), key=lambda row: (row.ask.rank, row.came))
        left = 1 if any(row.writes for row in rows) else sum(len(row.aside) for row in rows)
        for row in rows:
            while row.aside and left > 0:
                stretch = row.aside.pop()
                self._before.append(TakeBack(row.seq, stretch))
                self._outside.pop(stretch.number, None)
                self._holes = max(0, self._holes - (stretch.end - stretch.start))
                row.read, left = stretch.end, left - 1
                self._root_stands(row)

    def _drop(self, stretches: Sequence[Stretch]) -> None:
        for one in stretches:
            if self._outside.pop(one.number, None) is not None:
                self._before.append(Drop(one.number))

    def _let_go(self, seq: int) -> None:
        self._before.append(Forget(seq))
        self._free.append(seq)

    def _cells(self, rows: Sequence[Row], branches: Sequence[Branch], roots: Sequence[Root]) -> int:
        """What these take or may take of the memory."""
        return sum(row.cells for row in rows) + kept_cells(branches, roots, [row.root for row in rows])

    def _now(self) -> int:
        self._time += 1
        return self._time


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts have in common from their beginning on."""
    most = min(len(one), len(other))
    if list(one[:most]) == list(other[:most]):
        return most
    return next(place for place in range(most) if one[place] != other[place])


def _standing(root: Root | None) -> Root | None:
    return root if root and root.ready else None

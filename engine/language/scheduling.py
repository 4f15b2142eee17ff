"""Pure: which tokens the model reads next, for whom, and what of its memory is kept. There is no llama.cpp in it.

What the model has read of a text lies in a *sequence* of its memory. A persona's part, the same for everybody, is a
*root*: it is read once, and every talk with that persona grows from it. What a talk added is a *branch*: it is kept
while there is room, because most talks go on. A *row* is a text that is being written now. What nobody uses costs
everybody who writes, since each token looks at all that stands in the memory: of that no more stays inside than the
rows take themselves, and the rest is laid aside until its talk goes on (`keeping.py`).

The owner does what `next_step` says: first what is to happen to the memory, in that order, then it reads. It tells
`was_read`, draws a token for each row that it names, and tells `wrote` or `end`. Nothing here waits, and nothing
fails but for what can never fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from engine.language.keeping import Keeping, cells_of
from engine.language.pacing import Pace
from engine.language.standing import Ask, Branch, Change, Forget, Root, Row, Share, own_cells


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
    #: So many tokens are read in one step.
    batch: int
    #: What stands in the memory: the rows, and what is kept beside them.
    kept: Keeping
    #: Whether a sequence may begin with another one's tokens, and whether its end can be cut off.
    shares: bool = True
    trims: bool = True
    pace: Pace = field(default_factory=Pace)
    waiting: list[tuple[int, Ask, tuple[int, ...]]] = field(default_factory=list)
    #: For the books: tokens that were read, of prompts alone.
    prompt_tokens_read: int = 0

    @property
    def rows(self) -> dict[int, Row]:
        return self.kept.rows

    # What the owner tells

    def submit(self, ask: Ask) -> None:
        if not ask.tokens:
            raise TooLong("there is nothing to begin from")
        if len(ask.tokens) + ask.most > self.cells:
            raise TooLong(
                f"{len(ask.tokens)} tokens, and {ask.most} to be written, do not fit into {self.cells}"
            )
        self.waiting.append((self.kept.now(), ask, ()))

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
            self.kept.filled(len(one.tokens))
            row.read = one.position + len(one.tokens)
            self.kept.root_stands(row)

    def wrote(self, ask_id: int, token: int) -> bool:
        """A token was drawn for a row; False when it was the last that it may have."""
        row = self.rows[ask_id]
        row.tokens.append(token)
        return row.written < row.ask.most

    def end(self, ask_id: int) -> None:
        """A row is done. Its talk may go on from what was read."""
        row = self.rows.pop(ask_id)
        beginning = len(row.root.tokens) if row.root else 0
        own = self.kept.unfinished(row)
        if row.ask.talk and (row.read > beginning or own):
            self.kept.drop_talk(row.ask.talk)
            tokens = row.tokens[: own[0].end if own else row.read]
            kept = Branch(row.ask.talk, tokens, row.seq, self.kept.now(), _standing(row.root), own)
            self.kept.branches.append(kept)
            if own and row.read < beginning:
                # Nothing of its own is inside.
                self.kept.give_up(row)
                kept.seq = -1
        else:
            self.kept.drop(own)
            self.kept.give_up(row)

    def refused(self, step: Step) -> tuple[int, ...]:
        """The memory was full although it should not be. All that is idle goes; else the least urgent row waits
        again, with what it has written. Answers who cannot be helped: it is alone, and there is no room.
        """
        if idle := self.kept.idle_inside():
            for one in idle:
                self.kept.evict(one)
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
            self.kept.drop(row.aside)
            row.read, row.root, row.roots, row.aside = 0, None, False, []
            # What it read or took back for others is not theirs either.
            if root in self.kept.roots and not any(one.root is root for one in self.rows.values()):
                self.kept.evict(root)
        kept: list[Branch | Root] = [*self.kept.branches, *self.kept.roots]
        for one in [one for one in kept if one.seq == seq]:
            self.kept.evict(one)

    def clear(self) -> None:
        """The memory was lost; rows have to be asked for anew."""
        self.kept.clear()

    # What the owner asks

    @property
    def idle(self) -> bool:
        return not self.rows and not self.waiting

    def next_step(self) -> Step | None:
        """What to do next; None when there is nothing to read."""
        self._admit()
        self.kept.take_back()
        self.kept.lighten()
        self.kept.close_ranks()
        reading = tuple(self._readings())
        before, self.kept.before = tuple(self.kept.before), []
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
        self.kept.drop(self.kept.unfinished(row))
        self.kept.give_up(row)
        self.waiting.append((row.came, row.ask, tuple(row.tokens[len(row.ask.tokens) :])))

    def _beginning_of(self, ask: Ask) -> tuple[int, ...]:
        """What is read for everybody; at least one token is a talk's own, or there is nothing to draw from."""
        return ask.tokens[: ask.shared] if self.shares and ask.shared < len(ask.tokens) else ()

    def _root_of(self, ask: Ask) -> Root | None:
        beginning = self._beginning_of(ask)
        return next((one for one in self.kept.roots if beginning and one.tokens == beginning), None)

    def _begin(self, ask: Ask, came: int, written: tuple[int, ...]) -> bool:
        beginning = self._beginning_of(ask)
        root, branch = self._root_of(ask), self._branch_of(ask)
        if branch:
            root = None  # it stands on what it stood on, whether that is still kept for others or not
        elif beginning and root is None:
            root = Root(beginning, -1, self.kept.now())
        row = Row(ask, -1, [*ask.tokens, *written], came, root=branch.root if branch else root)
        if not self._make_room(row, branch=branch, root=root):
            return False
        if branch and branch.seq >= 0:
            self._grow_inside(row, branch)
        else:
            row.seq = self.kept.free.pop()
            if branch and branch.root:
                self._grow_from(row, branch.root)
            elif root and (root.ready or root.aside):
                self._grow_from(row, root)
            elif root:
                root.seq, row.roots = self.kept.free.pop(), True
                self.kept.roots.append(root)
            if branch:
                self._grow_outside(row, branch)
        if row.root:
            row.root.used = self.kept.now()
        self.rows[ask.id] = row
        return True

    def _grow_inside(self, row: Row, branch: Branch) -> None:
        """From what stands in the branch's own sequence, and what of it lies outside."""
        kept = self._kept_of(branch, row.ask)
        row.seq, row.read = branch.seq, min(kept, branch.inside)
        if row.read < branch.inside:
            self.kept.before.append(Forget(row.seq, row.read))
        self._grow_outside(row, branch)

    def _grow_outside(self, row: Row, branch: Branch) -> None:
        self.kept.branches.remove(branch)
        kept = self._kept_of(branch, row.ask)
        self.kept.drop([one for one in branch.aside if one.start >= kept])
        of_branch = [replace(one, end=min(one.end, kept)) for one in branch.aside if one.start < kept]
        row.aside = [*of_branch, *row.aside]

    def _grow_from(self, row: Row, root: Root) -> None:
        """From what everybody has in common; where a part of it lies outside, this row takes it back for all."""
        if root.inside:
            self.kept.before.append(Share(root.seq, row.seq, root.inside))
            row.read = root.inside
        if root.aside:
            if root.seq < 0:
                root.seq = self.kept.free.pop()
            row.aside, root.aside = root.aside, []
            row.roots, root.ready = True, False

    def _branch_of(self, ask: Ask) -> Branch | None:
        """What was read of this talk, where it saves more than the persona's own part does."""
        for branch in self.kept.branches:
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
        alone = cells_of([*self.rows.values(), row], [], [root] if root else [])
        if alone > self.cells or len(self.kept.free) + len(self.kept.idle_inside(branch, base)) < seqs:
            return False  # then nobody's talk is forgotten for it
        while self.kept.used + need > self.cells or len(self.kept.free) < seqs:
            idle = self.kept.evictable(branch, base)
            if not idle:
                return False
            self.kept.make_go(min(idle, key=lambda one: one.used), needed=(branch, base))
        return True

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

    # What is laid aside


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts have in common from their beginning on."""
    most = min(len(one), len(other))
    if list(one[:most]) == list(other[:most]):
        return most
    return next(place for place in range(most) if one[place] != other[place])


def _standing(root: Root | None) -> Root | None:
    return root if root and root.ready else None

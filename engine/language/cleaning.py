"""Pure: what a model says in a chat, without what is not meant for the person; piece by piece, as it comes.

Three filters one behind the other, for markers and thoughts, for names before words, and for white space. Each
hears characters and looks no further ahead than a marker or a name is long, so it is all the same how a text was cut
into pieces. Knows no model: what templates call their markers stands here for every family.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum, auto

#: No marker is longer, and as much is held back at the beginning where a thought may have been opened in the prompt.
HELD = 64

_THOUGHTS = ("think", "thinking", "thought", "reasoning", "seed:think", "tool_call")
_TAGS = (
    *(f"<{slash}{name}>" for name in _THOUGHTS for slash in ("", "/")),
    *("<s>", "</s>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<<sys>>", "<</sys>>"),
    *("<|channel>", "<channel|>", "<|turn>", "<turn|>"),
    *("◁think▷", "◁/think▷"),
    *(f"[{s}{name}]" for name in ("INST", "THINK", "SYSTEM_PROMPT", "AVAILABLE_TOOLS") for s in ("", "/")),
    "[TOOL_CALLS]",
)
_STARTS = frozenset(tag[:length] for tag in _TAGS for length in range(1, len(tag) + 1))
_PIPED = re.compile(r"<[|｜][^\s<>|｜]{1,48}[|｜]>")
_PIPED_START = re.compile(r"<(?:[|｜](?:[^\s<>|｜]{1,48}(?:[|｜]>?)?)?)?")
_ANGLED = [re.escape(tag) for tag in _TAGS if tag[0] == "<"]
_BRACKETED = [re.escape(tag) for tag in _TAGS if tag[0] != "<"]
_MARKER_AT_END = re.compile(f"(?:{_PIPED.pattern}|(?i:{'|'.join(_ANGLED)})|{'|'.join(_BRACKETED)})$")
#: A word that can be no part of a marker, or else one character.
_STEPS = re.compile(r"[^\s<>\[\]◁▷|｜]+|.", re.S)

_OPENS_THOUGHT = {*_THOUGHTS, "begin_of_thought", "start_thinking"}
_CLOSES_THOUGHT = {*(f"/{name}" for name in _THOUGHTS), "end_of_thought", "end_thinking", "/channel"}
_OPENS_HEADER = {"im_start", "start_header_id", "start", "start_of_turn", "start_of_role", "turn"}
_ENDS_TURN = {
    *(
        "im_end",
        "eot_id",
        "eom_id",
        "endoftext",
        "end_of_text",
        "end_of_turn",
        "end_of_turn_token",
        "end",
        "eot",
    ),
    *("return", "call", "end_of_sentence", "/turn", "eos", "eod_id"),
}
_OF_PERSON = {"user", "human", "prompter", "user_token", "im_user"}
_OF_HOUSE = {"inst", "sys", "system", "system_prompt", "available_tools", "system_token", "im_system"}
_OF_MODEL = {"assistant", "model", "bot", "chatbot_token", "im_assistant"}

_MARKS = "*_`~"
_LABEL_START = re.compile(rf"[ \t]{{0,8}}((?:\#{{1,6}} ?)?)([{_MARKS}]{{0,2}})")
_LABEL_END = re.compile(rf"([{_MARKS}]{{0,2}}) ?([:：\n]?)")
_MANY_LINES = re.compile(r"\n(?:[^\S\n]*\n){2,}")
_LONGEST_NAME = 60
#: Templates put these on a line of their own, without a colon.
_ALONE = {"assistant", "user"}
_ALONE_AS_HEADING = {"response", "human"}


class Cleaner:
    """Hears a reply as it is written, and says what of it may be shown.

    `person_names` are all who speak for themselves: the person, and other personas that are there. `opened` says
    whether the prompt ended inside a thought; where that is not known, the first words wait a little for its end.
    """

    def __init__(
        self, persona_names: Sequence[str], person_names: Sequence[str], *, opened: bool | None = None
    ) -> None:
        own, theirs = _folded(persona_names), _folded(person_names)
        self._markers = _Markers(own, theirs, opened)
        self._labels = _Labels(own, theirs)
        self._spaces = _Spaces()

    @property
    def ended(self) -> bool:
        """The model began to speak for the person, or left its turn: nothing that follows is shown."""
        return self._markers.ended or self._labels.ended

    def feed(self, piece: str) -> str:
        """What may be shown now."""
        return "" if self.ended else self._spaces.hear(self._labels.hear(self._markers.hear(piece)))

    def finish(self) -> str:
        """The rest, once no more comes or `ended` is true."""
        text = self._labels.hear(self._markers.finish()) + self._labels.finish()
        return self._spaces.hear(text)


def _folded(names: Iterable[str]) -> tuple[str, ...]:
    folded = (" ".join(name.casefold().split()) for name in names)
    return tuple(dict.fromkeys(name for name in folded if 0 < len(name) <= _LONGEST_NAME))


class _Mode(Enum):
    TEXT = auto()
    THOUGHT = auto()
    #: Between a marker that opens a turn and the end of the role's name.
    HEADER = auto()
    CHANNEL = auto()


class _Markers:
    """Takes out the markers of templates, and what stands in thoughts and in the headers of turns."""

    def __init__(self, own: Sequence[str], theirs: Sequence[str], opened: bool | None) -> None:
        self.ended = False
        self._own = _OF_MODEL.union(own)
        self._theirs = _OF_PERSON | _OF_HOUSE | set(theirs) | {"tool", "developer"}
        self._mode = _Mode.THOUGHT if opened else _Mode.TEXT
        #: What may become a marker.
        self._pending = ""
        self._header = ""
        #: The first words, while they may turn out to be the rest of a thought.
        self._first: list[str] | None = [] if opened is None else None
        self._first_length = 0
        self._begun = False
        self._tail = ""
        self._out: list[str] = []

    def hear(self, piece: str) -> str:
        for step in _STEPS.findall(piece):
            if self.ended:
                break
            if not self._pending and step[0] not in "<[◁":
                self._plain(step)
                continue
            for char in step:
                self._step(char)
        return self._taken()

    def finish(self) -> str:
        pending, self._pending = self._pending, ""
        for char in pending:
            self._plain(char)
        if self._mode is _Mode.HEADER and not self.ended:
            self._close_header(by_marker=False)
        self._show_first()
        return self._taken()

    def _taken(self) -> str:
        text, self._out = "".join(self._out), []
        return text

    def _step(self, char: str) -> None:
        grown = self._pending + char
        while grown and not _could_be_marker(grown):
            self._plain(grown[0])
            grown = grown[1:]
        if grown and char in ">]▷" and _MARKER_AT_END.fullmatch(grown):
            self._pending = ""
            self._marker(_named(grown))
        else:
            self._pending = grown

    def _plain(self, text: str) -> None:
        if self.ended or self._mode is _Mode.THOUGHT:
            return
        if self._mode is _Mode.TEXT:
            self._show(text)
        else:
            for char in text:
                self._head(char)

    def _head(self, char: str) -> None:
        """A role's or a channel's name goes on, up to the end of its line; a long one was none, and is shown."""
        if self.ended or self._mode is _Mode.THOUGHT:
            return
        if self._mode is _Mode.TEXT:
            self._show(char)
            return
        self._header += char
        if char == "\n":
            self._close_header(by_marker=False)
        elif len(self._header) > HELD:
            self._mode, said, self._header = _Mode.TEXT, self._header, ""
            self._show(said)

    def _show(self, text: str) -> None:
        if text in {">", "]", "▷"} and _MARKER_AT_END.search(self._tail + text):
            return  # what was taken out between them would have joined these to a new one
        self._tail = (self._tail + text)[-HELD:]
        self._begun = self._begun or not text.isspace()
        if self._first is None:
            self._out.append(text)
        elif self._begun:
            self._first.append(text)
            self._first_length += len(text)
            if self._first_length >= HELD:
                self._show_first()

    def _show_first(self) -> None:
        if self._first is not None:
            self._out += self._first
            self._first = None

    def _marker(self, name: str) -> None:
        if self._mode in (_Mode.HEADER, _Mode.CHANNEL):
            self._close_header(by_marker=True)
        if self.ended:
            return
        if name in _OPENS_THOUGHT:
            self._mode = _Mode.THOUGHT
            self._show_first()
        elif name in _CLOSES_THOUGHT:
            if self._mode is _Mode.TEXT and self._first is not None:
                self._first, self._begun, self._tail = None, False, ""
            self._mode = _Mode.TEXT
        elif name in _OPENS_HEADER:
            self._mode = _Mode.HEADER
        elif name == "channel":
            self._mode = _Mode.CHANNEL
        elif name in _OF_PERSON:
            self.ended = True
        elif name in _OF_HOUSE or name in _ENDS_TURN:
            # Before the first word it is an echo of the template, or the end of a thought.
            self.ended = self._begun and self._mode is _Mode.TEXT
        elif name in _OF_MODEL:
            self._mode = _Mode.TEXT

    def _close_header(self, *, by_marker: bool) -> None:
        said, self._header = self._header, ""
        role = " ".join(said.casefold().split())
        if self._mode is _Mode.CHANNEL:
            self._mode = _Mode.TEXT if role.startswith("final") else _Mode.THOUGHT
            return
        self._mode = _Mode.TEXT
        if role in self._own or role.partition(" ")[0] == "assistant":
            return
        if role in self._theirs:
            self.ended = True
        elif not by_marker:
            for char in said:
                self._show(char)


def _could_be_marker(text: str) -> bool:
    if text[0] == "<":
        return text.lower() in _STARTS or _PIPED_START.fullmatch(text) is not None
    return text in _STARTS


def _named(marker: str) -> str:
    """The name of a marker, the same in every family's spelling."""
    name = marker.strip("<>[]◁▷|｜").lower().replace("▁", "_")
    return f"/{name}" if marker.startswith("<") and marker[1] not in "|｜/" and marker[-2] == "|" else name


class _Sort(Enum):
    OPEN = auto()
    NONE = auto()
    OWN = auto()
    THEIRS = auto()


class _Labels:
    """Takes the persona's own name from the start of a line, and ends where somebody else's stands there."""

    def __init__(self, own: Sequence[str], theirs: Sequence[str]) -> None:
        self.ended = False
        others = dict.fromkeys((*theirs, "user", "you", "human", "{{user}}"), _Sort.THEIRS)
        # Where both have one name, it is milder to take it for the persona's.
        self._names = others | dict.fromkeys((*own, "assistant", "{{char}}"), _Sort.OWN)
        self._headings = self._names | {"response": _Sort.OWN, "instruction": _Sort.THEIRS}
        #: The start of a line, while it may become a label; None in the rest of the line.
        self._start: str | None = ""
        self._after_label = False
        #: Marks that were opened before a name, and as much of their end as was heard.
        self._marks = ""
        self._closing = ""

    def hear(self, text: str) -> str:
        out: list[str] = []
        for step in _STEPS.findall(text):
            if self.ended:
                break
            if self._start is None and step != "\n":
                out.append(step)
                continue
            out += map(self._step, step)
        return "".join(out)

    def finish(self) -> str:
        return self.hear("\n")

    def _step(self, char: str) -> str:
        if self.ended:
            return ""
        if self._start is None:
            self._start = "" if char == "\n" else None
            return char
        if self._marks:
            heard = self._closing + char
            if self._marks.startswith(heard):
                self._closing = heard
                if heard == self._marks:
                    self._marks = self._closing = ""
                return ""
            self._start, self._marks, self._closing = self._marks + self._closing, "", ""
        if self._after_label and char in " \t" and not self._start.strip(_MARKS):
            return ""
        self._start += char
        sort, marks = self._judged(self._start)
        if sort is _Sort.OPEN:
            return ""
        said, self._start = self._start, ""
        if sort is _Sort.NONE:
            self._after_label = False
            self._start = "" if char == "\n" else None
            return said
        self.ended = sort is _Sort.THEIRS
        self._marks, self._after_label = marks, True
        return ""

    def _judged(self, start: str) -> tuple[_Sort, str]:
        """Whose label the start of a line is, and the marks before it that are still open."""
        opening = _LABEL_START.match(start)
        if opening is None:  # pragma: no cover - every part of it may be missing
            return _Sort.NONE, ""
        heading, marks = opening[1], opening[2]
        said = start[opening.end() :].casefold()
        verdict = _Sort.NONE
        for name, sort in (self._headings if heading else self._names).items():
            if name.startswith(said):
                verdict = _Sort.OPEN
            elif said.startswith(name):
                if name == "instruction":
                    return sort, ""
                end = _LABEL_END.fullmatch(said, len(name))
                if end is None:
                    continue
                if not end[2]:
                    verdict = _Sort.OPEN
                elif end[2] != "\n" or name in _ALONE or (heading and name in _ALONE_AS_HEADING):
                    return sort, "" if end[1] or end[2] == "\n" else marks
        return verdict, ""


class _Spaces:
    """Takes white space from both ends, and leaves no more than one empty line in between."""

    def __init__(self) -> None:
        self._held: list[str] = []
        self._begun = False

    def hear(self, text: str) -> str:
        out: list[str] = []
        for run in re.findall(r"\s+|\S+", text):
            if not run.isspace():
                out += [_MANY_LINES.sub("\n\n", "".join(self._held)), run]
                self._held.clear()
                self._begun = True
            elif self._begun:
                self._held.append(run)
        return "".join(out)

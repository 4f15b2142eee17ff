"""Regular expressions written by strangers: which may run, and on how much text. Knows nothing of lorebooks.

Python's engine tries one way after another, and a pattern can be built that has more ways than there is time.
So the ways are counted before it runs: a pattern gets as much of the latest text as it can be tried on within
its share of steps, and one that would not even manage a few words never matches.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

MAX_PATTERN = 500
MAX_DEPTH = 20
#: The lengths of text that a pattern may be shown, longest first.
LENGTHS = (8_000, 4_000, 2_000, 1_000, 500, 250, 120, 60)

_SLASHED = re.compile(r"/(.+)/([a-z]*)", re.DOTALL | re.IGNORECASE)
_REPEAT = re.compile(r"[*+?]|\{([0-9]*)(?:(,)([0-9]*))?\}")
_GROUP_HEAD = re.compile(r"\((?:\?(?:P?<[A-Za-z_]\w*>|<?[=!]|[:>]|[a-zA-Z-]+[:)]))?")
# Verbose mode and comments could hide one expression inside another; named references are not worth counting.
_UNCOUNTABLE = re.compile(r"\(\?(?:#|P=|[a-zA-Z]*x)")
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}
_DIGITS = frozenset("123456789")
_ENDLESS = float("inf")


@dataclass(frozen=True)
class Pattern:
    """A pattern that may be run, on the last `length` characters of a text."""

    compiled: re.Pattern[str]
    length: int

    def found_in(self, text: str) -> bool:
        return self.compiled.search(text[-self.length :]) is not None


def pattern(source: str, *, steps: int, case_sensitive: bool = True) -> Pattern | None:
    """`/expression/flags` or a bare expression, ready to run within so many steps; None if unsound."""
    slashed = _SLASHED.fullmatch(source)
    expression, letters = (slashed.group(1), slashed.group(2).lower()) if slashed else (source, "")
    if not expression or len(expression) > MAX_PATTERN:
        return None
    flags = re.RegexFlag(0) if case_sensitive or slashed else re.IGNORECASE
    for letter in letters:
        flags |= _FLAGS.get(letter, re.RegexFlag(0))
    # `(?<name>…)` is how the other programs write what Python writes `(?P<name>…)`.
    expression = re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", expression)
    length = next((n for n in LENGTHS if n * ways(expression, n) <= steps), 0)
    if not length:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Pattern(re.compile(expression, flags), length)
    except (re.error, OverflowError, RecursionError, ValueError):
        return None


@dataclass
class _Group:
    """The ways through a group so far: branches already ended, the present branch, and its last part."""

    ended: float = 0.0
    branch: float = 1.0
    last: float = 1.0

    def part(self, ways: float) -> None:
        self.branch *= self.last
        self.last = ways

    @property
    def total(self) -> float:
        return self.ended + self.branch * self.last


def ways(expression: str, length: int) -> float:
    """An upper bound on the ways in which an expression can be tried at one place of a text of this length.

    Endless for repetitions inside repetitions, for verbose patterns and for what cannot be read.
    """
    groups = [_Group()]
    at = 0
    while at < len(expression):
        sign = expression[at]
        if sign == "\\":
            # Comparing with what a group found costs up to the whole text each time.
            groups[-1].part(float(length) if expression[at + 1 : at + 2] in _DIGITS else 1.0)
            at += 2
        elif sign == "[":
            groups[-1].part(1.0)
            at = _after_class(expression, at)
        elif sign == "(":
            if len(groups) > MAX_DEPTH or _UNCOUNTABLE.match(expression, at):
                return _ENDLESS
            groups.append(_Group())
            head = _GROUP_HEAD.match(expression, at)
            at = head.end() if head else at + 1
            if expression[at - 1] == ")":  # flags such as `(?i)` hold no part of their own
                groups.pop()
        elif sign == ")":
            if len(groups) == 1:
                return _ENDLESS
            inner = groups.pop().total
            groups[-1].part(inner)
            at += 1
        elif sign == "|":
            groups[-1] = _Group(ended=groups[-1].total)
            at += 1
        elif (repeat := _REPEAT.match(expression, at)) and repeat.group() != "{}":
            groups[-1].last = _repeated(groups[-1].last, repeat, length)
            at = repeat.end()
            if expression[at : at + 1] in {"?", "+"}:  # lazy or possessive: never more ways
                at += 1
        else:
            groups[-1].part(1.0)
            at += 1
    return groups[0].total if len(groups) == 1 else _ENDLESS


def _repeated(inner: float, repeat: re.Match[str], length: int) -> float:
    """The ways of a part that is repeated. Choices inside multiply with every turn of the repetition."""
    sign = repeat.group()
    if sign == "?":
        return inner + 1.0
    least, most = 0, length
    if sign.startswith("{"):
        least = int(repeat.group(1)[:9] or 0)
        if repeat.group(2) is None:
            most = least
        elif repeat.group(3):
            most = int(repeat.group(3)[:9])
    if most > length or most < least:
        most = max(least, length)
    if inner > 1.0 and (most > 30 or inner > 1e9):
        return _ENDLESS
    span: float = max(most - least + 1, most)
    return float(span * inner**most) if inner > 1.0 else span * inner


def _after_class(expression: str, at: int) -> int:
    """The place behind `[…]`, in which a bracket that comes first is an ordinary sign."""
    at += 1
    if expression[at : at + 1] == "^":
        at += 1
    if expression[at : at + 1] == "]":
        at += 1
    while at < len(expression) and expression[at] != "]":
        at += 2 if expression[at] == "\\" else 1
    return at + 1

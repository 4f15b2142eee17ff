"""Reads the weights in a prompt as people write them elsewhere: `(red coat:1.3)`, `((fog))`, `[fog]`.

What looks like syntax and is not is plain text. It knows nothing of tokens or models, reads any text in linear time,
and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

#: What lies beyond is not read: ten times what anybody writes by hand.
MOST_CHARACTERS = 20_000
#: Of a word that does not end there, so much is given up to end with the one before.
LONGEST_WORD = 200
#: `(x)` weighs so much more, `[x]` so much less.
STEP = 1.1
#: Below and above these a picture falls apart.
LEAST_WEIGHT, MOST_WEIGHT = 0.1, 2.0
#: A larger number after a colon is no weight: a year, a size, a price.
LARGEST_NUMBER = 10.0

#: Tokens that end a text for the encoder wherever they stand.
SPECIAL = re.compile(r"<\|(?:startoftext|endoftext)\|>", re.IGNORECASE)
#: Control characters, and halves of characters, which no tokenizer takes.
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
#: An escaped bracket, a smiley that stands alone, a bracket, or text up to the next of these.
PIECES = re.compile(
    r"(?P<escaped>\\[()\[\]])"
    r"|(?P<smiley>(?<!\S)[:;=]['o-]?[()\[\]](?=[\s.,!?)\]]|$))"
    r"|(?P<bracket>[()\[\]])"
    r"|(?P<text>[^\\()\[\]:;=]+|.)",
    re.DOTALL,
)
#: What stands after the last colon, if that is a number or wants to be one.
NUMBER = re.compile(
    r"(?P<before>.?):\s*(?P<number>[-+\d.,_e%]*|[-+]?(?:inf|infinity|nan))\s*\Z", re.I | re.DOTALL
)
WEIGHT = re.compile(r"\d{1,3}(?:\.\d{0,9})?|\.\d{1,9}", re.ASCII)
#: A longer end than this holds no number.
LONGEST_NUMBER = 32

CLOSES = {")": "(", "]": "["}


@dataclass(frozen=True)
class Fragment:
    """Words that weigh the same."""

    text: str
    weight: float = 1.0


@dataclass
class _Piece:
    """A part of the prompt as it was read: text, or a bracket that is text until it finds its other half."""

    text: str
    bracket: bool = False
    #: What a bracket that has found its other half does to all between them.
    factor: float | None = None


def kept(prompt: str) -> str:
    """The part of a prompt that is read: all of it, or as many whole words as there is room for."""
    if len(prompt) <= MOST_CHARACTERS:
        return prompt
    cut = prompt[:MOST_CHARACTERS]
    half = re.search(r"\s\S*\Z", cut[-LONGEST_WORD:])
    if half is None or prompt[MOST_CHARACTERS].isspace():
        return cut
    return cut[: -len(half[0])]


def fragments(prompt: str) -> tuple[Fragment, ...]:
    """The prompt in parts that differ in weight, in order; neighbours of the same weight are one part."""
    pieces = _pieces(_clean(kept(prompt)))
    _pair(pieces)
    return tuple(
        Fragment(text, weight)
        for weight, run in groupby(_weighed(pieces), key=lambda part: part[1])
        # What was apart until now may have become such a token.
        if (text := _clean("".join(text for text, _ in run)))
    )


def plain(parts: Iterable[Fragment]) -> str:
    """The words alone."""
    return " ".join(_clean("".join(part.text for part in parts)).split())


def weighed(prompt: str, asked: Iterable[Fragment]) -> str:
    """A prompt that somebody wrote from these words, with their weights where the words stand in it."""
    for part in asked:
        words = part.text.strip(" ,.;")
        if part.weight == 1.0 or not words:
            continue
        # Whole words: "red" does not stand in "weathered".
        if there := re.search(rf"(?<!\w){re.escape(words)}(?!\w)", prompt, re.IGNORECASE):
            prompt = f"{prompt[: there.start()]}({there[0]}:{part.weight:g}){prompt[there.end() :]}"
    return prompt


def _clean(text: str) -> str:
    return UNSEEN.sub(" ", SPECIAL.sub(" ", text))


def _pieces(text: str) -> list[_Piece]:
    """Runs of text, and brackets between them."""
    pieces: list[_Piece] = []
    run: list[str] = []
    for match in PIECES.finditer(text):
        if match.lastgroup == "bracket":
            if run:
                pieces.append(_Piece("".join(run)))
                run.clear()
            pieces.append(_Piece(match[0], bracket=True))
        else:
            run.append(match[0][1:] if match.lastgroup == "escaped" else match[0])
    if run:
        pieces.append(_Piece("".join(run)))
    return pieces


def _pair(pieces: list[_Piece]) -> None:
    """Gives each pair of brackets its factor, and takes the numbers off the text. The others stay text."""
    waiting: list[int] = []
    count = {"(": 0, "[": 0}
    for at, piece in enumerate(pieces):
        if not piece.bracket:
            continue
        opens = CLOSES.get(piece.text)
        if opens is None:
            waiting.append(at)
            count[piece.text] += 1
        elif count[opens]:
            # A bracket of the other kind that is still open in here has no other half.
            while pieces[start := waiting.pop()].text != opens:
                count[pieces[start].text] -= 1
            count[opens] -= 1
            _weigh(pieces, start, at)


def _weigh(pieces: list[_Piece], start: int, end: int) -> None:
    if all(
        not pieces[at].bracket and not pieces[at].text.strip() for at in range(start + 1, min(end, start + 3))
    ):
        return  # nothing between them
    factor = STEP if pieces[start].text == "(" else 1 / STEP
    last = pieces[end - 1]
    if not last.bracket and (match := NUMBER.search(last.text, max(0, len(last.text) - LONGEST_NUMBER))):
        number = match["number"]
        # 16:9 and 10:30 are no weights; 2077:1.3 is one.
        ratio = match["before"].isdigit() and "." not in number
        alone = start == end - 2 and not last.text[: match.end("before")].strip()
        if pieces[start].text == "[" or ratio or alone or not WEIGHT.fullmatch(number):
            return
        factor = float(number)
        if factor > LARGEST_NUMBER:
            return
        factor = min(MOST_WEIGHT, max(LEAST_WEIGHT, factor))
        last.text = last.text[: match.end("before")]
    pieces[start].factor = pieces[end].factor = factor


def _weighed(pieces: list[_Piece]) -> Iterable[tuple[str, float]]:
    weights = [1.0]
    for piece in pieces:
        if piece.factor is None:
            if piece.text:
                yield piece.text, round(min(MOST_WEIGHT, max(LEAST_WEIGHT, weights[-1])), 4)
        elif piece.text in CLOSES:
            weights.pop()
        else:
            weights.append(weights[-1] * piece.factor)

"""Pure: what a picture prompt says, as the house reads it: words, weights, and what is not what it seems to be.

It is given the tokenizers that it counts with, and knows no model, no person, and no language but that of prompts. It
reads any text in linear time, and never raises.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from engine.language import PROMPT_WORDS, count_words
from engine.pictures import Lora, loras_told
from engine.pictures.sdxl.cutting import CHUNK, chunks_of, within
from engine.pictures.sdxl.tokens import Read
from engine.pictures.sdxl.weighted import PIECES, SPECIAL, UNSEEN, Fragment, fragments, kept, plain

#: A find is shown no longer than this, and so many of a kind at most.
LONGEST, MOST = 60, 40
#: Words that may come as often as they like.
SMALL = frozenset(
    re.findall(
        r"\w+",
        "about above across after all along and are around beside between both but down each for from has have her "
        "hers him his into its just like near not off one onto our out over own past she some that the their them "
        "then there these they this through toward towards two under upon very was were what when where while who "
        "whose with within without",
    )
)
#: A letter in no word of anybody: it stands for a bracket that is meant as text, or for a smiley.
_MASK = "\ue000"
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
#: What other programs read as syntax. No part of it goes on without a bound.
_ELSEWHERE = re.compile(
    r"(?P<choice>\{[^{}\n]{0,80}\})"
    r"|(?P<network><[a-z]{1,20}:[^<>\s]{0,80}>)"
    r"|(?P<flag>(?<!\S)(?:--|—)[a-z]{1,20}\b(?:[ =][\w.:/]{1,20}(?!\S))?)"
    r"|(?P<part>(?<!\w)\w{1,40}::-?[\d.]{0,8})"
    r"|(?P<number>(?<!\w)[^\W\d_]{1,40}:[-+]?\d{0,3}\.\d{1,4}\b)"
    r"|(?P<break>\b(?:BREAK|AND)\b)"
    r"|(?P<card>__\w{1,40}?__)"
    r"|(?P<learnt>\bembedding:\w{1,40})"
)
#: The same, where the brackets may weigh something as well.
_CALL = re.compile(r"\.(?:and|blend|swap)\(")
#: For the estimate: words, figures, and runs of other signs, as CLIP takes a text apart.
_TAKEN_APART = re.compile(r"[^\W\d_]+|\d|[^\s\w]+|_+")


@dataclass(frozen=True)
class Report:
    """What there is to say of a prompt."""

    #: By the house's count, weights and brackets aside.
    words: int
    #: Parts with a weight of their own, as it was read.
    weights: tuple[Fragment, ...]
    #: Looks like syntax, here or elsewhere, and is read as plain text.
    plain_text: tuple[str, ...]
    #: Marks that would end the text for an encoder; they are taken out.
    taken_out: tuple[str, ...]
    loras: tuple[Lora, ...]
    #: Words that come more than once, and how often.
    repeated: tuple[tuple[str, int], ...]
    #: Entries of the negative prompt that the prompt asks for.
    contradictions: tuple[str, ...]
    #: Words that the operator does not want here.
    blocked: tuple[str, ...]
    #: For each encoder; one number where it is an estimate.
    tokens: tuple[int, ...]
    #: How many readings of 75 tokens stand one behind the other.
    chunks: int
    #: The picture model by whose tokenizers this was counted; empty: it is an estimate.
    model: str
    #: Words that no encoder would read. The others all go in.
    words_cut: int
    style: str = ""
    negative: str = ""

    @property
    def estimated(self) -> bool:
        return not self.model

    @property
    def of_length(self) -> bool:
        return self.words in PROMPT_WORDS

    @property
    def faultless(self) -> bool:
        """Nothing in it is other than it seems."""
        found = (self.plain_text, self.taken_out, self.contradictions, self.blocked)
        return self.of_length and not self.words_cut and not any(found)

    def as_json(self) -> dict[str, Any]:
        more = {"estimated": self.estimated, "of_length": self.of_length, "faultless": self.faultless}
        return asdict(self) | more


def validated(
    text: str,
    *,
    style: str = "",
    negative: str = "",
    blocked: Iterable[str] = (),
    encoders: Sequence[Read] = (),
    model: str = "",
) -> Report:
    """All that can be told of a prompt without making a picture of it. `blocked` was found in it already."""
    begun = kept(text)
    cut = count_words(text[len(begun) :])
    without, loras = loras_told.told(begun)
    parts = fragments(without)
    words = plain(parts)
    read = parts
    for encoder in encoders:
        read = within(read, partial(_ends, encoder))
    counted = [[token for part in read for token, _ in encoder(part.text)] for encoder in encoders]
    guessed = estimated_tokens(words)
    chunks = max(map(chunks_of, counted), default=max(1, -(-guessed // CHUNK)))
    return Report(
        words=count_words(words) + cut,
        weights=tuple(_shown_weights(parts))[:MOST],
        plain_text=_first(_looks_like_syntax(without)),
        taken_out=_first(match[0] for match in SPECIAL.finditer(begun)),
        loras=loras,
        repeated=repeated(words),
        contradictions=contradictions(words, negative),
        blocked=_first(blocked),
        tokens=tuple(map(len, counted)) or (guessed,),
        chunks=chunks,
        model=model if encoders else "",
        words_cut=cut + count_words(words) - count_words(plain(read)),
        style=style,
        negative=negative,
    )


def repeated(words: str) -> tuple[tuple[str, int], ...]:
    """The words that come more than once, the most frequent first. Small words are not worth a mention.

    >>> repeated("a red coat, the red light, red and light")
    (('red', 3), ('light', 2))
    """
    counts = Counter(word for word in _folded(words) if len(word) > 2 and word not in SMALL)
    return tuple((word, count) for word, count in counts.most_common(MOST) if count > 1)


def contradictions(words: str, negative: str) -> tuple[str, ...]:
    """Entries of a negative prompt whose very words the prompt holds."""
    said = f" {' '.join(_folded(words))} "
    entries = (" ".join(entry.split()) for entry in plain(fragments(negative)).split(","))
    found = (entry for entry in entries if (told := " ".join(_folded(entry))) and f" {told} " in said)
    return _first(found)


def estimated_tokens(words: str) -> int:
    """About how many tokens CLIP makes of this: a short word is one, a long or a foreign one is several."""
    count = 0
    for match in _TAKEN_APART.finditer(words):
        run = match[0]
        size = len(run.encode("utf-8", "ignore"))
        count += max(1, -(-size // 8)) if size == len(run) else max(1, -(-size // 3))
    return count


def _ends(encoder: Read, text: str) -> list[int]:
    return [end for _, end in encoder(text)]


def _shown_weights(parts: Iterable[Fragment]) -> Iterator[Fragment]:
    for part in parts:
        words = " ".join(part.text.split()).strip(" ,.;")
        if part.weight != 1.0 and words:
            yield Fragment(_short(words), part.weight)


def _looks_like_syntax(text: str) -> Iterator[str]:
    """Brackets that weigh nothing, and the syntax of other programs, in the order of the text as far as that goes."""
    cleaned = UNSEEN.sub(" ", SPECIAL.sub(" ", text)).replace(_MASK, " ")
    masked = PIECES.sub(
        lambda piece: _MASK if piece.lastgroup in ("escaped", "smiley") else piece[0], cleaned
    )
    left = "".join(part.text for part in fragments(masked))
    for run in left.split():
        if any(bracket in run for bracket in "()[]"):
            yield run.replace(_MASK, "").strip(",.;!?")
    for match in (*_ELSEWHERE.finditer(" ".join(left.split())), *_CALL.finditer(cleaned)):
        yield match[0].replace(_MASK, "").strip()


def _folded(text: str) -> list[str]:
    return [match[0].casefold() for match in _WORD.finditer(text)]


def _first(found: Iterable[str]) -> tuple[str, ...]:
    """Each once, short enough to be shown, and no more than anybody reads."""
    unique: dict[str, None] = {}
    for one in found:
        if short := _short(one):
            unique[short] = None
        if len(unique) == MOST:
            break
    return tuple(unique)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"

"""Two kinds of vocabulary as real models have them: byte-level BPE with merges, and SentencePiece with scores.

Neither is trained on anything. Common words are whole tokens, and every byte is one, so any text has tokens.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, product

from gguf import TokenType

WORDS = """
the and you that was for are with his they this have from one had word but not what all were when your can said
there use each which she how their will other about out many then them these some her would make like him into
time has look two more write see number way could people than first water been call who now find long down day
did get come made may part over new sound take only little work know place year live back give most very after
thing our just name good sentence man think say great where help through much before line right too mean old
any same tell boy follow came want show also around form three small set put end does another well large must
big even such because turn here why ask went men read need land different home move try kind hand picture again
change off play spell air away animal house point page letter mother answer found study still learn should
light morning soft window photograph evening hello smile garden river mountain coffee hair eyes brown green
"""

#: Pieces longer than a buffer of 32 bytes, as real vocabularies have them.
LONG = ("▁" * 16, "-" * 40, "=" * 64, "▁Donaudampfschifffahrtsgesellschaftskapitän")


@dataclass
class Vocabulary:
    """What a GGUF file says of its tokens."""

    model: str
    pre: str
    begin: str
    end: str
    tokens: list[str] = field(default_factory=list)
    types: list[TokenType] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    merges: list[str] = field(default_factory=list)

    def add(self, token: str, kind: TokenType = TokenType.NORMAL, score: float = 0.0) -> None:
        self.tokens.append(token)
        self.types.append(kind)
        self.scores.append(score)

    def id_of(self, token: str) -> int:
        return self.tokens.index(token)


def bpe(size: int, specials: tuple[str, ...]) -> Vocabulary:
    """Bytes, merges of common words and of whatever letters follow each other, and control tokens at the end."""
    letters = _bytes_as_letters()
    made = Vocabulary("gpt2", "gpt-2", "<|endoftext|>", "<|endoftext|>")
    for byte in range(256):
        made.add(letters[byte])
    ends = ("<|endoftext|>", *specials)
    known = set(made.tokens)
    for left, right in _merges():
        if len(made.tokens) >= size - len(ends):
            break
        if left + right not in known and left in known and right in known:
            known.add(left + right)
            made.add(left + right)
            made.merges.append(f"{left} {right}")
    for token in ends:
        made.add(token, TokenType.CONTROL)
    return made


def spm(size: int, specials: tuple[str, ...]) -> Vocabulary:
    """Three control tokens, bytes, letters, and beginnings of words; the common ones score higher."""
    made = Vocabulary("llama", "default", "<s>", "</s>")
    made.add("<unk>", TokenType.UNKNOWN)
    made.add("<s>", TokenType.CONTROL)
    made.add("</s>", TokenType.CONTROL)
    for byte in range(256):
        made.add(f"<0x{byte:02X}>", TokenType.BYTE)
    for token in specials:
        made.add(token, TokenType.CONTROL)
    whole = dict.fromkeys((left + right).replace("Ġ", "▁") for left, right in islice(_merges(), 4 * size))
    letters = ["▁", *(c for c in string.printable if c.isprintable() and c != " ")]
    room = size - len(made.tokens) - len(letters) - len(LONG)
    pieces = [*islice(whole, max(0, room)), *LONG, *letters]
    for rank, piece in enumerate(pieces):
        made.add(piece, score=-float(rank))
    return made


def _merges() -> Iterator[tuple[str, str]]:
    """Which two pieces become one, the most common first; "Ġ" is the space before a word."""
    for word in WORDS.split():
        for length in range(1, len(word) + 1):
            yield "Ġ" + word[: length - 1], word[length - 1]
    small = string.ascii_lowercase
    yield from product(("Ġ", *small, *string.ascii_uppercase), small)
    yield from ((a + b, c) for a, b, c in product(small, small, small))
    yield from (("Ġ" + a, b) for a, b in product(small, small))
    yield from (("Ġ" + a + b, c) for a, b, c in product(small, small, small))


def _bytes_as_letters() -> dict[int, str]:
    """GPT-2's way to write any byte as a character that can be seen."""
    seen = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {byte: chr(byte) for byte in seen}
    hidden = (byte for byte in range(256) if byte not in letters)
    return letters | {byte: chr(256 + number) for number, byte in enumerate(hidden)}

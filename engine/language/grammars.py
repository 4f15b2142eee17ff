"""Pure: grammars that leave a model no way to write something invalid, in GBNF, the language of llama.cpp.

`gbnf` writes one from a schema of ours; `picture_prompt_grammar` and `persona_grammar` are the two that the engine
uses. Nothing here knows a model: a grammar holds for any vocabulary, one that can write single bytes too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.language import PROMPT_WORDS, PersonaWanted
from personas.persona import printable, slug_of

#: llama.cpp reads no more repetitions of one part than this.
MOST_REPEATED = 2_000
#: Letters beyond ASCII that Latin names and loan words need. None of them lies between U+0800 and U+0FFF, or beyond
#: U+FFFF: there llama.cpp lets a model that writes byte by byte spell a character in more bytes than it has.
ACCENTED = r"\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u017F"

#: A word is a letter or digit, then these; so each run between spaces counts as one word, and as no more.
PROMPT_RULES = r"""
word ::= [A-Za-z0-9] [A-Za-z0-9'./-]{0,21} [,;:]?
next ::= " " word
"""

#: What stands in a string. The two braces, angle brackets and bars are syntax elsewhere: macros, and the tokens that
#: begin and end a turn, whose text would count as words.
TEXT_RULES = rf"""
gap ::= " "?
letter ::= [A-Za-z{ACCENTED}]
inner ::= [A-Za-z0-9{ACCENTED}'\u2019./&+\u2013\u2014\-]
open ::= [(#$\u00A3\u20AC\u2018\u201C] | "\\\""
close ::= [,.;:!?)%\u00B0'\u2019\u201D\u2026] | "\\\""
first ::= open? letter inner{{0,17}} close{{0,3}}
word ::= open? [A-Za-z0-9{ACCENTED}] inner{{0,17}} close{{0,3}}
next ::= " " ([&\u2013\u2014\-] " ")? word
plain ::= letter [A-Za-z0-9{ACCENTED}'\u2019.\-]{{0,17}}
more ::= " " plain
capital ::= [A-Z\u00C0-\u00D6\u00D8-\u00DE\u0100-\u017F] [A-Za-z{ACCENTED}'\u2019.\-]{{0,17}}
"""


@dataclass(frozen=True)
class Text:
    """A string of `least` to `most` words, the first with a letter in it. `plain`: without marks around words."""

    least: int
    most: int
    plain: bool = False


@dataclass(frozen=True)
class Name:
    """A string of one to `most` words, the first with a capital."""

    most: int = 3


@dataclass(frozen=True)
class Fixed:
    """This string and no other."""

    text: str


@dataclass(frozen=True)
class Phrase:
    """One string of several parts: fixed ones, and words that are chosen."""

    parts: tuple[str | Text, ...]


@dataclass(frozen=True)
class Choice:
    """One of these strings."""

    options: tuple[str, ...]


@dataclass(frozen=True)
class Number:
    """A whole number, not negative."""

    low: int
    high: int


@dataclass(frozen=True)
class List:
    of: Schema
    least: int
    most: int


@dataclass(frozen=True)
class Object:
    """Every field, in this order."""

    fields: tuple[tuple[str, Schema], ...]


Schema = Text | Name | Fixed | Phrase | Choice | Number | List | Object


def picture_prompt_grammar(least: int = PROMPT_WORDS[0], most: int = PROMPT_WORDS[-1]) -> str:
    """One paragraph of `least` to `most` words, as `count_words` counts them; a space may stand before it."""
    return f'root ::= " "? word {_repeated("next", least - 1, most - 1)}\n{PROMPT_RULES.strip()}\n'


def persona_grammar(name: str = "", kind: str = "") -> str:
    """A persona as JSON, all fields filled but those that `parse_persona` adds. What is given is not asked."""
    return gbnf(persona_schema(name, kind))


def persona_schema(name: str = "", kind: str = "") -> Object:
    """What a model is asked for, in the order in which one thing follows from another."""
    name, kind = printable(name), printable(kind)
    personality = _object(
        summary=Text(6, 18),
        traits=List(Text(1, 2, plain=True), 2, 4),
        likes=List(Text(1, 3), 2, 4),
        dislikes=List(Text(1, 4), 1, 3),
        quirks=List(Text(3, 10), 1, 3),
    )
    interest = _object(
        name=Text(1, 3),
        words=List(Text(1, 1, plain=True), 2, 5),
        remarks=List(Text(4, 14), 1, 2),
        questions=List(Text(3, 10), 1, 2),
    )
    voice = _object(
        manner=Text(4, 12),
        openers=List(Text(1, 5), 2, 3),
        asides=List(Text(1, 5), 1, 2),
        farewells=List(Text(1, 7), 1, 2),
    )
    appearance = _object(
        face=Text(3, 10),
        hair=Text(2, 7),
        eyes=Text(2, 6),
        skin=Text(2, 6),
        build=Text(2, 6),
        marks=Text(1, 8),
        wardrobe=List(_object(name=Text(1, 3), description=Text(3, 10)), 3, 4),
        places=List(Text(2, 6), 3, 3),
    )
    return _object(
        name=Fixed(name) if name else Name(),
        age=Number(18, 90),
        pronouns=Choice(("she/her", "he/him", "they/them")),
        occupation=Text(1, 6),
        home=Text(1, 6),
        kind=Fixed(kind) if kind else Text(1, 2, plain=True),
        description=Text(12, 36),
        personality=personality,
        interests=List(interest, 3, 5),
        voice=voice,
        appearance=appearance,
        greetings=List(Text(3, 20), 2, 3),
        examples=List(Phrase(("{{user}}: ", Text(2, 10), "\n{{char}}: ", Text(3, 20))), 1, 2),
    )


def parse_persona(text: str, wanted: PersonaWanted) -> dict[str, Any]:
    """The fields of a persona as somebody wrote it, with those that no writer is asked for: its slug and tags.

    A writer without a grammar may have put words or a fence around the object; they are passed over. `ValueError`
    if there is no object.
    """
    start = text.find("{")
    if start < 0:
        raise ValueError("no persona is written here")
    # Whatever begins with a brace is read as an object, or not at all.
    fields: dict[str, Any] = json.JSONDecoder().raw_decode(text, start)[0]
    name = printable(wanted.name) or str(fields.get("name", ""))
    kept = {key: value for key, value in fields.items() if value not in (None, "")}
    return {"slug": slug_of(name), "tags": list(dict.fromkeys(_tags(fields)))} | kept | {"name": name}


def gbnf(schema: Schema) -> str:
    """The grammar of all JSON texts that fit. They are valid UTF-8, whatever the vocabulary."""
    writer = _Writer()
    root = writer.rule(schema)
    lines = [f"root ::= gap {root}", *(f"{name} ::= {body}" for name, body in writer.rules.items())]
    return "\n".join([*lines, TEXT_RULES.strip(), ""])


def escaped(text: str) -> str:
    """A literal: quotation marks around the text, and ASCII alone between them."""
    text.encode()  # half a surrogate pair is no character, and nothing could ever match it
    return '"' + "".join(map(_escaped, text)) + '"'


class _Writer:
    """The rules of one grammar: equal parts share theirs."""

    def __init__(self) -> None:
        self.rules: dict[str, str] = {}
        self._known: dict[Schema, str] = {}

    def rule(self, schema: Schema) -> str:
        """The name of the rule for it."""
        if schema not in self._known:
            body = self._body(schema)
            self._known[schema] = f"{type(schema).__name__.lower()}-{len(self._known) + 1}"
            self.rules[self._known[schema]] = body
        return self._known[schema]

    def _body(self, schema: Schema) -> str:
        match schema:
            case Text():
                return rf'"\"" {_words(schema)} "\""'
            case Name(most):
                return rf'"\"" capital {_repeated("more", 0, most - 1)} "\""'
            case Fixed(text):
                return escaped(_json(text))
            case Phrase(parts):
                inside = (_words(p) if isinstance(p, Text) else escaped(_json(p)[1:-1]) for p in parts)
                return " ".join([r'"\""', *inside, r'"\""'])
            case Choice(options):
                return " | ".join(escaped(_json(option)) for option in options)
            case Number(low, high):
                return " | ".join(_numbers(low, high))
            case List(of, least, most):
                return self._list(self.rule(of), least, most)
            case Object(fields):
                pairs = (rf"{escaped(_json(key) + ':')} gap {self.rule(value)}" for key, value in fields)
                return f'"{{" {""" "," gap """.join(pairs)} "}}"'

    def _list(self, item: str, least: int, most: int) -> str:
        _check_counts(least, most, fewest=1)
        # The inner part has a rule of its own: counts of what stands in brackets multiply.
        more = f"and-{item}"
        self.rules[more] = f'"," gap {item}'
        return f'"[" {item} {_repeated(more, least - 1, most - 1)} "]"'


def _object(**fields: Schema) -> Object:
    return Object(tuple(fields.items()))


def _words(text: Text) -> str:
    _check_counts(text.least, text.most, fewest=1)
    first, following = ("plain", "more") if text.plain else ("first", "next")
    return f"{first} {_repeated(following, text.least - 1, text.most - 1)}".strip()


def _repeated(rule: str, least: int, most: int) -> str:
    _check_counts(least, most, fewest=0)
    return f"{rule}{{{least},{most}}}" if most else ""


def _check_counts(least: int, most: int, *, fewest: int) -> None:
    if not fewest <= least <= most <= MOST_REPEATED:
        raise ValueError(f"from {least} to {most} is nothing that a grammar can count")


def _numbers(low: int, high: int) -> Iterable[str]:
    """Alternatives for a whole number: those of each length, for all of one length have as many digits."""
    if not 0 <= low <= high:
        raise ValueError(f"from {low} to {high} is no range of whole numbers")
    for length in range(len(str(low)), len(str(high)) + 1):
        first = max(low, 10 ** (length - 1) if length > 1 else 0)
        yield from _digits(str(first), str(min(high, 10**length - 1)))


def _digits(low: str, high: str) -> Iterable[str]:
    """Alternatives for the numbers between two of one length."""
    rest = len(low) - 1
    zeros, nines = "0" * rest, "9" * rest
    if low[1:] == zeros and high[1:] == nines:
        yield " ".join([f"[{low[0]}-{high[0]}]", *["[0-9]"] * rest])
    elif low[0] == high[0]:
        yield from (f"[{low[0]}] {tail}" for tail in _digits(low[1:], high[1:]))
    else:
        start, end = int(low[0]), int(high[0])
        if low[1:] != zeros:
            yield from _digits(low, low[0] + nines)
            start += 1
        if high[1:] != nines:
            end -= 1
        if start <= end:
            yield from _digits(f"{start}{zeros}", f"{end}{nines}")
        if high[1:] != nines:
            yield from _digits(high[0] + zeros, high)


def _json(text: str) -> str:
    """As JSON writes a string, accents and all; characters that no UTF-8 has are spelt out."""
    written = json.dumps(text, ensure_ascii=False)
    try:
        written.encode()
    except UnicodeEncodeError:
        return json.dumps(text)
    return written


def _escaped(character: str) -> str:
    code = ord(character)
    if character in '"\\':
        return f"\\{character}"
    if 0x20 <= code < 0x7F:
        return character
    if code == 0:
        raise ValueError("no token of a model holds the character zero")
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def _tags(fields: Mapping[str, Any]) -> Iterable[str]:
    interests = fields.get("interests")
    named = interests if isinstance(interests, list) else []
    for tag in (fields.get("kind"), *(one.get("name") for one in named if isinstance(one, Mapping))):
        if isinstance(tag, str) and tag:
            yield tag

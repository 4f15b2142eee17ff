"""Pure: what did the person say? Cues, names, facts told, and a word worth picking up.

Knows the words in `data/understudy/listening.toml`, and nothing of personas or of what is answered.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.language.phrasing import cleaned

#: As much of a line as is listened to; the rest of a very long one is not pretended to be understood.
HEARD_CHARACTERS = 1_500
_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_NAME = r"([^\W\d_][^\W\d_'-]*(?:['-][^\W\d_]+)*(?: [A-ZÀ-Þ][^\W\d_'-]*(?:['-][^\W\d_]+)*){0,2})"
_TOLD_NAME = re.compile(
    rf"\b(?i:my name(?: is|'s)|call me|the name's|i am called|i'm called|people call me) {_NAME}"
)
_CAPITAL_NAME = re.compile(rf"\b(?i:i'm|i am|im|this is|it's) (?=[A-ZÀ-Þ][^\W\d_]){_NAME}")
_BREAK = re.compile(
    r"[.,;:!?…()\n\"“”—–]| (?:and|but|because|so|which|who|that|since|when|although|if|though|as) "
)
_PLACED = re.compile(r" (?:in|at|for|with|on|near|by|from|last|this|just) ")
_ARTICLE = re.compile(r"^(?:as )?(?:an?|the|my|your) ")
_TRAILING = re.compile(
    r"(?: (?:too|now|really|very much|a lot|so much|at the moment|these days|right now|as well|today))+$"
)
_FACTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("work", re.compile(r"\bi (?:also |used to )?work (as an? [^.]{2,60})", re.I)),
    ("work", re.compile(r"\bi(?:'m| am) (an? [^.]{2,60})", re.I)),
    ("home", re.compile(r"\bi (?:live|am living|'m living) in ([^.]{2,60})", re.I)),
    ("home", re.compile(r"\b[iI](?:'m| am|'m living| come) (?:from|in) (?=[A-ZÀ-Þ])([^.]{2,60})")),
    (
        "likes",
        re.compile(
            r"\bi (?:really |also |just )?(?:like|love|enjoy|adore) (?!you|it|that|this|to |how|when)([^.]{3,60})",
            re.I,
        ),
    ),
    (
        "plays",
        re.compile(
            r"\bi (?:also |still )?play (?!with|in |at |for |on |it|that|games?\b|a |too)([^.]{3,60})", re.I
        ),
    ),
    ("kin", re.compile(r"\b(?:s?he|they)(?:'s| is|'re| are) (an? [^.]{2,60})", re.I)),
    ("learning", re.compile(r"\bi(?:'m| am) (?:learning|studying)(?: to)? ([^.]{3,60})", re.I)),
    ("event", re.compile(r"\b(?:i have|i've got|there's) ((?:an?|my|the|two|three) [^.]{3,60})", re.I)),
    ("event", re.compile(r"\b((?:my|the) [\w' -]{3,30}) is (?:tomorrow|tonight|next \w+|on \w+day)", re.I)),
    (
        "has",
        re.compile(
            r"\bi(?: have|'ve got) ((?:an?|two|three|four|five|six) [^.]{3,60}|kids\b|children\b)", re.I
        ),
    ),
    (
        "lost",
        re.compile(
            r"\b(my [\w' -]{3,40}?) (?:just |has |had )?(?:died|passed away|is dead|was put down)", re.I
        ),
    ),
    ("lost", re.compile(r"\bi(?:'ve)?(?: just)? lost (my [\w'-]+(?: [\w'-]+)?)", re.I)),
    (
        "ailing",
        re.compile(
            r"\b(my [\w' -]{3,40}?)(?: is|'s| was| has been| got| feels| fell) (?:\w+ )?(?:ill|sick|hurt|unwell"
            r"|poorly|injured|in (?:the )?hospital|at the vet|broken)",
            re.I,
        ),
    ),
    (
        "ailing",
        re.compile(
            r"\b(my [\w' -]{3,40}?) (?:has|broke|had)(?: an?| his| her| their)? ?(?:\w+ )?"
            r"(?:cancer|fever|stroke|operation|surgery|accident|leg|arm|flu|dementia)",
            re.I,
        ),
    ),
    ("age", re.compile(r"\bi(?:'m| am) (\d{1,3})(?= years|[.,!? ]*$)", re.I)),
    ("pet", re.compile(r"\b(?i:(?:her|his|its|their) name(?:'s| is)) ([A-ZÀ-Þ][\w'-]+)")),
    ("pet", re.compile(r"\b(?i:s?he|it|they)(?:'s| is|'re| are) (?:called|named) ([A-ZÀ-Þ][\w'-]+)")),
    (
        "theirs",
        re.compile(
            r"\bmy ((?!name|day|week|favou?rite)[\w'-]+(?: [\w'-]+)? (?:is|are|was|were) [^.]{3,50})", re.I
        ),
    ),
)
_YOURS = {
    "i": "you",
    "me": "you",
    "my": "your",
    "mine": "yours",
    "myself": "yourself",
    "am": "are",
    "i'm": "you're",
    "i've": "you've",
    "our": "your",
    "we": "you",
    "your": "my",
}
_TARGETS = (
    re.compile(r"\bfavou?rite ([\w' -]{3,30})", re.I),
    re.compile(
        r"\b(?:think (?:of|about)|opinion (?:of|on|about)|thoughts on|feel about|what about"
        r"|do you (?:like|love|hate|enjoy|believe in))(?: the| an?)? ([\w' -]{3,40})",
        re.I,
    ),
)
_AFTER_ANSWER = "thanks|please|but|and|because|i|it|is|all|of|they|we|he|she|my|to|for|at"
#: "Not much, you?", "fine thanks, and you?": the question is handed back.
_ASKED_BACK = re.compile(r"(?:[,.!;…-]|\band|\babout)\s*you(?:rself)?\W*$", re.I)
#: "ill try" is no illness.
_WILL = re.compile(
    r"\bill (?=(?:try|do|be|go|get|have|see|let|make|think|give|take|check|just|never|probably|tell|ask|come)\b)",
    re.I,
)
#: "heyyy", "soooo": the last letter, three times or more.
_DRAWN_OUT = re.compile(r"(\w{1,20}?)([a-z])\2{2,40}", re.I)
_KEYBOARD = ("asdf", "sdfg", "dfgh", "fghj", "ghjk", "hjkl", "qwer", "wert", "zxcv", "xcvb")


@dataclass(frozen=True)
class Fact:
    """Something the person told: of which sort, and in words that fit after "you" or "your"."""

    kind: str
    about: str


@dataclass(frozen=True)
class Heard:
    """One line of the person's, taken apart."""

    text: str = ""
    words: tuple[str, ...] = ()
    cues: frozenset[str] = frozenset()
    #: One of the kinds of `[answers]` in listening.toml; empty when the line is not such an answer.
    answer: str = ""
    name: str = ""
    facts: tuple[Fact, ...] = ()
    #: A noun phrase with its article ("the kettle", "your kettle"), and a bare word; either may be empty.
    thing: str = ""
    word: str = ""
    #: What a question about favourites or opinions was about.
    target: str = ""
    question: bool = False
    long: bool = False
    shouting: bool = False


@dataclass(frozen=True)
class Vocabulary:
    cues: Mapping[str, re.Pattern[str]]
    answers: Mapping[str, re.Pattern[str]]
    words: Mapping[str, frozenset[str]]
    shorthand: Mapping[str, str]


def vocabulary(table: Mapping[str, Any]) -> Vocabulary:
    """Make the phrases of `listening.toml` ready to be heard."""
    answers = {
        kind: re.compile(
            rf"(?:{_any_of(phrases)})(?:[,.!;…]+\s.*|\s+(?:{_AFTER_ANSWER})\b.*)?\W*", re.I | re.S
        )
        for kind, phrases in table["answers"].items()
    }
    cues = {
        cue: re.compile(rf"(?<![\w'])(?:{_any_of(phrases)})(?![\w'])", re.I)
        for cue, phrases in table["cues"].items()
    }
    words = {kind: frozenset(text.split()) for kind, text in table["words"].items()}
    return Vocabulary(cues, answers, words, table["shorthand"])


def _any_of(phrases: Iterable[str]) -> str:
    def pattern(phrase: str) -> str:
        escaped = re.escape(phrase).replace(r"\*", r"\w*").replace("'", "'?").replace(r"\ ", r"\s+")
        return re.sub(r"(?:\\s\+)?…(?:\\s\+)?", r"(?:\\W+[\\w'-]+){0,3}?\\W+", escaped)

    return "|".join(sorted(map(pattern, phrases), key=len, reverse=True))


def hear(text: str, known: Vocabulary) -> Heard:
    """Everything the understudy makes of one line. Never fails, and never reads more than it says it does."""
    line = _spelt_out(cleaned(text, HEARD_CHARACTERS).replace("’", "'").replace("`", "'"), known)
    words = tuple(w.lower() for w in _WORD.findall(line))
    if not words:
        return Heard(text=line, cues=frozenset({"wordless"} if line else {"silence"}))
    cues = {cue for cue, pattern in known.cues.items() if pattern.search(line)}
    if set(words) & known.words["machines"] and not set(words) & known.words["beings"]:
        cues.discard("grief")  # a telephone dies as well
    if _foreign(line, words, known):
        cues.add("foreign")
    elif _gibberish(words):
        cues.add("gibberish")
    answer = next(
        (kind for kind, pattern in known.answers.items() if len(words) <= 12 and pattern.fullmatch(line)), ""
    )
    if len(words) <= 12 and _ASKED_BACK.search(line):
        answer = "again"
    thing, word = _picked_up(line, known)
    if answer in {"yes", "no", "nod", "fine"} and word.lower() in words[3:]:
        answer = ""  # "no, I teach maths": what follows says more than the answer
    letters = [c for c in line if c.isalpha()]
    return Heard(
        text=line,
        words=words,
        cues=frozenset(cues),
        answer=answer,
        name=_name_told(line, known),
        facts=() if cues & {"crisis", "bounds", "gibberish"} else _facts(line, known),
        thing=thing,
        word=word or thing.split(" ")[-1],
        target=_target(line),
        question=line.rstrip("\"')! ").endswith("?") or words[0] in known.words["asking"],
        long=len(words) > 80 or len(text) > HEARD_CHARACTERS,
        shouting=len(letters) > 12 and sum(c.isupper() for c in letters) > 0.8 * len(letters),
    )


def stem(word: str) -> str:
    """Near enough for English: bakes, baked and baking meet at one stem.

    >>> stem("baking") == stem("bakes") == stem("bake")
    True
    """
    root = word.lower().removesuffix("'s").removesuffix("s'")
    for suffix, instead in (("ies", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if root.endswith(suffix) and len(root) - len(suffix) >= 3:
            root = root[: -len(suffix)] + instead
            break
    if len(root) > 3 and root[-1] == root[-2]:
        root = root[:-1]
    return root.removesuffix("e") if len(root) > 3 else root


def mentions(words: Iterable[str], phrases: Iterable[str]) -> int:
    """How many of the phrases come up among the words, whatever their endings."""
    said = " " + " ".join(map(stem, words)) + " "
    return sum(
        f" {' '.join(map(stem, _WORD.findall(phrase)))} " in said for phrase in phrases if phrase.strip()
    )


def _spelt_out(line: str, known: Vocabulary) -> str:
    """The line as it would be written with more time: "heyyy u ok" is "hey you ok"."""

    def spelt(word: re.Match[str]) -> str:
        found = _DRAWN_OUT.fullmatch(word[0])
        plain = found[1] + found[2] if found and found[1][-1] != found[2] else word[0]
        return known.shorthand.get(plain.lower(), plain)

    return _WILL.sub("I'll ", _WORD.sub(spelt, line))


def _name_told(line: str, known: Vocabulary) -> str:
    found = _TOLD_NAME.search(line) or (None if line.isupper() else _CAPITAL_NAME.search(line))
    if not found:
        return ""
    name = found[1]
    unfit = known.words["not_names"] | known.words["foreign"]
    if name.split()[0].lower() in unfit or len(name) > 40:
        return ""
    return name[0].upper() + name[1:]


def _facts(line: str, known: Vocabulary) -> tuple[Fact, ...]:
    found: list[Fact] = []
    for kind, pattern in _FACTS:
        for match in pattern.finditer(line):
            about = _TRAILING.sub("", _BREAK.split(match[1], maxsplit=1)[0].strip(" '-"))
            about = " ".join(
                (_PLACED.split(about)[0] if kind in {"work", "kin", "lost"} else about).split(" ")[:7]
            )
            sort = _sort_of(kind, about, known)
            if sort and not any(_same(about, fact.about) for fact in found):
                found.append(Fact(sort, _told_as(sort, about)))
    return tuple(found[:4])


def _sort_of(kind: str, about: str, known: Vocabulary) -> str:
    """Where a pattern was too generous ("I'm a bit tired", "I have a headache") nothing was told."""
    words = about.lower().split()
    if kind == "age":
        return kind
    if not any(c.isalpha() for c in about):
        return ""
    if kind in {"work", "kin"}:
        noun = words[2:] if words[0] == "as" else words[1:]
        plain = noun and not set(noun) & (known.words["not_trades"] | known.words["stop"]) and len(noun) <= 3
        return kind if plain else ""
    if kind == "event":
        return kind if set(words) & known.words["occasions"] else ""
    if kind == "has":
        return kind if {w for s in words for w in (s, s.removesuffix("s"))} & known.words["beings"] else ""
    if kind == "lost":
        return kind if {w.removesuffix("'s") for w in words} & known.words["beings"] else ""
    if kind == "theirs":
        return kind if len(words) >= 3 and words[-1] not in {"is", "are", "a", "the", "not", "very"} else ""
    return kind


def _same(about: str, told: str) -> bool:
    """Whether two patterns heard the same thing in one line."""
    fewer, more = sorted((_ARTICLE.sub("", about.lower()), _ARTICLE.sub("", told.lower())), key=len)
    return fewer in more


def _told_as(kind: str, about: str) -> str:
    if kind == "event":
        about = re.sub(r"^(?:an?|my) ", "the ", about, flags=re.I)
    return _turned(about.removeprefix("as ") if kind == "work" else about)


def _turned(phrase: str) -> str:
    """The person's words as said back to them: my dog becomes your dog."""
    return " ".join(_YOURS.get(word.lower(), word) for word in phrase.split())


def _target(line: str) -> str:
    for pattern in _TARGETS:
        if found := pattern.search(line):
            target = _TRAILING.sub("", _BREAK.split(found[1], maxsplit=1)[0].strip())
            if target and target.lower() not in {"you", "me", "it", "that", "this", "them", "yourself"}:
                return _turned(target)
    return ""


def _picked_up(line: str, known: Vocabulary) -> tuple[str, str]:
    """The last noun phrase that follows an article, and the longest word that is not a small one."""
    stop = known.words["stop"] | {"'s"}
    tokens = _WORD.findall(line[:600])
    things: list[str] = []
    for at, token in enumerate(tokens[:-1]):
        article = token.lower()
        if article not in {"a", "an", "the", "my", "our", "this", "these", "his", "her", "their"}:
            continue
        noun: list[str] = []
        for word in tokens[at + 1 : at + 4]:
            small = word.lower()
            if small in stop or len(word) > 20 or (noun and small.endswith(("ed", "ly"))):
                break
            noun.append(word)
        if noun:
            said = {"a": "the", "an": "the", "this": "the", "these": "the", "my": "your", "our": "your"}.get(
                article, article
            )
            things.append(f"{said} {' '.join(noun)}")
    bare = [w for w in tokens if w.lower() not in stop and 3 <= len(w) <= 20 and any(c.isalpha() for c in w)]
    word = max(bare, key=lambda w: (min(len(w), 9), tokens.index(w)), default="")
    return (things[-1] if things else ""), word if word.isupper() or word[:1].islower() or tokens[:1] != [
        word
    ] else word.lower()


def _foreign(line: str, words: tuple[str, ...], known: Vocabulary) -> bool:
    letters = [c for c in line if c.isalpha()]
    beyond = sum(c > "\u024f" and not "\u1e00" <= c <= "\u1eff" for c in letters)
    if beyond * 2 > len(letters):
        return True
    other = sum(w in known.words["foreign"] for w in words)
    ours = sum(w in known.words["stop"] and w not in known.words["foreign"] for w in words)
    return (other >= 2 and other > ours) or (other == 1 and len(words) == 1 and len(words[0]) > 3)


def _gibberish(words: tuple[str, ...]) -> bool:
    long = [w for w in words if len(w) >= 4 and w.isalpha() and w.isascii()]
    if not long or len(words) > 6:
        return False
    return sum(_unsayable(w) for w in long) * 2 > len(long)


def _unsayable(word: str) -> bool:
    commonest = Counter(word).most_common(1)[0][1]
    return (
        re.search(r"[bcdfghjklmnpqrstvwxz]{5}", word) is not None
        or not set(word) & set("aeiouy")
        or any(run in word for run in _KEYBOARD)
        or (len(word) >= 5 and commonest > 0.6 * len(word) and not word.startswith(("haha", "hehe", "hm")))
    )

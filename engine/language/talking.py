"""Pure: what a reply is made from. A persona, what was heard and told, and what was said already.

Knows how the slots of the understudy's lines are filled, and nothing of which lines answer what.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from engine.language import ReplyWanted
from engine.language.listening import Fact, Heard, Vocabulary, hear, mentions
from engine.language.phrasing import (
    Spoken,
    capitalised,
    cleaned,
    pick,
    sentences,
    uncapitalised,
    with_article,
)
from engine.language.picturing import nearest_colour
from personas.persona import Interest, Persona
from personas.prompting import Line

Bank = Mapping[str, Mapping[str, Any]]

#: Lines further back than this are no longer listened to, so that a talk of years costs no more than one of days.
_REMEMBERED_LINES = 400
_HEARD_AGAIN = 50
_MACRO = re.compile(r"\{\{\s*(user|char)\s*\}\}|<(USER|BOT)>", re.I)


@dataclass(frozen=True)
class Talk:
    """What a reply is made from: who answers, what was heard, and what was said before."""

    persona: Persona
    bank: Bank
    rng: Random
    heard: Heard
    spoken: Spoken
    earlier: tuple[Heard, ...]
    facts: tuple[tuple[int, Fact], ...]
    name: str
    own_last: str
    interest: Interest | None
    #: Whether the person's own words brought up that interest.
    on_topic: bool
    values: Mapping[str, str]

    def say(self, section: str, key: str = "say", **more: str) -> str:
        """A line of this section; one of its `unknown` ones where the persona has nothing to fill the others."""
        values = {**self.values, **_with_capitals(more)}
        said = pick(self._lines(section, key), self.spoken, self.rng, values)
        return said or pick(self._lines(section, "unknown"), self.spoken, self.rng, values)

    def ask(self, section: str, key: str = "ask", **more: str) -> str:
        """A question of this section that was never asked in this talk, or nothing."""
        values = {**self.values, **_with_capitals(more)}
        return pick(self._lines(section, key), self.spoken, self.rng, values, repeat=False)

    def _lines(self, section: str, key: str) -> Sequence[str]:
        lines: Sequence[str] = self.bank.get(section, {}).get(key, ())
        return lines


def talk_of(wanted: ReplyWanted, bank: Bank, known: Vocabulary, attempt: int) -> Talk:
    persona, lines = wanted.persona, wanted.lines[-_REMEMBERED_LINES:]
    last = lines[-1] if lines else Line(by_persona=True, text="")
    heard = Heard() if last.by_persona else hear(last.text, known)
    earlier = tuple(hear(line.text, known) for line in lines[:-1][-_HEARD_AGAIN:] if not line.by_persona)
    mine = [cleaned(line.text) for line in lines if line.by_persona]
    spoken = Spoken.of([*mine, *map(cleaned, wanted.rejected)])
    own_last = mine[-1] if mine and len(lines) > 1 and lines[-2].by_persona else ""
    named = [h.name for h in (*earlier, heard) if h.name]
    name = named[-1] if named else _first_name(wanted.person_name)
    seeded = f"{wanted.seed}|{attempt}|{persona.slug}|{len(wanted.lines)}|{last.text[:4000]}|{own_last}"
    rng = Random(zlib.crc32(seeded.encode("utf-8", "surrogatepass")))
    everything = (*earlier, heard)
    facts = tuple((len(everything) - 1 - at, fact) for at, h in enumerate(everything) for fact in h.facts)
    persona = _spoken_to(persona, name)
    interest, on_topic = _interest(persona, heard, own_last, known)
    about = facts[-1][1].about if heard.facts else _being(heard, facts)
    values = _values(persona, heard, spoken, rng, interest, name, about)
    values["comfort"] = pick(persona.voice.comforts or bank["comforts"]["say"], spoken, rng)
    values |= _with_capitals({"colour": nearest_colour(persona.picture.palette[:1], bank["colours"])})
    return Talk(persona, bank, rng, heard, spoken, earlier, facts, name, own_last, interest, on_topic, values)


def _score(interest: Interest, heard: Heard, known: Vocabulary) -> int:
    named = re.findall(r"[^\W_]+", interest.name)
    named = [word for word in named if len(word) > 3 and word.lower() not in known.words["stop"]]
    return mentions(heard.words, dict.fromkeys((*interest.words, *named)))


def _interest(
    persona: Persona, heard: Heard, own_last: str, known: Vocabulary
) -> tuple[Interest | None, bool]:
    """What is being talked of, by the person's words or else by the persona's own last; and if by theirs."""
    scored = [(_score(interest, heard, known), interest) for interest in persona.interests]
    best = max(scored, key=lambda pair: pair[0], default=(0, None))
    if best[0]:
        return best[1], True
    for interest in persona.interests:
        if own_last and any(line in own_last for line in (*interest.questions, *interest.remarks)):
            return interest, False
    return None, False


def _values(
    persona: Persona,
    heard: Heard,
    spoken: Spoken,
    rng: Random,
    interest: Interest | None,
    name: str,
    about: str,
) -> dict[str, str]:
    """What the slots of the bank's lines may hold in this reply. Empty ones rule their lines out."""
    tastes, looks = persona.personality, persona.appearance
    likes, dislikes = _brief(tastes.likes), _brief(tastes.dislikes)
    rng.shuffle(likes)
    likes.sort(key=lambda like: spoken.holds(like))
    offered = interest or (rng.choice(persona.interests) if persona.interests else None)
    steady = zlib.crc32(persona.slug.encode())
    outfits, places = [o.description for o in looks.wardrobe], list(looks.places)
    occupation = uncapitalised(cleaned(persona.occupation, 80).rstrip("."))
    values = {
        "me": cleaned(persona.called, 80),
        "name": name,
        "occupation": occupation,
        "an_occupation": occupation if re.match(r"(?:an?|the) ", occupation) else with_article(occupation),
        "home": cleaned(persona.home, 80).rstrip("."),
        "age": str(persona.age) if persona.age is not None else "",
        "like": uncapitalised(likes[0]) if likes else "",
        "like_too": uncapitalised(likes[1]) if len(likes) > 1 else "",
        "dislike": uncapitalised(pick(dislikes, spoken, rng)) if dislikes else "",
        "quirk": pick(_brief(tastes.quirks), spoken, rng),
        "note": pick(_notes(persona), spoken, rng, repeat=False),
        "interest": cleaned(offered.name, 60) if offered else "",
        "remark": _remark(persona, offered, spoken, rng),
        "opener": pick(persona.voice.openers, spoken, rng, repeat=False),
        "clothes": outfits[steady % len(outfits)].rstrip(". ") if outfits else "",
        "place": places[steady % len(places)].rstrip(". ") if places else "",
        "body": ", ".join(cleaned(part, 120).rstrip(". ") for part in (looks.hair, looks.eyes) if part),
        "thing": heard.thing,
        "word": heard.word,
        "target": cleaned(heard.target, 60),
        "about": about,
    }
    return {**values, **_with_capitals(values)}


def _remark(persona: Persona, interest: Interest | None, spoken: Spoken, rng: Random) -> str:
    """Something the persona has not said yet: of this interest while there is any, else of another."""
    if interest is None:
        return ""
    if own := pick(interest.remarks, spoken, rng, repeat=False):
        return own
    return pick([r for other in persona.interests for r in other.remarks], spoken, rng, repeat=False)


def _with_capitals(values: Mapping[str, str]) -> dict[str, str]:
    return {**values, **{f"{slot}_cap": capitalised(value) for slot, value in values.items()}}


def _brief(lines: Sequence[str]) -> list[str]:
    return [cleaned(line, 160).rstrip(". ") for line in lines if line.strip()]


def _notes(persona: Persona) -> list[str]:
    """Sentences of the description that read as sentences; cards often hold lists and code instead."""
    told = sentences(cleaned(persona.description, 3_000))
    return [
        s
        for s in told
        if 25 <= len(s) <= 180 and s.endswith((".", "!")) and not set(s) & set('{}[]<>=|*_:#+"“”')
    ]


def _being(heard: Heard, facts: Sequence[tuple[int, Fact]]) -> str:
    """Whom a sad line is about, if it is about somebody other than the one who writes."""
    return heard.thing if heard.thing.startswith("your ") and not facts else ""


def _first_name(person_name: str) -> str:
    """A display name as it can be said aloud; what is no name is left out."""
    parts = [
        p
        for p in cleaned(person_name, 60).split(" ")
        if len(p) <= 24 and all(c.isalpha() or c in "'’-" for c in p)
    ]
    first = next((part for part in parts if part.istitle()), parts[0] if parts else "")
    return capitalised(first) if first.islower() else first


def _spoken_to(persona: Persona, name: str) -> Persona:
    """The persona's own lines as said to this person: no macros left in them."""

    def said(text: str) -> str:
        return _MACRO.sub(
            lambda m: persona.called if (m[1] or m[2]).lower() in {"char", "bot"} else name or "friend", text
        )

    def all_said(lines: Sequence[str]) -> tuple[str, ...]:
        return tuple(line for line in (said(line).strip() for line in lines) if line)

    voice = persona.voice
    voice = voice.model_copy(
        update={key: all_said(getattr(voice, key)) for key in ("openers", "asides", "comforts", "farewells")}
    )
    interests = tuple(
        i.model_copy(update={"remarks": all_said(i.remarks), "questions": all_said(i.questions)})
        for i in persona.interests
    )
    return persona.model_copy(
        update={
            "voice": voice,
            "interests": interests,
            "greetings": all_said(
                [g for g in persona.greetings[:8] if name or "{{user}}" not in g] or persona.greetings[:8]
            ),
            "description": said(persona.description[:6_000]),
        }
    )

"""Pure: the understudy's captions. A persona, a theme and a day become one or two sentences under a picture.

Knows no model and pretends to none: it says what the persona's card says, and nothing that could have happened.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from random import Random

from engine.language import CaptionWanted
from engine.language.phrasing import Spoken, capitalised, cleaned, pick, sentences, unused, with_article
from personas.macros import expand_shared
from personas.persona import Persona

Bank = Mapping[str, Sequence[str]]

#: A theme is told in a sentence; a longer one is cut at a word.
LONGEST_THEME = 160


def caption(wanted: CaptionWanted, bank: Bank) -> str:
    """What the persona posts. The same for the same wish, and nothing of what it posted last while it has more."""
    persona, theme = wanted.persona, _theme(wanted.theme)
    spoken = Spoken.of(map(cleaned, (*wanted.recent, *wanted.rejected)))
    told = f"{wanted.seed}|{persona.slug}|{theme}|{wanted.weekday}|{wanted.part}|{len(wanted.rejected)}"
    rng = Random(zlib.crc32(told.encode("utf-8", "surrogatepass")))
    values = _values(persona, spoken, rng) | {
        "theme": theme,
        "day": wanted.weekday or "today",
        "part": wanted.part or "day",
    }
    if not theme and values["remark"] and not spoken.holds(values["remark"]) and rng.random() < 0.3:
        return values["remark"]
    line = pick(bank["themed" if theme else "plain"], spoken, rng, values)
    begins = rng.random() < 0.4 and opening(persona, wanted.recent, bank, rng.randrange(1_000))
    return f"{begins} {capitalised(line)}" if begins else capitalised(line)


def opening(persona: Persona, recent: Sequence[str], bank: Bank, seed: int) -> str:
    """Words to begin a post with that none of the last ones began with: the persona's own, or the understudy's."""
    begun = [cleaned(text).casefold() for text in recent]
    own = [cleaned(one) for one in persona.voice.openers if cleaned(one)[-1:] in (".", "!", "…", ":")]
    for several in (own, list(bank["openings"])):
        fresh = [one for one in several if not any(text.startswith(one.casefold()) for text in begun)]
        if fresh:
            return fresh[seed % len(fresh)]
    return ""


def _theme(words: str) -> str:
    """A theme as it stands in the middle of a sentence."""
    theme = cleaned(words).rstrip(".!,;: ")
    if len(theme) > LONGEST_THEME:
        theme = f"{theme[:LONGEST_THEME].rpartition(' ')[0] or theme[:LONGEST_THEME]} …"
    return theme


def _values(persona: Persona, spoken: Spoken, rng: Random) -> dict[str, str]:
    """What the slots are filled with, each drawn once; empty where the card says nothing."""

    def one(several: Sequence[str]) -> str:
        told = [expand_shared(text, persona.called) for text in several if text.strip()]
        fresh = unused(told, spoken) or told
        return cleaned(rng.choice(fresh)).rstrip(".") if fresh else ""

    interest = rng.choice(persona.interests) if persona.interests else None
    summary = sentences(persona.personality.summary)[:1]
    remarks = [remark for each in persona.interests for remark in each.remarks]
    fresh = unused(remarks, spoken) or remarks
    remark = expand_shared(rng.choice(fresh), persona.called) if fresh else ""
    occupation = cleaned(persona.occupation)
    return {
        "me": cleaned(persona.called),
        "occupation": occupation,
        "an_occupation": with_article(occupation),
        "home": cleaned(persona.home).split(",")[0],
        "like": one(persona.personality.likes),
        "dislike": one(persona.personality.dislikes),
        "quirk": one(persona.personality.quirks),
        "interest": cleaned(interest.name) if interest else "",
        "note": one(summary),
        "remark": cleaned(remark),
    }

"""A persona in words: the structured fields as a short text that a person and a model can both read.

Used wherever a persona is described: in prompts and in character cards. Where there is nothing but a written
description, that description is the text, unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable

from personas.persona import Persona


def description_of(persona: Persona) -> str:
    """Who they are, what they look like, what they care about, how they talk."""
    lines = [identity_of(persona), persona.description]
    look = persona.appearance
    lines += [
        _labelled("Looks", [look.body]),
        _labelled("Wears", (f"{o.name} ({o.description})" for o in look.wardrobe), "; "),
        _labelled("Often found", look.places, "; "),
        _labelled("Cares about", (interest.name for interest in persona.interests)),
        voice_of(persona),
    ]
    return "\n".join(line for line in lines if line)


def identity_of(persona: Persona) -> str:
    """One sentence of plain facts, or nothing where only the name is known."""
    facts = []
    if persona.age is not None:
        facts.append(f"{persona.age} years old")
    facts += [fact for fact in (persona.pronouns, persona.kind, persona.occupation) if fact]
    if persona.home:
        facts.append(f"lives in {persona.home}")
    if not facts:
        return ""
    called = f", called {persona.nickname}" if persona.nickname and persona.nickname != persona.name else ""
    return f"{persona.name}{called}: {', '.join(fact.rstrip('. ') for fact in facts)}."


def personality_of(persona: Persona) -> str:
    """How they are: the summary, then traits, likes, dislikes and quirks."""
    how = persona.personality
    lines = [
        how.summary,
        _labelled("Traits", how.traits),
        _labelled("Likes", how.likes),
        _labelled("Dislikes", how.dislikes),
        _labelled("Quirks", how.quirks, "; "),
    ]
    return "\n".join(line for line in lines if line)


def voice_of(persona: Persona) -> str:
    """How they talk, and what they never say."""
    voice = persona.voice
    lines = [
        _labelled("Way of speaking", [voice.manner]),
        _labelled("Might say", [f"“{line}”" for line in (*voice.openers[:2], *voice.asides[:2])], " "),
        _labelled("Never says", voice.avoids, "; "),
    ]
    return "\n".join(line for line in lines if line)


def interests_of(persona: Persona) -> str:
    """What they care about, each with one thing they say of it."""
    lines = []
    for interest in persona.interests:
        remark = f": {interest.remarks[0]}" if interest.remarks else ""
        lines.append(f"- {interest.name}{remark}")
    return "\n".join(lines)


def _labelled(label: str, parts: Iterable[str], between: str = ", ") -> str:
    words = between.join(part.strip() for part in parts if part.strip())
    return f"{label}: {words}" if words else ""

"""Pure: a persona and what was said become prompt segments. Knows no model, no tokens and no clock.

The order is what makes many chats cheap: first the persona's shared part, byte-identical for everybody; then
what belongs to this chat; the one block that changes every turn comes just before the last words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from personas.appearance import Scene
from personas.lorebook import Entry
from personas.macros import expand, expand_shared
from personas.persona import Persona, Rating, hash_of
from personas.portrait import description_of, interests_of, personality_of


class Reach(StrEnum):
    """How far a segment's text stays the same, and so how long its computed form may be kept."""

    SHARED = "shared"
    CHAT = "chat"
    VOLATILE = "volatile"


@dataclass(frozen=True)
class Segment:
    reach: Reach
    role: str
    text: str
    #: What the person showed with it: files, as a model that sees takes them.
    pictures: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Line:
    """One thing said, by the persona or by the person."""

    by_persona: bool
    text: str
    name: str = ""
    pictures: tuple[bytes, ...] = field(default=(), repr=False)


#: When a talk outgrows its room this share of it is left standing, so that the next trim is far away.
KEPT_AFTER_TRIM = 0.5

#: Who speaks in example dialogue where no person is meant.
_EXAMPLE_SPEAKER = "Person"

_RATINGS = {
    Rating.ALL_AGES: "suitable for all ages: everybody fully dressed, nothing violent, nothing suggestive",
    Rating.MATURE: "for grown-ups: may be sensual or dark, no nudity, no gore; adults only",
    Rating.ADULT: "for adults: nudity is allowed where the scene asks for it; adults only",
}


def segments(
    persona: Persona,
    lines: Sequence[Line],
    *,
    shared: str,
    person_name: str,
    lore: Sequence[Entry] = (),
    memories: Sequence[str] = (),
    scene_note: str = "",
    summary: str = "",
    room_chars: int,
) -> tuple[Segment, ...]:
    """The prompt for the persona's next words. `shared` is its `shared_part`, made once and kept by the caller.

    `room_chars` is the room for what was said, which should be given from its beginning each time (see `kept`).
    The last line stands behind the block that changes every turn, so it is volatile where it stands, too.
    """
    prompt = [Segment(Reach.SHARED, "system", shared)]
    if summary.strip():
        prompt.append(
            Segment(Reach.CHAT, "system", f"What happened earlier in this chat:\n{summary.strip()}")
        )
    said = kept(lines, room_chars)
    prompt += [_spoken(line, Reach.CHAT, room_chars) for line in said[:-1]]
    block = volatile_part(
        persona,
        person_name=person_name,
        lore=lore,
        memories=memories,
        scene_note=scene_note,
        moment=len(lines),
    )
    if block:
        prompt.append(Segment(Reach.VOLATILE, "system", block))
    prompt += [_spoken(line, Reach.VOLATILE, room_chars) for line in said[-1:]]
    return tuple(prompt)


def shared_part(persona: Persona, instructions: str) -> str:
    """What everybody who talks with this persona has in common: no person's name, no chance, no time."""

    def words(text: str, **more: str) -> str:
        return expand_shared(text, persona.called, **more).strip()

    default = words(instructions)
    told = words(persona.system_prompt, original=default) if persona.system_prompt.strip() else default
    parts = [
        told,
        _titled(f"Who {one_line(persona.name, 80)} is", words(description_of(persona))),
        _titled("How you are", words(personality_of(persona))),
        _titled("What you like to say about what you care about", words(interests_of(persona))),
        _titled("Where things stand", words(persona.scenario)),
        _titled(
            "How you talk; examples, not part of this chat",
            "\n\n".join(words(block, somebody=_EXAMPLE_SPEAKER) for block in persona.examples),
        ),
    ]
    return "\n\n".join(part for part in parts if part)


def volatile_part(
    persona: Persona,
    *,
    person_name: str,
    lore: Sequence[Entry] = (),
    memories: Sequence[str] = (),
    scene_note: str = "",
    moment: int = 0,
) -> str:
    """The one block that is new every turn: lore, memories, the scene, the name, the last instructions."""
    name = one_line(person_name, 80)
    seed = hash_of(persona.slug)

    def words(text: str) -> str:
        # Other people's instructions may ask for ours; here ours have been given already.
        return expand(
            text,
            persona_name=persona.called,
            person_name=name or "the person",
            seed=seed,
            moment=moment,
            original="",
        ).strip()

    parts = [
        _titled("What you know", "\n".join(filter(None, (words(entry.content) for entry in lore)))),
        _titled("What you remember", "\n".join(f"- {one_line(m, 500)}" for m in memories if m.strip())),
        _titled("Right now", scene_note.strip()),
        f"You are talking with {name}." if name else "",
        words(persona.post_history_instructions),
    ]
    return "\n\n".join(part for part in parts if part)


def kept(lines: Sequence[Line], room_chars: int) -> tuple[Line, ...]:
    """The latest lines that fit, trimmed in large steps.

    Reads the talk from its beginning: whenever it outgrows the room, whole lines are dropped until half the room
    is free again. So the first line that is kept stays the first one for many turns, whatever is said next.
    The last line is kept in any case.
    """
    sizes = [min(len(line.text), room_chars) + len(line.name) for line in lines]
    return tuple(lines[first_kept(sizes, room_chars) :])


def first_kept(sizes: Sequence[int], room: int) -> int:
    """Which is the first of a row of things that is kept where only so much fits; see `kept`."""
    first, spent = 0, 0
    left = int(room * KEPT_AFTER_TRIM)
    for place, size in enumerate(sizes):
        spent += size
        if spent > room:
            while spent > left and first < place:
                spent -= sizes[first]
                first += 1
    return first


def unseen(kinds: Iterable[str]) -> str:
    """What somebody is told who cannot see what came with the last words."""
    return f"With these words came something that you cannot see: {', '.join(sorted(set(kinds)))}."


def without_pictures(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """The same for a model that does not see: of pictures that came with the last words it is told."""
    plain = [replace(one, pictures=()) if one.pictures else one for one in segments]
    last = max((place for place, one in enumerate(segments) if one.role == "user"), default=-1)
    if last < 0 or not segments[last].pictures:
        return tuple(plain)
    block = plain[last - 1] if last else None
    if block is not None and block.role == "system" and block.reach is Reach.VOLATILE:
        plain[last - 1] = replace(block, text=f"{block.text}\n\n{unseen(['picture'])}")
    else:
        plain.insert(last, Segment(Reach.VOLATILE, "system", unseen(["picture"])))
    return tuple(plain)


def picture_segments(
    scene: Scene, *, instructions: str, style_words: str, rating: Rating
) -> tuple[Segment, ...]:
    """The brief from which a picture's prompt is written: who, where and how, and the person's wish by itself.

    The milder of the two ratings counts, the persona's own and the one allowed here.
    """
    persona = scene.persona
    milder = min(rating, persona.rating, key=lambda one: one.level)
    taste = persona.picture
    # Without a description of the body, the written one is all there is to go by.
    look = persona.appearance.body or expand_shared(persona.description, persona.called)[:1_500]
    known = [
        ("Name", persona.name),
        ("Age", "" if persona.age is None else str(persona.age)),
        ("Kind", persona.kind),
        ("Looks, the same in every picture", look),
        ("Light they like", taste.light),
        ("Colours", ", ".join(taste.palette)),
        ("Never show", taste.avoid),
    ]
    now = [
        ("Wears", scene.clothes),
        ("Place", scene.place),
        ("Time", scene.ledger.time),
        ("Mood", scene.ledger.mood),
        ("Style", style_words),
        ("Rating", _RATINGS[milder]),
    ]
    who = "\n\n".join([expand_shared(instructions, persona.called).strip(), _listed(known)]).strip()
    asked = scene.request.strip()
    brief = [Segment(Reach.SHARED, "system", who), Segment(Reach.VOLATILE, "system", _listed(now))]
    wish = asked or "Surprise me: an everyday moment that suits them."
    return (*brief, Segment(Reach.VOLATILE, "user", wish))


def one_line(text: str, limit: int) -> str:
    """Text from outside as part of one of our lines: it can open no line of its own."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:limit]


def _spoken(line: Line, reach: Reach, room_chars: int) -> Segment:
    text = line.text if len(line.text) <= room_chars else line.text[:room_chars]
    if line.by_persona:
        return Segment(reach, "assistant", text)
    name = one_line(line.name, 80) if line.name else ""
    return Segment(reach, "user", f"{name}: {text}" if name else text, line.pictures)


def _titled(title: str, text: str) -> str:
    return f"{title}:\n{text}" if text else ""


def _listed(facts: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"{label}: {text.strip()}" for label, text in facts if text.strip())

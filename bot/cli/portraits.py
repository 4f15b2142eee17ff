"""How the cast and a persona look on a terminal. What people wrote is drawn as text, never as markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bot.cli import listing
from bot.cli.opening import console
from bot.terminal.drawing import QUIET, WIDEST, accent_of, fitting
from bot.terminal.words import counted, safe, safe_line
from engine.store.records import PersonaRecord
from personas import macros
from personas.persona import Persona


def draw_cast(cast: Sequence[PersonaRecord]) -> None:
    """Everybody, one a row."""
    out = console()
    if not cast:
        out.print(Text("Nobody is in the cast. `greenroom personas new` writes somebody."))
        return
    roomy = out.width >= 110
    table = Table(box=box.SIMPLE_HEAD, header_style=QUIET, pad_edge=False)
    table.add_column("slug", no_wrap=True)
    table.add_column("name", no_wrap=True)
    table.add_column("age", justify="right", min_width=3)
    table.add_column("work", no_wrap=True)
    table.add_column("type", no_wrap=True)
    if roomy:
        table.add_column("id", justify="right", style=QUIET)
        table.add_column("origin", style=QUIET, no_wrap=True)
    names = {record.id: fitting(record.persona.name, 26) for record in cast}
    for record in cast:
        persona = record.persona
        origin = record.origin if record.revision == 1 else f"{record.origin}, r{record.revision}"
        row = [
            Text(persona.slug),
            Text(names[record.id], f"bold {accent_of(persona.picture.palette)}"),
            Text(str(persona.age) if persona.age is not None else ""),
            Text(fitting(persona.occupation, 80)),
            Text(fitting(persona.kind, 10)),
        ]
        table.add_row(*row, *((str(record.id), origin) if roomy else ()))
    listing.draw(out, table, whole=("slug", "age"))
    out.print(Text(f" {counted(len(cast), 'persona')}. `greenroom chat SLUG` talks to one.", QUIET))


def draw_persona(record: PersonaRecord) -> None:
    """One persona, on a page."""
    out = console()
    persona = record.persona
    accent = accent_of(persona.picture.palette)
    page = Group(*_page(persona, record, accent))
    out.print(Padding(page, (1, 2)), width=min(out.width, WIDEST + 4))


def _page(persona: Persona, record: PersonaRecord, accent: str) -> Iterable[RenderableType]:
    yield _head(persona, accent)
    yield Text(_facts(persona), style=QUIET)
    if persona.description:
        yield Text()
        yield Text(safe(persona.description))
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style=accent, justify="right", no_wrap=True)
    rows.add_column()
    for label, value in _rows(persona):
        if value.strip():
            rows.add_row(label, Text(safe(value)))
    yield Text()
    yield rows
    for greeting in persona.greetings[:1]:
        yield Text()
        yield Text(f"“{safe(_spoken(greeting, persona)).strip()}”", style="italic")
    yield Text()
    rest = [
        f"slug {persona.slug}",
        f"id {record.id}",
        f"{record.origin}, revision {record.revision}",
        f"rated {persona.rating.value}",
        counted(len(persona.greetings), "greeting"),
        counted(len(persona.examples), "example"),
    ]
    if persona.lorebook is not None:
        rest.append(counted(len(persona.lorebook.entries), "lore entry", "lore entries"))
    if persona.card:
        rest.append("came as a card, kept whole")
    yield Text(" · ".join(rest), style=QUIET)


def _head(persona: Persona, accent: str) -> Text:
    head = Text().append(safe_line(persona.name), f"bold {accent}")
    if persona.nickname:
        head.append(f"  “{safe_line(persona.nickname)}”")
    head.append("  ")
    for colour in persona.picture.palette:
        head.append("██", colour)
    return head


def _facts(persona: Persona) -> str:
    facts = [str(persona.age) if persona.age is not None else "", persona.pronouns, persona.occupation]
    return " · ".join(safe_line(fact) for fact in (*facts, persona.home, persona.kind) if fact)


def _spoken(text: str, persona: Persona, to: str = "you") -> str:
    return macros.expand(text, persona_name=persona.called, person_name=to, seed=0)


def _rows(persona: Persona) -> Iterable[tuple[str, str]]:
    how, look = persona.personality, persona.appearance
    yield "is", how.summary
    yield "traits", ", ".join(how.traits)
    yield "likes", ", ".join(how.likes)
    yield "dislikes", ", ".join(how.dislikes)
    yield "quirks", "; ".join(how.quirks)
    yield "cares for", ", ".join(interest.name for interest in persona.interests)
    yield "talks", persona.voice.manner
    yield "looks", look.body
    yield "wears", ", ".join(outfit.name for outfit in look.wardrobe)
    yield "found at", "; ".join(look.places)
    yield "pictures", ", ".join(part for part in (persona.picture.style, persona.picture.light) if part)
    yield "scenario", _spoken(persona.scenario, persona, to="the guest")
    yield "tags", ", ".join(persona.tags)

"""How a talk looks in a terminal: replies, notices, pictures, work under way. Pure: text in, text to print out."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text

from bot.terminal.words import safe, safe_line

Message = dict[str, Any]

#: Lines longer than this tire the eye.
WIDEST = 88
INDENT = "  "
#: How many columns a preview takes; half as many rows.
PREVIEW_COLUMNS = 40
QUIET = "bright_black"


def accent_of(palette: Sequence[str]) -> str:
    """A persona's own colour, as light as can be read on a dark and on a light ground."""
    chosen = palette[1] if len(palette) > 1 else palette[0] if palette else "#8a9a9f"
    try:
        red, green, blue = (int(chosen[at : at + 2], 16) / 255 for at in (1, 3, 5))
    except ValueError:
        return "#8a9a9f"
    hue, light, full = colorsys.rgb_to_hls(red, green, blue)
    red, green, blue = colorsys.hls_to_rgb(hue, min(0.66, max(0.46, light)), full)
    return "#" + "".join(f"{round(part * 255):02x}" for part in (red, green, blue))


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, indented; an empty line stays one."""
    room = max(8, min(WIDEST, width - 1) - len(INDENT))
    console = Console(file=io.StringIO(), width=room)
    lines = Text(safe(text)).wrap(console, room)
    return [(INDENT + line.plain).rstrip() for line in lines]


def reply(name: str, accent: str, text: str, source: str | None, width: int) -> Text:
    """What a persona says, under its name; who stood in is said quietly beside it."""
    drawn = heading(name, accent, "understudy" if source == "understudy" else "")
    body = Text("\n".join(wrapped(text, width)))
    body.highlight_regex(r"(?<!\*)\*[^*\n]+\*(?!\*)", Style(italic=True))
    return drawn.append("\n").append(body).append("\n")


def heading(name: str, accent: str, aside: str = "") -> Text:
    drawn = Text().append(safe_line(name), Style(color=accent, bold=True))
    return drawn.append(f" · {aside}", Style(color=QUIET)) if aside else drawn


def spoken(text: str, width: int) -> Text:
    """What the person said."""
    lines = wrapped(text, width)
    drawn = Text("› ", Style(bold=True))
    return drawn.append("\n".join(lines)[len(INDENT) :], Style(bold=True)).append("\n")


def notice(text: str, width: int) -> Text:
    """What the house says, set back from the talk."""
    drawn = Text("\n".join(wrapped(text, width)) + "\n", Style(italic=True))
    drawn.highlight_regex(r"(?m)^\s*/[a-z]+", Style(bold=True, italic=False))
    return drawn


def quietly(text: str, width: int) -> Text:
    return Text("\n".join(wrapped(text, width)) + "\n", Style(color=QUIET))


def picture(message: Message, path: Path | None, width: int) -> Text:
    """What a picture is and where it lies."""
    drawn = Text()
    for line in wrapped(message["scene"], width):
        drawn.append(line + "\n")
    drawn.append(INDENT + facts(message) + "\n", Style(color=QUIET))
    if path is not None:
        drawn.append(INDENT)
        drawn.append(f"{path}\n", Style(link=path.as_uri(), underline=True))
    return drawn


def facts(message: Message) -> str:
    """Style, size, seed, words, and whether it is a stand-in: on one line."""
    parts = [
        message["style"],
        f"{message['width']}×{message['height']}",
        f"seed {message['seed']}",
        f"{message['word_count']} words",
    ]
    if message["stand_in"]:
        parts.append("stand-in")
    return safe_line(" · ".join(parts))


def preview(png: bytes, width: int) -> Text | None:
    """A picture in half blocks; None where there is no room, or no picture in the bytes."""
    from PIL import Image

    columns = min(PREVIEW_COLUMNS, width - len(INDENT) - 1)
    if columns < 16:
        return None
    try:
        with Image.open(io.BytesIO(png)) as opened:
            rows = max(1, round(columns * opened.height / opened.width / 2))
            if rows > columns:
                columns, rows = max(8, columns * columns // rows), columns
            small = opened.convert("RGB").resize((columns, rows * 2), Image.Resampling.LANCZOS)
    except (OSError, ValueError):
        return None
    pixels = small.tobytes()
    drawn = Text()
    for row in range(rows):
        drawn.append(INDENT)
        for column in range(columns):
            upper, lower = (((2 * row + half) * columns + column) * 3 for half in (0, 1))
            drawn.append("▀", Style(color=_hex(pixels, upper), bgcolor=_hex(pixels, lower)))
        drawn.append("\n")
    return drawn


def _hex(pixels: bytes, at: int) -> str:
    return f"#{pixels[at]:02x}{pixels[at + 1]:02x}{pixels[at + 2]:02x}"


def bar(step: int, steps: int, width: int = 20) -> str:
    """Work under way, as a bar of a fixed width."""
    done = round(width * step / steps) if steps else 0
    return "━" * done + "╌" * (width - done)


def fitting(text: str, width: int) -> str:
    """One line that fits, cut where it must be."""
    line = safe_line(text)
    if cell_len(line) <= width:
        return line
    while line and cell_len(line) > width - 1:
        line = line[:-1]
    return line + "…"

"""Faces: a medal in a persona's colours while there is no picture of it, and a picture cut to a face once there is.

It knows a persona's name, colours and what it is about. Where faces are shown, and how round, it does not know.
"""

from __future__ import annotations

import hashlib
from io import BytesIO
from random import Random

from PIL import Image, ImageDraw

from engine.pictures.compositions import compose
from engine.pictures.lettering import Face, Lettering
from engine.pictures.sheet import BLACK, WHITE, Colour, Palette, Sheet, grained, legible, mix
from personas.persona import Persona

#: A face is drawn at this side and reduced, so that it is the same face however small it is shown.
SIDE = 512
SIDES = range(16, 2049)
#: The medal's radius, in shares of the side: what is around it still shows in a round crop.
MEDAL = 0.325
#: Where the square begins that is cut from a tall picture, in shares of what is left out: heads are near the top.
HEADROOM = 0.12


def draw_face(persona: Persona, side: int) -> bytes:
    """A square PNG, the same for the same persona: its initials on a medal, before what it is about."""
    side = min(max(side, SIDES[0]), SIDES[-1])
    large = max(side, SIDE)
    rng = Random(hashlib.blake2b(persona.slug.encode(), digest_size=16).digest())
    palette = Palette.of(persona.picture.palette)
    sheet, _ = compose(large, large, palette, _about(persona), rng)
    image = grained(sheet.finished(large, large), rng)
    _strike(image, persona.name, palette, dark=rng.random() < 0.5)
    return _png(image.resize((side, side), Image.Resampling.LANCZOS))


def fit_face(png: bytes, side: int) -> bytes:
    """A square PNG cut from the upper part of a picture; at 128 pixels it has at most 64 KiB."""
    with Image.open(BytesIO(png)) as opened:
        image = opened.convert("RGB")
    whole = min(image.size)
    left = (image.width - whole) // 2
    top = round((image.height - whole) * HEADROOM)
    face = image.crop((left, top, left + whole, top + whole))
    return _png(face.resize((side, side), Image.Resampling.LANCZOS))


def _about(persona: Persona) -> str:
    """What chooses the ground behind the medal, in the words that call for one."""
    said = " ".join((persona.kind, *persona.tags, persona.occupation)).strip()
    return said or "pattern"


def _strike(image: Image.Image, name: str, palette: Palette, *, dark: bool) -> None:
    """The medal, in the middle of the picture."""
    side = image.width
    ink = palette.light if dark else palette.ground
    field = mix(palette.ground, BLACK, 0.1) if dark else mix(palette.light, WHITE, 0.25)
    rim = palette.accent
    ink = legible(ink, field, 7)
    disc, mask = Sheet(side, side, field), Sheet(side, side, BLACK)
    centre, radius = disc.w / 2, disc.w * MEDAL
    disc.disc(centre, centre, radius * 1.12, field)
    disc.disc(centre, centre, radius * 1.06, rim)
    disc.disc(centre, centre, radius * 0.97, field)
    disc.ring(centre, centre, radius * 0.9, mix(rim, field, 0.35), radius * 0.014)
    mask.disc(centre, centre, radius * 1.12, WHITE)
    image.paste(disc.finished(side, side), (0, 0), mask.finished(side, side).convert("L"))
    _letter(image, name, ink)


def _letter(image: Image.Image, name: str, ink: Colour) -> None:
    """The initials, as large as the medal has room for; none where the name has no letter that can be drawn."""
    lettering = Lettering()
    text, face = lettering.readable(name, Face.DISPLAY)
    initials = _initials(text)
    if not initials:
        return
    room = image.width * MEDAL * 2
    size = room * (0.72 if len(initials) == 1 else 0.56)
    font = lettering.font(face, size)
    box = font.getbbox(initials, anchor="ls")
    wide = box[2] - box[0]
    if wide > room * 0.72:
        font = lettering.font(face, size * room * 0.72 / wide)
        box = font.getbbox(initials, anchor="ls")
    # Capitals stand in the middle; what hangs below their line, as a J may, does not lift the others.
    capital = font.getbbox("H", anchor="ls")
    at = ((image.width - box[0] - box[2]) / 2, (image.height - capital[1] - capital[3]) / 2)
    ImageDraw.Draw(image).text(at, initials, fill=ink, font=font, anchor="ls")


def _initials(name: str) -> str:
    """Of the first word and of the last; of a single word, one."""
    firsts = (next((letter for letter in word if letter.isalnum()), "") for word in name.split())
    letters = [first.upper()[:1] for first in firsts if first]
    return "".join(letters[:1] + letters[1:][-1:])


def _png(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "PNG", optimize=image.width <= 256)
    return out.getvalue()

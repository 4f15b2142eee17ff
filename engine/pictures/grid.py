"""Several pictures as one, because a message holds one picture with buttons: a grid with numbers, a gallery of faces.

It knows bytes and pixels, and the size beyond which platforms refuse. It does not know whose pictures they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from PIL import Image, ImageDraw

from engine.pictures.lettering import Face, Lettering
from engine.pictures.sheet import Colour, Sheet

#: What every platform takes: bytes, and pixels of width and height together.
MOST_BYTES = 10_000_000
MOST_SIDES = 8_000
#: A grid larger than this shows nothing more on a screen, and takes long to send.
LARGEST = 2_560
MOST = 4

PAPER: Colour = (24, 24, 27)
QUIET: Colour = (228, 228, 231)
#: A grid is for the eye; its pictures are kept as they came. As a PNG it took twenty times as long to encode, and was
#: three times as large on a home's way out. Below the last quality it is made smaller instead.
QUALITIES = (95, 92, 85, 75)
#: A JPEG whose colours are as fine as its light: red letters on blue stay sharp.
FULL_COLOUR = 0


def as_grid(pngs: Sequence[bytes]) -> bytes:
    """One picture as it came; two beside each other, or one above the other; three and four in two rows.

    Each has its number in a corner. At most four, and never none.
    """
    if len(pngs) not in range(1, MOST + 1):
        raise ValueError(f"{len(pngs)} pictures make no grid: from 1 to {MOST}")
    if len(pngs) == 1:
        return pngs[0]
    images = [_opened(png) for png in pngs]
    wide, high = max(image.width for image in images), max(image.height for image in images)
    columns = 1 if len(images) == 2 and wide > high else 2
    rows = -(-len(images) // columns)
    scale = min(1.0, LARGEST / (wide * columns), LARGEST / (high * rows))
    wide, high = max(1, round(wide * scale)), max(1, round(high * scale))
    gutter = max(2, round(min(wide, high) * 0.008))
    grid = Image.new(
        "RGB", (wide * columns + gutter * (columns - 1), high * rows + gutter * (rows - 1)), PAPER
    )
    lettering = Lettering()
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        left, top = column * (wide + gutter), row * (high + gutter)
        if index == len(images) - 1 and column < columns - 1:
            left = (grid.width - wide) // 2  # alone in its row, it stands in the middle
        _hang(grid, image, (left, top), (wide, high))
        _number(grid, index + 1, (left, top), min(wide, high), lettering)
    return as_jpeg(grid)


def as_gallery(faces: Sequence[tuple[str, bytes]]) -> bytes:
    """Faces in rows, each round and with its name beneath."""
    columns = _columns(len(faces))
    rows = max(1, -(-len(faces) // columns))
    # Hundreds still fit: everything is measured by a face.
    face = max(48, min(192, LARGEST // (columns + 1), LARGEST // (rows + 1)))
    cell, tall, margin = round(face * 1.24), round(face * 1.44), round(face * 0.16)
    gallery = Image.new("RGB", (columns * cell + 2 * margin, rows * tall + 2 * margin), PAPER)
    lettering = Lettering()
    mask = _round(face)
    for index, (name, png) in enumerate(faces):
        row, column = divmod(index, columns)
        alone = columns - (len(faces) - row * columns) if row == rows - 1 else 0
        left = margin + column * cell + alone * cell // 2
        top = margin + row * tall
        portrait = _opened(png).resize((face, face), Image.Resampling.LANCZOS)
        gallery.paste(portrait, (left + (cell - face) // 2, top + round(face * 0.05)), mask)
        _name(gallery, name, (left, top + round(face * 1.1)), cell, face, lettering)
    return as_jpeg(gallery)


def _columns(count: int) -> int:
    """A few in one row; more in rows that make the gallery a little wider than tall."""
    return max(1, count if count <= 4 else round((count * 1.8) ** 0.5 + 0.49))


def _name(
    gallery: Image.Image, name: str, at: tuple[int, int], room: int, face: int, lettering: Lettering
) -> None:
    """On one line where it fits, else on two, else cut."""
    size = face * 0.115
    block = lettering.block(name, Face.SANS, size, room * 0.94, 2, 1.25)
    block.draw(gallery, at[0], at[1], room, QUIET, 0.5)


def _hang(grid: Image.Image, image: Image.Image, at: tuple[int, int], size: tuple[int, int]) -> None:
    """In the middle of its field, as large as it can be there, and whole."""
    scale = min(size[0] / image.width, size[1] / image.height)
    wide, high = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    if (wide, high) != image.size:
        image = image.resize((wide, high), Image.Resampling.LANCZOS)
    grid.paste(image, (at[0] + (size[0] - wide) // 2, at[1] + (size[1] - high) // 2))


def _number(grid: Image.Image, number: int, at: tuple[int, int], short: int, lettering: Lettering) -> None:
    """White on a dark disc with a light rim: to be read on snow and at night."""
    side = max(12, round(short * 0.085))
    inset = max(2, round(short * 0.02))
    badge = Image.new("RGB", (side, side), PAPER)
    disc, mask = Sheet(side, side, PAPER), Sheet(side, side, (0, 0, 0))
    disc.ring(disc.w / 2, disc.w / 2, disc.w / 2 - 1, QUIET, disc.w * 0.045)
    mask.disc(mask.w / 2, mask.w / 2, mask.w / 2 - 1, (255, 255, 255))
    badge.paste(disc.finished(side, side))
    font = lettering.font(Face.SANS, side * 0.56)
    box = font.getbbox(str(number), anchor="ls")
    where = ((side - box[0] - box[2]) / 2, (side - box[1] - box[3]) / 2)
    ImageDraw.Draw(badge).text(where, str(number), fill=(255, 255, 255), font=font, anchor="ls")
    grid.paste(badge, (at[0] + inset, at[1] + inset), mask.finished(side, side).convert("L"))


def _round(side: int) -> Image.Image:
    mask = Sheet(side, side, (0, 0, 0))
    mask.disc(mask.w / 2, mask.h / 2, mask.w / 2 - 1, (255, 255, 255))
    return mask.finished(side, side).convert("L")


def _opened(png: bytes) -> Image.Image:
    with Image.open(BytesIO(png)) as image:
        return image.convert("RGB")


def as_jpeg(image: Image.Image, most_bytes: int = MOST_BYTES) -> bytes:
    """Worse and worse, and then smaller and smaller, until it is small enough."""
    while True:
        for quality in QUALITIES:
            jpeg = _saved(image, "JPEG", quality=quality, subsampling=FULL_COLOUR)
            if len(jpeg) <= most_bytes or image.size == (1, 1):
                return jpeg
        half = (max(1, round(image.width * 0.75)), max(1, round(image.height * 0.75)))
        image = image.resize(half, Image.Resampling.LANCZOS)


def _saved(image: Image.Image, form: str, **how: object) -> bytes:
    out = BytesIO()
    image.save(out, form, **how)
    return out.getvalue()

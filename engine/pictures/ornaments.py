"""What compositions are made of: suns, ridges, leaves, windows, curtains, drawn on a sheet.

Each function draws one thing where it is told to. It does not know what else is on the sheet.
"""

from __future__ import annotations

import math
from random import Random

from engine.pictures.sheet import BLACK, Colour, Fade, Palette, Point, Sheet, leaf, mix, oval


def heaven(sheet: Sheet, p: Palette, night: bool, dusk: bool, rng: Random) -> tuple[Colour, Colour]:
    """The sky, and its colours at the top and at the horizon."""
    if night:
        top, middle, low = (
            mix(p.ground, BLACK, 0.25),
            mix(p.ground, p.accent, 0.22),
            mix(p.ground, p.accent, 0.6),
        )
    elif dusk:
        top, middle, low = mix(p.ground, p.accent, 0.35), p.accent, mix(p.spark, p.light, 0.6)
    else:
        top, middle, low = mix(p.accent, p.light, 0.45), mix(p.light, p.accent, 0.22), p.light
    sheet.sky(top, middle, low)
    if night:
        dust(sheet, p, rng, 150)
    return top, low


def sun(sheet: Sheet, p: Palette, night: bool, rng: Random, x: float, y: float, radius: float = 0) -> None:
    """By day a sun, by night a moon, with its light around it."""
    radius = radius or sheet.u * rng.uniform(7, 12)
    sheet.glow(x, y, radius * 4, p.light, 0.55)
    if night:
        moon(sheet, p, x, y, radius * 0.8, mix(p.ground, p.accent, 0.2), rng.random() < 0.5)
    else:
        sheet.disc(x, y, radius, Fade(mix(p.spark, p.light, 0.35), p.spark))


def moon(
    sheet: Sheet, p: Palette, x: float, y: float, radius: float, sky: Colour, crescent: bool = False
) -> None:
    sheet.disc(x, y, radius, p.light)
    if crescent:
        sheet.disc(x + radius * 0.42, y - radius * 0.18, radius * 0.86, sky)
    else:
        for dx, dy, r in ((-0.35, -0.2, 0.2), (0.25, 0.3, 0.26), (0.3, -0.4, 0.12), (-0.25, 0.42, 0.11)):
            sheet.disc(x + dx * radius, y + dy * radius, r * radius, mix(p.light, p.accent, 0.3))


def dust(sheet: Sheet, p: Palette, rng: Random, count: int) -> None:
    """Small stars."""
    for _ in range(count):
        x, y = rng.uniform(0, sheet.w), rng.uniform(0, sheet.h)
        sheet.disc(
            x,
            y,
            sheet.u * rng.choice((0.12, 0.14, 0.18, 0.26)),
            mix(p.ground, p.light, rng.uniform(0.4, 0.95)),
        )


def sparkle(sheet: Sheet, x: float, y: float, size: float, colour: Colour) -> None:
    """A star with four points."""
    reach = [size if i % 2 == 0 else size * 0.28 for i in range(8)]
    turns = [math.tau * i / 8 - math.pi / 2 for i in range(8)]
    sheet.shape(
        [(x + r * math.cos(a), y + r * math.sin(a)) for r, a in zip(reach, turns, strict=True)], colour
    )


def scattered(
    rng: Random, left: float, top: float, right: float, foot: float, count: int, apart: float
) -> list[Point]:
    """Up to `count` points no nearer to each other than `apart`, from left to right."""
    points: list[Point] = []
    for _ in range(count * 12):
        point = (rng.uniform(left, right), rng.uniform(top, foot))
        if len(points) < count and all(math.dist(point, other) > apart for other in points):
            points.append(point)
    return sorted(points)


def ridge(sheet: Sheet, rng: Random, level: float, height: float, rough: float) -> list[Point]:
    """A skyline of hills, from the left edge to the right."""
    swells = [
        (rng.uniform(0.5, 1.2) * k * rough, rng.random() * math.tau, 1 / k**1.15) for k in (1, 2, 3.7, 7.3)
    ]
    steps = 120
    return [
        (
            sheet.w * i / steps,
            level - height * sum(a * math.sin(f * math.tau * i / steps * 0.7 + t) for f, t, a in swells),
        )
        for i in range(steps + 1)
    ]


def trees(sheet: Sheet, rng: Random, crest: list[Point], colour: Colour) -> None:
    """A few cypresses or round trees along a ridge, in small groups."""
    u, round_tops = sheet.u, rng.random() < 0.4
    for _ in range(rng.randint(2, 4)):
        start = rng.randrange(4, len(crest) - 12)
        for index in range(start, start + rng.randint(2, 7)):
            x, y = crest[index]
            x, tall = x + rng.uniform(-u, u), u * rng.uniform(4, 9)
            if round_tops:
                sheet.line([(x, y + u), (x, y - tall * 0.6)], colour, u * 0.35)
                sheet.disc(x, y - tall * 0.6, tall * 0.26, colour)
            else:
                sheet.shape(leaf((x, y + u), -math.pi / 2, tall + u, tall * 0.26), colour)


def birds(sheet: Sheet, rng: Random, colour: Colour) -> None:
    x, y = sheet.w * rng.uniform(0.15, 0.75), sheet.h * rng.uniform(0.12, 0.3)
    for _ in range(rng.randint(3, 6)):
        bx, by = x + sheet.u * rng.uniform(-9, 9), y + sheet.u * rng.uniform(-5, 5)
        span = sheet.u * rng.uniform(0.9, 1.6)
        for side in (-1, 1):
            wing = [
                (bx + side * span * t / 8, by - span * 0.5 * math.sin(math.pi * 0.8 * t / 8))
                for t in range(9)
            ]
            sheet.line(wing, colour, sheet.u * 0.24)


def windows(
    sheet: Sheet, rng: Random, house: tuple[float, float, float], lit: Colour, wall: Colour, share: float
) -> None:
    """Rows of windows down a house given by its left, top and width; some are lit."""
    left, top, wide = house
    columns = max(2, round(wide / (sheet.u * 2.6)))
    cell = wide / (columns + 0.6)
    y = top + cell * 0.7
    while y < sheet.h * 0.92:
        for column in range(columns):
            x = left + cell * (0.3 + column) + cell * 0.22
            tone = mix(lit, wall, rng.uniform(0, 0.35)) if rng.random() < share else mix(wall, lit, 0.1)
            sheet.box(x, y, x + cell * 0.56, y + cell * 0.74, tone)
        y += cell * 1.35


def boat(sheet: Sheet, p: Palette, x: float, y: float) -> None:
    u, dark = sheet.u, mix(p.ground, BLACK, 0.15)
    sheet.shape(
        [
            (x - u * 4.4, y - u * 1.8),
            (x + u * 5, y - u * 1.8),
            (x + u * 3.4, y + u * 1.2),
            (x - u * 3, y + u * 1.2),
        ],
        dark,
    )
    sheet.line([(x, y - u * 1.5), (x, y - u * 14)], dark, u * 0.4)
    sheet.shape([(x + u * 0.6, y - u * 13.5), (x + u * 6.2, y - u * 3), (x + u * 0.6, y - u * 2.6)], p.light)
    sheet.shape(
        [(x - u * 0.6, y - u * 12), (x - u * 4.2, y - u * 3), (x - u * 0.6, y - u * 2.6)],
        mix(p.light, p.accent, 0.4),
    )


def leaves(sheet: Sheet, rng: Random, spine: list[Point], ink: Colour) -> None:
    """Leaves along a stem, in one of three habits: broad pairs, slim pairs, alternate round ones."""
    u, habit = sheet.u, rng.randrange(3)
    length, width, gap = ((8.5, 3.6, 4), (9.0, 1.8, 2), (5.0, 4.2, 3))[habit]
    for index in range(3, len(spine) - 1, gap):
        taper = 1 - 0.55 * index / len(spine)
        (x, y), (nx, ny) = spine[index], spine[index + 1]
        along = math.atan2(ny - y, nx - x)
        sides = (-1, 1) if habit < 2 else ((-1, 1)[index // gap % 2],)
        for side in sides:
            blade = leaf(
                (x, y), along + side * rng.uniform(0.65, 0.95), u * length * taper, u * width * taper
            )
            sheet.shape(blade, ink)


def bloom(sheet: Sheet, p: Palette, rng: Random, tip: Point, ink: Colour) -> None:
    """What a stem ends in: a daisy, a tulip, berries, or one last leaf."""
    (x, y), u = tip, sheet.u
    colour = rng.choice((p.accent, p.spark, mix(p.spark, p.light, 0.45)))
    kind = rng.randrange(4)
    if kind == 0:
        size, petals = u * rng.uniform(3.4, 5.2), rng.choice((7, 8, 10))
        for petal in range(petals):
            sheet.shape(leaf((x, y), math.tau * petal / petals, size, size * 0.5), colour)
        sheet.disc(x, y, size * 0.27, mix(ink, p.light, 0.25))
    elif kind == 1:
        for lean, tone in ((-0.38, colour), (0.38, colour), (0.0, mix(colour, p.light, 0.3))):
            sheet.shape(leaf((x, y + u * 1.6), -math.pi / 2 + lean, u * 6.4, u * 3.4), tone)
    elif kind == 2:
        for _ in range(7):
            dx, dy = rng.uniform(-3, 3) * u, rng.uniform(-5, 1) * u
            sheet.line([(x, y + u), (x + dx, y + dy)], ink, u * 0.25)
            sheet.disc(x + dx, y + dy, u * rng.uniform(0.7, 1.1), colour)
    else:
        sheet.shape(leaf((x, y + u), -math.pi / 2, u * 6, u * 2.4), ink)


def potted(sheet: Sheet, p: Palette, rng: Random, x: float, foot: float) -> None:
    """A plant in a pot that stands on `foot`."""
    u = sheet.u
    green = mix(p.ground, p.accent, 0.35)
    for blade in range(9):
        angle = -math.pi / 2 + (blade - 4) * 0.24 + rng.uniform(-0.06, 0.06)
        sheet.shape(
            leaf((x, foot - u * 6), angle, u * rng.uniform(9, 13), u * 2.5),
            mix(green, p.light, 0.07 * (blade % 3)),
        )
    clay = mix(p.spark, p.ground, 0.25)
    sheet.shape(
        [(x - u * 3.4, foot - u * 6), (x + u * 3.4, foot - u * 6), (x + u * 2.5, foot), (x - u * 2.5, foot)],
        Fade(mix(clay, p.light, 0.15), clay),
    )
    sheet.box(x - u * 3.9, foot - u * 7, x + u * 3.9, foot - u * 5.4, clay)


def armchair(sheet: Sheet, cloth: Colour, wood: Colour, x: float, foot: float) -> None:
    """A deep armchair seen from the front."""
    u = sheet.u
    for side in (-1, 1):
        sheet.line([(x + side * u * 6.5, foot - u * 3), (x + side * u * 7.2, foot)], wood, u * 0.7)
    back, seat = (
        Fade(mix(cloth, (255, 255, 255), 0.1), mix(cloth, wood, 0.25)),
        mix(cloth, (255, 255, 255), 0.14),
    )
    top = foot - u * 17
    sheet.shape(
        [(x - u * 7, foot - u * 4), *oval(x, top + u * 5, u * 7, u * 5, 180, 360), (x + u * 7, foot - u * 4)],
        back,
    )
    sheet.box(x - u * 7, foot - u * 5.5, x + u * 7, foot - u * 2, mix(cloth, wood, 0.3))
    sheet.shape(oval(x, foot - u * 6, u * 6.4, u * 1.6), seat)
    for side in (-1, 1):
        arm = x + side * u * 7.4
        sheet.box(arm - u * 1.7, foot - u * 8.5, arm + u * 1.7, foot - u * 2, mix(cloth, wood, 0.12))
        sheet.disc(arm, foot - u * 8.5, u * 1.9, seat)


def drape(sheet: Sheet, velvet: Colour, dark: Colour, side: int, rng: Random) -> None:
    """One half of a stage curtain (-1 left, 1 right), tied back in a curve."""
    w, h, folds = sheet.w, sheet.h, 7
    top, waist = w * rng.uniform(0.3, 0.34), w * rng.uniform(0.1, 0.14)
    edge = 0 if side < 0 else w

    def reach(share: float, y: float) -> float:
        t = y / h
        narrow = math.pow(math.sin(min(1.0, t / 0.72) * math.pi / 2), 1.6)
        flare = max(0.0, t - 0.72) / 0.28
        return edge - side * share * (top + (waist - top) * narrow + w * 0.035 * flare)

    levels = [h * i / 40 for i in range(41)]
    for fold in range(folds):
        shares = (1 - fold / folds, 1 - (fold + 0.55) / folds, 1 - (fold + 1) / folds)
        for outer, inner, shade in ((shares[0], shares[1], 0.08), (shares[1], shares[2], 0.42)):
            strip = [(reach(outer, y), y) for y in levels] + [(reach(inner, y), y) for y in reversed(levels)]
            sheet.shape(strip, Fade(mix(velvet, dark, shade), mix(velvet, dark, shade + 0.32)))
    y = h * 0.7
    sheet.shape(
        [
            (edge, y - sheet.u * 2),
            (reach(1.04, y), y),
            (reach(1.04, y), y + sheet.u * 1.6),
            (edge, y + sheet.u * 0.4),
        ],
        mix(velvet, (255, 236, 190), 0.55),
    )


def valance(sheet: Sheet, velvet: Colour, p: Palette, rng: Random) -> None:
    """The swags along the top of a stage, each with a fringe."""
    w, u = sheet.w, sheet.u
    count = rng.choice((4, 5, 6)) if w > sheet.h else rng.choice((3, 4))
    deep = sheet.h * 0.15
    fringe, dark = mix(p.light, p.accent, 0.35), mix(p.ground, BLACK, 0.3)
    for swag in range(count):
        x, half = w * (swag + 0.5) / count, w / count / 2
        sheet.shape(oval(x, 0, half * 1.04, deep + u * 1.3), fringe)
        for fold in range(5):
            tone = mix(velvet, dark, 0.06 + (0.34 if fold % 2 else 0.1))
            sheet.shape(oval(x, 0, half * 1.04, deep * (1 - fold * 0.17)), tone)
    sheet.box(0, 0, w, u * 2.4, mix(velvet, dark, 0.5))
    sheet.box(0, u * 2.4, w, u * 3, fringe)


def prop(sheet: Sheet, ink: Colour, rng: Random, x: float, foot: float) -> None:
    """What waits in the spotlight: a microphone, a chair, or a ladder."""
    u, kind = sheet.u, rng.randrange(3)
    if kind == 0:
        sheet.line([(x, foot), (x, foot - u * 25)], ink, u * 0.6)
        sheet.shape(oval(x, foot, u * 4, u * 1.1), ink)
        sheet.shape(leaf((x - u * 0.6, foot - u * 23.6), -math.pi / 3, u * 6, u * 3.4), ink)
        sheet.disc(x + u * 1.6, foot - u * 27.2, u * 1.75, ink)
    elif kind == 1:
        for dx, lift in ((-4, 0), (4, 0), (-3, 1.6), (3, 1.6)):
            sheet.line([(x + dx * u, foot - lift * u), (x + dx * u * 0.85, foot - u * 10)], ink, u * 0.7)
        sheet.shape(oval(x, foot - u * 10, u * 4.8, u * 1.3), ink)
        back = oval(x, foot - u * 16, u * 3.8, u * 6.4, 180, 360)
        sheet.line([(x - u * 3.8, foot - u * 10), *back, (x + u * 3.8, foot - u * 10)], ink, u * 0.7)
        sheet.line(oval(x, foot - u * 14.5, u * 2.1, u * 4.6, 180, 360), ink, u * 0.5)
    else:
        for side in (-1, 1):
            sheet.line([(x + side * u * 6, foot), (x + side * u * 0.8, foot - u * 28)], ink, u * 0.7)
        for rung in range(1, 7):
            half = u * (6 - 5.2 * rung / 7)
            sheet.line([(x - half, foot - u * 4 * rung), (x + half, foot - u * 4 * rung)], ink, u * 0.55)


def rainfall(sheet: Sheet, p: Palette, rng: Random) -> None:
    slant = rng.uniform(-0.16, -0.06)
    for _ in range(170):
        x, y, long = (
            rng.uniform(0, sheet.w * 1.1),
            rng.uniform(-0.05, 1) * sheet.h,
            sheet.u * rng.uniform(3, 9),
        )
        wide = sheet.u * rng.uniform(0.1, 0.2)
        drop = [(x, y), (x + wide, y), (x + wide + slant * long, y + long), (x + slant * long, y + long)]
        sheet.shape(drop, p.light, rng.uniform(0.25, 0.6))


def snowfall(sheet: Sheet, rng: Random) -> None:
    for _ in range(190):
        size = sheet.u * rng.choice((0.25, 0.3, 0.4, 0.55, 0.8))
        sheet.disc(
            rng.uniform(0, sheet.w), rng.uniform(0, sheet.h), size, (250, 250, 252), rng.uniform(0.55, 0.95)
        )

"""Patterns a picture can show: tiles of arcs, a sunburst, cut paper, stems, stars.

Each draws on a sheet, in a palette and a mood, by the throw of dice. None knows of personas, text or files.
"""

from __future__ import annotations

import math
from random import Random

from engine.pictures.mood import Mood
from engine.pictures.ornaments import bloom, dust, leaves, moon, scattered, sparkle
from engine.pictures.sheet import BLACK, Fade, Palette, Point, Sheet, mix, oval


def arcs(sheet: Sheet, p: Palette, mood: Mood, rng: Random) -> None:
    base = p.ground if mood.night else mix(p.light, p.accent, 0.12)
    inks = [p.ground, p.accent, p.light, p.spark, mix(p.accent, p.ground, 0.5), mix(p.accent, p.light, 0.5)]
    across = rng.choice((3, 4))
    cell = sheet.w / across
    down = max(1, round(sheet.h / cell))
    tall = sheet.h / down
    sheet.sky(base, base)
    for row in range(down):
        for column in range(across):
            ground, *rings = rng.sample(inks, 5)
            x, y = column * cell, row * tall
            sheet.box(x, y, x + cell, y + tall, ground)
            corner = rng.randrange(4)
            cx, cy = x + cell * (corner in (1, 2)), y + tall * (corner in (2, 3))
            count = rng.randint(2, 4)
            if rng.random() < 0.18:
                sheet.shape(oval(x + cell / 2, y + tall / 2, cell * 0.34, tall * 0.34), rings[0])
                sheet.shape(oval(x + cell / 2, y + tall / 2, cell * 0.17, tall * 0.17), rings[1])
                continue
            for ring in range(count):
                reach = 1 - ring / count
                sweep = oval(cx, cy, cell * reach, tall * reach, corner * 90, corner * 90 + 90)
                sheet.shape([(cx, cy), *sweep], rings[ring % len(rings)])


def sunburst(sheet: Sheet, p: Palette, mood: Mood, rng: Random) -> None:
    w, h, u = sheet.w, sheet.h, sheet.u
    x, y = w * rng.uniform(0.35, 0.65), h * rng.uniform(0.6, 0.82)
    one, other = (
        (p.ground, mix(p.ground, p.accent, 0.3)) if mood.night else (p.light, mix(p.light, p.accent, 0.45))
    )
    sheet.sky(one, one)
    reach, rays = w + h, rng.choice((12, 16, 20))
    turn = rng.random()
    for ray in range(rays):
        a, z = ((ray + turn + part) / rays * math.tau for part in (0.0, 0.5))
        ends = [(x + reach * math.cos(t), y + reach * math.sin(t)) for t in (a, z)]
        sheet.shape([(x, y), *ends], other)
    tones = [p.ground, p.accent, mix(p.accent, p.light, 0.55), p.spark, p.light]
    rng.shuffle(tones)
    largest = min(w, h) * rng.uniform(0.5, 0.62)
    for ring, tone in enumerate(tones):
        sheet.disc(x, y, largest * (1 - ring * 0.185), tone)
    horizon = y + u * 2
    sheet.box(0, horizon, w, h, Fade(mix(p.ground, p.accent, 0.18), p.ground))
    gap = (h - horizon) / 7
    for step in range(6):
        half = largest * (1.0 - step * 0.14) * rng.uniform(0.75, 1)
        level = horizon + gap * (step + 0.6)
        sheet.shape(oval(x, level, half, gap * 0.16), mix(p.light, p.accent, 0.25 + step * 0.12))


def cutouts(sheet: Sheet, p: Palette, mood: Mood, rng: Random) -> None:
    w, h, u = sheet.w, sheet.h, sheet.u
    pale = [p.light, mix(p.light, p.accent, 0.35), mix(p.accent, p.light, 0.25)]
    deep = [p.ground, mix(p.ground, p.accent, 0.4), mix(p.ground, p.accent, 0.7)]
    grounds, inks = (deep, pale) if mood.night or rng.random() < 0.35 else (pale, deep)
    across, down = (3, 2) if w > h else (2, 3)
    lines = [
        0.0,
        *sorted(
            rng.uniform(0.25, 0.75) if across == 2 else k + rng.uniform(-0.06, 0.06)
            for k in ([0.5] if across == 2 else [0.34, 0.66])
        ),
        1.0,
    ]
    for column in range(across):
        for row in range(down):
            box = (lines[column] * w, row * h / down, lines[column + 1] * w, (row + 1) * h / down)
            ground = grounds[(column + row) % len(grounds)]
            sheet.box(*box, ground)
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            reach = min(box[2] - box[0], box[3] - box[1]) * 0.4
            ink = inks[(column * 2 + row) % len(inks)] if rng.random() < 0.7 else p.spark
            figure = rng.choice((seaweed, seaweed, palmette, palmette, dove, starfish, crescent, blob))
            points = figure(rng, x, y, reach)
            sheet.shape([(a + u * 0.5, b + u * 0.7) for a, b in points], BLACK, 0.16)
            sheet.shape(points, ink)


def stems(sheet: Sheet, p: Palette, mood: Mood, rng: Random) -> None:
    w, h, u = sheet.w, sheet.h, sheet.u
    dark = mood.night or rng.random() < 0.3
    paper = p.ground if dark else mix(p.light, p.accent, 0.1)
    sheet.sky(mix(paper, p.accent, 0.05), mix(paper, p.accent, 0.32))
    sheet.disc(
        w * rng.uniform(0.3, 0.7),
        h * rng.uniform(0.36, 0.5),
        min(w, h) * rng.uniform(0.28, 0.36),
        Fade(mix(p.spark, p.light, 0.15), mix(p.accent, p.light, 0.5)),
    )
    inks = (
        [mix(p.light, p.accent, k) for k in (0.15, 0.45, 0.75)]
        if dark
        else [mix(p.ground, p.accent, k) for k in (0.0, 0.3, 0.6)]
    )
    count = max(3, min(11, round(w / (u * 13))))
    order = sorted(range(count), key=lambda _: rng.random())
    for index in order:
        foot = w * (index + 0.5 + rng.uniform(-0.25, 0.25)) / count
        tall, sway = h * rng.uniform(0.45, 0.86), w * rng.uniform(-0.09, 0.09)
        ink = rng.choice(inks)
        spine = [(foot + sway * (t / 24) ** 2, h + u - tall * t / 24) for t in range(25)]
        sheet.line(spine, ink, u * 0.45)
        leaves(sheet, rng, spine, ink)
        bloom(sheet, p, rng, spine[-1], mix(ink, paper, 0.15))


def stars(sheet: Sheet, p: Palette, _: Mood, rng: Random) -> None:
    w, h, u = sheet.w, sheet.h, sheet.u
    deep = mix(p.ground, BLACK, 0.3)
    sheet.sky(deep, mix(p.ground, p.accent, 0.12), mix(p.ground, p.accent, 0.42))
    tilt = rng.uniform(-0.6, 0.6)
    for step in range(12):
        t = step / 11
        sheet.glow(
            w * t,
            h * (0.5 + tilt * (t - 0.5)) + u * rng.uniform(-6, 6),
            u * rng.uniform(18, 34),
            p.accent,
            0.16,
        )
    cx, cy, reach = w * rng.uniform(0.4, 0.6), h * rng.uniform(0.42, 0.55), min(w, h) * 0.4
    faint = mix(p.ground, p.light, 0.42)
    for ring in (1.0, 0.72, 0.45):
        sheet.ring(cx, cy, reach * ring, mix(faint, p.ground, 0.25), u * 0.14)
        angle = rng.random() * math.tau
        sheet.disc(
            cx + reach * ring * math.cos(angle), cy + reach * ring * math.sin(angle), u * 1.1, p.accent
        )
    dust(sheet, p, rng, 220)
    points = scattered(rng, w * 0.1, h * 0.1, w * 0.9, h * 0.88, rng.randint(9, 13), u * 11)
    linked = [points.pop(0)]
    while points:
        near = min(points, key=lambda q: math.dist(q, linked[-1]))
        points.remove(near)
        if math.dist(near, linked[-1]) < max(w, h) * 0.45:
            sheet.line([linked[-1], near], faint, u * 0.2)
        linked.append(near)
    for x, y in linked:
        size = u * rng.uniform(0.7, 1.5)
        sheet.glow(x, y, size * 5, p.light, 0.5)
        sparkle(sheet, x, y, size * 1.7, p.light)
    if rng.random() < 0.75:
        moon(sheet, p, cx, cy, reach * 0.26, deep)


def blob(rng: Random, x: float, y: float, reach: float) -> list[Point]:
    """A soft pebble."""
    a, b, t = rng.uniform(0.08, 0.2), rng.uniform(0.04, 0.12), rng.random() * math.tau
    turns = [math.tau * i / 48 for i in range(48)]
    radii = [reach * (0.8 + a * math.sin(2 * turn + t) + b * math.sin(3 * turn - t)) for turn in turns]
    return [(x + r * math.cos(turn), y + r * math.sin(turn)) for r, turn in zip(radii, turns, strict=True)]


def seaweed(rng: Random, x: float, y: float, reach: float) -> list[Point]:
    """A frond with rounded lobes, as if cut with scissors."""
    lobes, tilt = rng.choice((3, 4, 5)), rng.uniform(-0.5, 0.5)
    outline: list[Point] = []
    for i in range(161):
        t = i / 160 * 2
        along, side = (t, 1) if t <= 1 else (2 - t, -1)
        swell = 0.16 + 0.4 * abs(math.sin(along * lobes * math.pi)) ** 0.6 * math.sin(
            math.pi * (0.12 + 0.84 * along)
        )
        outline.append((side * swell * reach, reach * (1 - 2 * along)))
    cos, sin = math.cos(tilt), math.sin(tilt)
    return [(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in outline]


def palmette(rng: Random, x: float, y: float, reach: float) -> list[Point]:
    """A fan of leaf fingers that open upwards."""
    fingers, base = rng.choice((5, 7, 9)), (x, y + reach * 0.7)
    outline = [(x - reach * 0.07, y + reach), (x - reach * 0.07, base[1])]
    for i in range(161):
        t = i / 160
        angle = math.radians(-180 + 180 * t)
        long = reach * (
            0.5 + 1.05 * abs(math.sin(math.pi * t * fingers)) ** 0.7 * (0.62 + 0.38 * math.sin(math.pi * t))
        )
        outline.append((base[0] + long * math.cos(angle) * 0.82, base[1] + long * math.sin(angle)))
    return [*outline, (x + reach * 0.07, base[1]), (x + reach * 0.07, y + reach)]


def dove(rng: Random, x: float, y: float, reach: float) -> list[Point]:
    """A swallow in flight, its forked tail behind it."""
    flip = rng.choice((-1, 1))
    across = (
        -1,
        -0.62,
        -0.3,
        -0.34,
        -0.05,
        0.02,
        0.22,
        0.6,
        1,
        0.76,
        1,
        0.55,
        0.18,
        0.06,
        -0.3,
        -0.26,
        -0.2,
        -0.6,
    )
    down = (
        0.1,
        0,
        -0.1,
        -0.55,
        -0.95,
        -0.5,
        -0.14,
        0,
        -0.14,
        0.12,
        0.42,
        0.26,
        0.3,
        0.62,
        0.9,
        0.5,
        0.26,
        0.18,
    )
    outline = zip(across, down, strict=True)
    return [(x + flip * a * reach, y + b * reach) for a, b in outline]


def starfish(rng: Random, x: float, y: float, reach: float) -> list[Point]:
    points, turn = rng.choice((5, 6, 8)), rng.random() * math.tau
    turns = [math.tau * i / 96 + turn for i in range(96)]
    radii = [reach * (0.62 + 0.34 * math.cos(points * (a - turn))) for a in turns]
    return [(x + r * math.cos(a), y + r * math.sin(a)) for r, a in zip(radii, turns, strict=True)]


def crescent(rng: Random, x: float, y: float, reach: float) -> list[Point]:
    outer, turn = oval(0, 0, reach * 0.9, reach * 0.9, 50, 310), rng.uniform(-0.6, 0.6)
    inner = oval(reach * 0.42, 0, reach * 0.7, reach * 0.7, 283, 77)
    cos, sin = math.cos(turn), math.sin(turn)
    return [(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in (*outer, *inner)]

"""Places a picture can show: hills, a stage, a city, the sea, arches, a room.

Each draws on a sheet, in a palette and a mood, by the throw of dice. None knows of personas, text or files.
"""

from __future__ import annotations

from random import Random

from PIL import Image

from engine.pictures.mood import Mood
from engine.pictures.ornaments import (
    armchair,
    birds,
    boat,
    drape,
    heaven,
    potted,
    prop,
    rainfall,
    ridge,
    snowfall,
    sun,
    trees,
    valance,
    windows,
)
from engine.pictures.sheet import BLACK, Fade, Palette, Sheet, mix, oval


def weather(sheet: Sheet, p: Palette, mood: Mood, rng: Random) -> None:
    if mood.snow:
        snowfall(sheet, rng)
    elif mood.rain:
        rainfall(sheet, p, rng)


def hills(sheet: Sheet, p: Palette, mood: Mood, rng: Random) -> None:
    top, low = heaven(sheet, p, mood.night, mood.dusk, rng)
    sun(sheet, p, mood.night, rng, sheet.w * rng.uniform(0.2, 0.8), sheet.h * rng.uniform(0.2, 0.42))
    count = rng.randint(4, 6)
    front = mix(p.ground, p.accent, 0.12)
    for layer in range(count):
        near = (layer + 1) / count
        body = mix(mix(low, p.accent, 0.5), front, near**0.8)
        crest = ridge(
            sheet, rng, sheet.h * (0.42 + 0.46 * near * 0.95), sheet.h * (0.11 - 0.05 * near), 1.4 + near
        )
        sheet.shape([*crest, (sheet.w, sheet.h), (0, sheet.h)], Fade(body, mix(body, low, 0.45 * (1 - near))))
        if layer == count - 1 and rng.random() < 0.7:
            trees(sheet, rng, crest, body)
    if not mood.night:
        birds(sheet, rng, mix(p.ground, top, 0.25))


def stage(sheet: Sheet, p: Palette, _: Mood, rng: Random) -> None:
    w, h, u = sheet.w, sheet.h, sheet.u
    dark = mix(p.ground, BLACK, 0.35)
    sheet.sky(dark, mix(p.ground, p.accent, 0.28), mix(p.ground, p.accent, 0.4))
    floor = h * 0.78
    sheet.box(0, floor, w, h, Fade(mix(p.ground, p.accent, 0.5), mix(dark, p.accent, 0.12)))
    for board in range(-9, 10):
        x = w / 2 + board * w * 0.075
        sheet.line([(x, floor), (w / 2 + board * w * 0.16, h)], mix(dark, p.accent, 0.2), u * 0.16)
    spot = w * rng.uniform(0.42, 0.58)
    for source, strength in ((rng.uniform(0.0, 0.3), 0.3), (rng.uniform(0.7, 1.0), 0.2)):
        sheet.shape(
            [(source * w, -u * 4), (spot - w * 0.17, h * 0.86), (spot + w * 0.17, h * 0.86)],
            p.light,
            strength,
        )
    sheet.glow(spot, h * 0.82, w * 0.34, p.light, 0.45)
    sheet.shape(oval(spot, h * 0.86, w * 0.17, h * 0.045), p.light, 0.75)
    prop(sheet, mix(dark, BLACK, 0.3), rng, spot, h * 0.87)
    velvet = p.accent if rng.random() < 0.6 else p.spark
    for side in (-1, 1):
        drape(sheet, mix(velvet, p.ground, 0.15), dark, side, rng)
    valance(sheet, mix(velvet, p.ground, 0.05), p, rng)
    lamps = max(5, round(w / (u * 12)))
    for lamp in range(lamps):
        x = w * (lamp + 0.5) / lamps
        sheet.glow(x, h, u * 8, p.light, 0.5)
        sheet.shape(oval(x, h, u * 2.2, u * 2.6, 180, 360), mix(p.light, p.accent, 0.25))


def city(sheet: Sheet, p: Palette, mood: Mood, rng: Random) -> None:
    w, h, u = sheet.w, sheet.h, sheet.u
    _, low = heaven(sheet, p, mood.night, mood.dusk, rng)
    sun(sheet, p, mood.night, rng, w * rng.uniform(0.2, 0.8), h * rng.uniform(0.18, 0.34))
    lit = mix(p.light, p.accent, 0.2) if mood.night else mix(p.light, p.accent, 0.35)
    for layer in range(3):
        near = (layer + 1) / 3
        tone = mix(mix(low, p.accent, 0.4), mix(p.ground, BLACK, 0.15), near)
        x = -rng.uniform(0, w * 0.08)
        while x < w:
            wide = w * rng.uniform(0.07, 0.14) * (0.8 + 0.4 * near)
            top = h * (0.34 + 0.2 * layer + rng.uniform(-0.12, 0.12))
            sheet.box(x, top, x + wide, h, Fade(tone, mix(tone, low, 0.22 * (1 - near))))
            roof = rng.random()
            if roof < 0.2:
                sheet.shape([(x, top), (x + wide / 2, top - wide * 0.5), (x + wide, top)], tone)
            elif roof < 0.4:
                sheet.box(x + wide * 0.3, top - u * 3, x + wide * 0.7, top + 1, tone)
            elif roof < 0.5:
                sheet.line([(x + wide / 2, top), (x + wide / 2, top - u * 6)], tone, u * 0.35)
            windows(sheet, rng, (x, top, wide), lit, tone, 0.18 + 0.3 * near if mood.night else 0.16)
            x += wide + rng.choice((0.0, 0.0, u))
    street = h * 0.93
    sheet.box(0, street, w, h, Fade(mix(p.ground, p.accent, 0.22), mix(p.ground, BLACK, 0.3)))
    for _ in range(9):
        x, half = rng.uniform(0, w), u * rng.uniform(2, 6)
        sheet.shape(oval(x, rng.uniform(street + u, h - u), half, u * 0.22), lit, 0.5)


def waves(sheet: Sheet, p: Palette, mood: Mood, rng: Random) -> None:
    w, h, u = sheet.w, sheet.h, sheet.u
    heaven(sheet, p, mood.night, mood.dusk, rng)
    x = w * rng.uniform(0.3, 0.7)
    sun(sheet, p, mood.night, rng, x, h * 0.34, u * rng.uniform(11, 17))
    across = rng.choice((5, 6, 8))
    radius = w / across / 2 * 1.02
    row, y = 0, h * 0.5
    while y < h + radius:
        near = min(1.0, (y - h * 0.5) / (h * 0.5))
        deep = mix(mix(p.accent, p.light, 0.3), mix(p.ground, p.accent, 0.12), near**0.7)
        foam = mix(p.light, deep, 0.12 + 0.3 * near)
        for column in range(-1, across + 1):
            cx = (column + 0.5 + 0.5 * (row % 2)) * w / across
            for ring in range(4):
                reach = radius * (1 - ring * 0.24)
                sheet.disc(cx, y + radius, reach, foam)
                sheet.disc(cx, y + radius, reach - u * 0.42, mix(deep, p.accent, 0.13 * ring))
        y += radius * 0.5
        row += 1
    if rng.random() < 0.6:
        boat(sheet, p, w * rng.uniform(0.2, 0.8), h * 0.5 + radius * 0.22)


def arches(sheet: Sheet, p: Palette, mood: Mood, rng: Random) -> None:
    w, h, u = sheet.w, sheet.h, sheet.u
    wall = mix(p.ground, p.accent, 0.25) if mood.night else mix(p.light, p.accent, 0.3)
    sheet.sky(mix(wall, p.light, 0.12), mix(wall, p.ground, 0.12))
    x, base = w * 0.5, h * 0.86
    half = min(w * 0.4, h * 0.62)
    tones = [mix(p.ground, p.accent, k) for k in (0.75, 0.45, 0.2)]
    if rng.random() < 0.5:
        tones.reverse()
    tones.append(mix(p.spark, p.light, 0.2))
    top = base - min(h * 0.72, half * 1.7)
    for index, tone in enumerate(tones):
        r = half * (1 - index * 0.16)
        lift = top + (half - r) * 0.9
        sheet.shape(
            [(x - r, base), *oval(x, lift + r, r, r, 180, 360), (x + r, base)],
            Fade(mix(tone, p.light, 0.1), tone),
        )
    r = half * 0.36
    inner = top + (half - r) * 0.9
    sky = p.ground if mood.night else mix(p.light, p.accent, 0.08)
    sheet.shape(
        [(x - r, base), *oval(x, inner + r, r, r, 180, 360), (x + r, base)],
        Fade(sky, mix(p.accent, p.light, 0.35)),
    )
    sheet.disc(
        x + r * rng.uniform(-0.35, 0.35),
        inner + r * rng.uniform(0.95, 1.25),
        r * 0.34,
        p.light if mood.night else p.spark,
    )
    sheet.box(x - r, base - (base - inner) * 0.25, x + r, base, Fade(mix(p.ground, p.accent, 0.5), p.ground))
    sheet.box(0, base, w, h, Fade(mix(wall, p.ground, 0.35), mix(wall, p.ground, 0.6)))
    for step in range(4):
        y = base + (h - base) * step / 4
        wide = half * (0.42 + step * 0.2)
        sheet.box(x - wide, y, x + wide, h, mix(mix(p.light, p.accent, 0.3), p.ground, 0.14 * step))
    for side in (-1, 1):
        if half + u * 14 < w / 2 + u * 4:
            potted(sheet, p, rng, x + side * (half + u * 6.5), h * 0.95)


def room(sheet: Sheet, p: Palette, mood: Mood, rng: Random) -> None:
    w, h, u = sheet.w, sheet.h, sheet.u
    wall = mix(p.ground, p.accent, 0.3) if mood.night else mix(p.accent, p.light, 0.5)
    sheet.sky(mix(wall, p.ground, 0.18), wall)
    floor = h * 0.83
    left = w * rng.uniform(0.14, 0.24)
    wide, tall = w * rng.uniform(0.34, 0.42), h * 0.5
    top = h * 0.13
    scene = Sheet(max(8, round(wide / sheet.scale)), max(8, round(tall / sheet.scale)), p.ground)
    hills(scene, p, mood, rng)
    weather(scene, p, mood, rng)
    frame = mix(p.light, p.accent, 0.12)
    sheet.box(left - u * 2, top - u * 2, left + wide + u * 2, top + tall + u * 2, mix(wall, p.ground, 0.45))
    sheet.box(left - u * 1.4, top - u * 1.4, left + wide + u * 1.4, top + tall + u * 1.4, frame)
    sheet.image.paste(scene.image.resize((round(wide), round(tall))), (round(left), round(top)))
    for bar in (1, 2):
        sheet.box(left + wide * bar / 3 - u * 0.4, top, left + wide * bar / 3 + u * 0.4, top + tall, frame)
    sheet.box(left, top + tall * 0.42 - u * 0.4, left + wide, top + tall * 0.42 + u * 0.4, frame)
    sheet.box(
        left - u * 3.5,
        top + tall + u * 1.4,
        left + wide + u * 3.5,
        top + tall + u * 3.2,
        mix(frame, p.ground, 0.12),
    )
    sheet.box(0, floor, w, h, Fade(mix(p.ground, p.accent, 0.35), p.ground))
    shaft = p.light if not mood.night else mix(p.light, p.accent, 0.5)
    for pane_index in range(3):
        a = left + wide * pane_index / 3 + w * 0.14
        sheet.shape(
            [
                (a, floor + u),
                (a + wide / 3 - u * 1.5, floor + u),
                (a + wide / 3 + w * 0.09 - u * 1.5, h),
                (a + w * 0.09, h),
            ],
            shaft,
            0.3,
        )
    lamp = w * rng.uniform(0.76, 0.86)
    sheet.glow(lamp, h * 0.34, min(w, h) * 0.42, p.light, 0.6 if mood.night else 0.25)
    dark = mix(p.ground, BLACK, 0.2)
    sheet.line([(lamp, h * 0.36), (lamp, h * 0.9)], dark, u * 0.6)
    sheet.shape(oval(lamp, h * 0.905, u * 5, u * 0.9), dark)
    sheet.shape(
        [
            (lamp - u * 3.2, h * 0.26),
            (lamp + u * 3.2, h * 0.26),
            (lamp + u * 6, h * 0.38),
            (lamp - u * 6, h * 0.38),
        ],
        Fade(p.light, mix(p.spark, p.light, 0.4)),
    )
    potted(sheet, p, rng, left + wide * rng.uniform(0.15, 0.85), top + tall + u * 1.6)
    if rng.random() < 0.6:
        armchair(sheet, mix(p.spark, p.ground, 0.2), dark, left + wide * rng.uniform(0.55, 1.0), h * 0.94)
    if rng.random() < 0.5:
        sheet.image = sheet.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)

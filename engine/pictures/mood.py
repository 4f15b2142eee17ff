"""What words say of light and weather. It does not know what is drawn in them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

#: The words that tell of light and weather.
NIGHT = "night midnight moon moonlit moonlight dark stars starry neon candlelight nocturne noir"
DAY = "day morning noon midday sunny sunlit daylight dawn breakfast bright"
DUSK = "dusk sunset evening sunrise golden twilight afternoon autumn"
RAIN = "rain rainy raining storm stormy drizzle umbrella wet"
SNOW = "snow snowy snowing winter blizzard frost frosty ski skiing"


@dataclass(frozen=True)
class Mood:
    """What the words of a request say of light and weather."""

    night: bool
    dusk: bool
    rain: bool
    snow: bool

    @classmethod
    def of(cls, words: frozenset[str], rng: Random) -> Mood:
        night = bool(words.intersection(NIGHT.split()))
        day = bool(words.intersection(DAY.split()))
        dusk = bool(words.intersection(DUSK.split()))
        if not (night or day or dusk):
            hour = rng.random()
            night, dusk = hour < 0.35, 0.35 <= hour < 0.6
        return cls(
            night and not day,
            dusk,
            bool(words.intersection(RAIN.split())),
            bool(words.intersection(SNOW.split())),
        )

"""Pictures without a model: eleven families of composition, chosen by words and by dice.

It knows nothing of personas or files. The same words and dice give the same picture.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from engine.pictures.mood import Mood
from engine.pictures.patterns import arcs, cutouts, stars, stems, sunburst
from engine.pictures.places import arches, city, hills, room, stage, waves, weather
from engine.pictures.sheet import Palette, Sheet

Family = Callable[[Sheet, Palette, Mood, Random], None]

OUTDOORS = frozenset({"hills", "city", "waves", "stems", "arches"})

FAMILIES: dict[str, Family] = {
    "hills": hills,
    "stage": stage,
    "arcs": arcs,
    "sunburst": sunburst,
    "cutouts": cutouts,
    "city": city,
    "waves": waves,
    "stems": stems,
    "stars": stars,
    "arches": arches,
    "room": room,
}

#: The words of a request that call for each family.
CALLS: dict[str, str] = {
    "hills": """
        hill hills mountain mountains valley field fields meadow countryside hike hiking trail walk walking
        landscape road horizon vineyard farm lake forest woods run running cycling bike snow ski""",
    "stage": """
        stage theatre theater concert singing sing song band music guitar piano dance dancing actor
        performance show spotlight microphone cabaret opera gig play costume backstage""",
    "arcs": """
        abstract geometric pattern mosaic tile tiles quilt gallery museum bauhaus design workshop""",
    "sunburst": """
        sun sunny summer beach desert poster retro heroic hero victory celebration party festival""",
    "cutouts": """
        paper collage cut craft crafts art painting paint pottery clay sewing comic cartoon
        storybook""",
    "city": """
        city street streets roof rooftop rooftops skyline town downtown neon taxi bus tram subway train
        station alley apartment shopping market bar nightclub umbrella bridge noir rain rainy""",
    "waves": """
        sea ocean wave waves beach harbour harbor boat sail sailing ship swim swimming surf surfing
        river lake fishing coast pier diving pool""",
    "stems": """
        garden gardening gardener flower flowers plant plants botanical leaves leaf greenhouse spring bouquet herbs
        florist tree trees park picnic orchard jungle forest""",
    "stars": """
        star stars space galaxy planet planets cosmos night moon astronomy telescope constellation
        astronaut rocket magic spell wizard dream dreaming sky""",
    "arches": """
        palace temple church ruins ancient courtyard door doorway gate arch archway stairs castle
        library monastery villa terrace balcony fantasy throne""",
    "room": """
        room kitchen cafe coffee tea sofa bed bedroom home desk reading book books window lamp
        cooking baking breakfast dinner table chair cat portrait selfie living office gym yoga""",
}


def compose(width: int, height: int, palette: Palette, text: str, rng: Random) -> tuple[Sheet, str]:
    """A sheet with a composition on it, not yet reduced, and the name of its family."""
    words = frozenset(re.findall(r"[a-z]+", text.lower()))
    mood = Mood.of(words, rng)
    names = list(FAMILIES)
    calls = [len(words.intersection(CALLS[name].split())) ** 2 for name in names]
    name = rng.choices(names, calls if any(calls) else None)[0]
    sheet = Sheet(width, height, palette.ground)
    FAMILIES[name](sheet, palette, mood, rng)
    if name in OUTDOORS:
        weather(sheet, palette, mood, rng)
    return sheet, name

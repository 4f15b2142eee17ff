"""Pure: the understudy's picture prompts. A scene becomes 100 to 200 words, the body and the request among them.

The phrases come from `data/understudy/pictures.toml`; this decides where and when the scene is, so that no
detail contradicts it. Knows nothing of the model that will read the prompt.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from engine.language import PROMPT_WORDS, PromptWanted, count_words
from engine.language.listening import stem
from engine.language.phrasing import cleaned, filled
from personas.persona import Persona

_REQUEST_WORDS = 60
_MARKUP = str.maketrans(dict.fromkeys("()[]{}<>|\\", " "))
_WORD = re.compile(r"[^\W_]+")
_SOMEBODY = re.compile(r"\b(?:wo)?m[ae]n\b|\bperson\b|\bgirl\b|\bboy\b|year-old|\bfigure\b|\blady\b", re.I)


@dataclass(frozen=True)
class Situation:
    """Where and when a scene is, as far as its words say."""

    setting: str = ""
    indoor: bool | None = None
    time: str = ""
    weather: str = ""


def picture_prompt(wanted: PromptWanted, bank: Mapping[str, Any]) -> str:
    """A positive prompt with the body, the request and the style words in it, always within `PROMPT_WORDS`."""
    scene, style = wanted.scene, cleaned(wanted.style_words, 2_000)
    body = _encodable(scene.persona.appearance.body)
    request = _asked(scene.request, bank)
    rng = Random(_seed(wanted))
    most = PROMPT_WORDS[-1]
    who = _who(scene.persona, body)
    # Only a body or a style longer than a whole prompt gives way; then the request, never below a few words.
    style = _first_words(style, 100)
    body = _first_words(body, most - count_words(style) - count_words(who) - 12)
    request = _first_words(request, most - count_words(style) - count_words(who) - count_words(body) - 8)
    situation = _situation(scene.request, scene.ledger.place or scene.place, scene.ledger.time, bank)
    start = f"{rng.choice(bank['looks']['shot'])} of {who}" if who else rng.choice(bank["looks"]["shot"])
    kept = [part for part in (start, request, body) if part]
    room = most - count_words(style)
    wish = min(room, max(PROMPT_WORDS[0] + 15, sum(map(count_words, kept)) + 60) + rng.randrange(25))
    for phrase in _details(wanted, request, situation, bank, rng):
        words = sum(map(count_words, kept))
        if words + count_words(style) >= wish:
            break
        if phrase and words + count_words(phrase) <= room and phrase not in kept:
            kept.append(phrase)
    return ", ".join(part for part in (*kept, style) if part)


def nearest_colour(palette: Iterable[str], names: Mapping[str, str]) -> str:
    """The colours of a palette in words, nearest first.

    >>> nearest_colour(["#000000", "#fefefe"], {"black": "#0c0c0c", "white": "#fafafa"})
    'black and white'
    """

    def channels(colour: str) -> tuple[int, int, int]:
        return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)

    def distance(name: str, colour: str) -> int:
        return sum((a - b) ** 2 for a, b in zip(channels(names[name]), channels(colour), strict=True))

    found = list(
        dict.fromkeys(min((distance(name, colour), name) for name in names)[1] for colour in palette)
    )
    return " and ".join([", ".join(found[:-1]), found[-1]]) if len(found) > 1 else "".join(found)


def _seed(wanted: PromptWanted) -> int:
    scene = wanted.scene
    text = f"{wanted.seed}|{scene.seed}|{scene.persona.slug}|{scene.request[:4000]}|{scene.ledger}|{wanted.style}"
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def _who(persona: Persona, body: str) -> str:
    """Somebody with an age, unless the body already says so."""
    if _SOMEBODY.search(body):
        return cleaned(persona.name, 60).translate(_MARKUP).strip()
    kind = {"she": "woman", "he": "man"}.get(persona.pronouns.strip().lower().split("/")[0], "person")
    if persona.age is not None and persona.age < 18:
        return (
            f"a {persona.age}-year-old child in everyday clothes"
            if persona.age
            else "a child in everyday clothes"
        )
    if persona.age is not None and persona.age <= 110:
        return f"{'an' if persona.age == 18 or 80 <= persona.age < 90 else 'a'} {persona.age}-year-old {kind}"
    return f"an adult {kind}"


def _asked(request: str, bank: Mapping[str, Any]) -> str:
    """The request's own words, without what would be read as weights or networks, and fit for everybody."""
    unwanted = set(bank["unwanted"]["words"])
    plain = cleaned(request[:4_000].translate(_MARKUP), 1_200)
    runs = [run for run in plain.split() if not {w.lower() for w in _WORD.findall(run)} & unwanted]
    return _first_words(" ".join(runs), _REQUEST_WORDS)[:900].strip(" ,.;:")


def _situation(request: str, place: str, time: str, bank: Mapping[str, Any]) -> Situation:
    """The request decides; what it leaves open comes from the place and hour the scene already has."""
    asked, given = cleaned(request, 1_200), cleaned(f"{place} {time}", 600)
    settings: Mapping[str, Mapping[str, Any]] = bank["settings"]
    setting = _setting_named(asked, bank) or _setting_named(given, bank)
    if not setting and not asked and not place:
        setting = "anywhere"
    when = _first_named(asked, bank["times"]) or _first_named(f"{time} {place}", bank["times"])
    weather = _first_named(asked, bank["weathers"]) or _first_named(given, bank["weathers"])
    return Situation(setting, bool(settings[setting].get("indoor")) if setting else None, when, weather)


def _first_named(text: str, groups: Mapping[str, Sequence[str]]) -> str:
    """The group whose word comes first in the text."""
    roots = {" ".join(map(stem, word.split())): group for group, words in groups.items() for word in words}
    said = [stem(word) for word in _WORD.findall(text)]
    for at, root in enumerate(said):
        group = roots.get(" ".join(said[at : at + 2])) or roots.get(root)
        if group:
            return group
    return ""


def _details(
    wanted: PromptWanted, request: str, situation: Situation, bank: Mapping[str, Any], rng: Random
) -> list[str]:
    """Everything that may be added, the most telling first; more than any prompt has room for."""
    scene, looks = wanted.scene, bank["looks"]
    setting: Mapping[str, Sequence[str]] = bank["settings"].get(situation.setting, {})
    given_place = _plain(scene.ledger.place or scene.place, 30)
    if request and given_place:
        asked_for = _setting_named(request, bank)
        given_place = "" if asked_for and asked_for != _setting_named(given_place, bank) else given_place
    place = given_place or ("" if request and not setting else _one(setting.get("place", ()), rng))
    if request and not given_place and situation.setting == _setting_named(request, bank):
        place = ""  # the request has named it already
    style = wanted.style_words.lower()
    tints = filled(
        rng.choice(looks["tints"]),
        {"colours": nearest_colour(scene.persona.picture.palette[:4], bank["colours"])},
    )
    lens = rng.choice(looks["lens"])
    photographed = not style or _first_named(style, {"photograph": looks["photographic"]})
    expression = rng.choice(looks["expression"])
    if scene.ledger.mood:
        expression = f"{_plain(scene.ledger.mood, 8)} expression"
    elif _first_named(request, {"face": looks["expressive"]}):
        expression = ""
    first = [
        _clothes(wanted, request, setting, bank, rng),
        place,
        _one(setting.get("pose", ()) if not request else (), rng),
        expression,
        _light(scene.persona, situation, bank, rng),
        *_sky(situation, bank, rng),
    ]
    near = _shuffled(setting.get("detail", ()), rng)
    craft = [
        lens if photographed and "lens" not in style else "",
        "" if any(word in style for word in looks["colourless"]) else tints,
        rng.choice(looks["texture"]),
        rng.choice(looks["mood"]),
        rng.choice(looks["composition"]),
    ]
    rng.shuffle(craft)
    rest = _shuffled([*looks["finish"], *looks["texture"]], rng)
    # A second mood or background may quarrel with the first, so these come only where nothing else is left.
    last = _shuffled([*looks["mood"], *looks["background"]], rng)
    phrases = [
        *first,
        *near[:3],
        *craft,
        rng.choice(looks["background"]),
        *near[3:4],
        *rest,
        *near[4:],
        *last,
    ]
    return [phrase for phrase in phrases if not _echoes(phrase, style)]


def _echoes(phrase: str, style: str) -> bool:
    """Whether three words of a phrase in a row stand in the style already."""
    words, said = _WORD.findall(phrase.lower()), f" {' '.join(_WORD.findall(style))} "
    return any(f" {' '.join(words[at : at + 3])} " in said for at in range(len(words) - 2))


def _setting_named(text: str, bank: Mapping[str, Any]) -> str:
    """The setting of the first place in the text; without one, of the first thing that is done somewhere."""
    settings: Mapping[str, Mapping[str, Sequence[str]]] = bank["settings"]
    return _first_named(text, {name: group["words"] for name, group in settings.items()}) or _first_named(
        text, {name: group.get("acts", ()) for name, group in settings.items()}
    )


def _clothes(
    wanted: PromptWanted,
    request: str,
    setting: Mapping[str, Sequence[str]],
    bank: Mapping[str, Any],
    rng: Random,
) -> str:
    """What the ledger or the wardrobe says, unless the request dresses them itself."""
    scene = wanted.scene
    named = any(o.name and o.name.lower() in request.lower() for o in scene.persona.appearance.wardrobe)
    if _first_named(request, {"garment": bank["unwanted"]["garments"]}) and not named:
        return "fully clothed, every garment finely observed"
    dressed_for: Mapping[str, Mapping[str, Sequence[str]]] = bank["dressed_for"]
    act = _first_named(request, {name: group["words"] for name, group in dressed_for.items()})
    if act and not named and not scene.ledger.clothes:
        return f"wearing {_one(dressed_for[act]['clothes'], rng)}"
    worn = _asked(scene.clothes, bank)
    worn = _plain(worn, 40) or _one(setting.get("clothes") or bank["settings"]["anywhere"]["clothes"], rng)
    return f"wearing {worn}"


def _light(persona: Persona, situation: Situation, bank: Mapping[str, Any], rng: Random) -> str:
    """One family of light. The persona's own taste wins where the hour and the place allow it."""
    lights, words = bank["light"], bank["light_words"]
    setting = bank["settings"].get(situation.setting, {})
    taste = _plain(persona.picture.light, 20)
    family = _first_named(taste, words) or ""
    hour = situation.time or "day"
    if taste and not setting.get("light") and not situation.weather and not situation.time:
        hours = {g for g in words if _first_named(taste, {g: words[g]})}
        belongs = _first_named(taste, bank["light_places"])
        elsewhere = situation.indoor is not None and belongs == (
            "outdoors" if situation.indoor else "indoors"
        )
        if len(hours) <= 1 and family != "stage" and not elsewhere:
            return taste
    if setting.get("light") == "stage":
        return str(rng.choice(lights["in_stage"]))
    where = {True: "in", False: "out", None: "any"}[situation.indoor]
    if where == "out" and situation.weather in {"rain", "snow", "fog", "storm"} and hour == "day":
        return str(rng.choice(lights["out_grey"]))
    if where == "out" and hour == "night" and situation.setting in {"city", "market"}:
        return str(rng.choice(lights["out_night_city"]))
    return str(rng.choice(lights[f"{where}_{hour}"]))


def _sky(situation: Situation, bank: Mapping[str, Any], rng: Random) -> list[str]:
    said = [rng.choice(bank["hour"][situation.time])] if situation.time else []
    if situation.weather:
        under = f"in_{situation.weather}" if situation.indoor else situation.weather
        said.append(rng.choice(bank["sky"][under]))
    return said


def _plain(text: str, words: int) -> str:
    return _first_words(cleaned(text.translate(_MARKUP), 600), words).strip(" ,.;:")


def _first_words(text: str, most: int) -> str:
    """The text as it is while it has no more words than that, else its beginning."""
    if count_words(text) <= most:
        return text
    kept: list[str] = []
    left = most
    for run in text.split():
        left -= any(c.isalnum() for c in run)
        if left < 0:
            break
        kept.append(run)
    return " ".join(kept)


def _one(phrases: Sequence[str], rng: Random) -> str:
    return rng.choice(phrases) if phrases else ""


def _shuffled(phrases: Sequence[str], rng: Random) -> list[str]:
    return rng.sample(list(phrases), len(phrases))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "ignore").decode()

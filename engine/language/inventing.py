"""Pure: the understudy's new personas. A kind, a country and a temperament become somebody, as JSON.

Name, look and home come from one country and the rest from one kind, so that the parts belong together.
The material is in `data/understudy/casting.toml`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from engine.language import PersonaWanted
from engine.language.listening import stem
from engine.language.phrasing import capitalised, cleaned, with_article
from personas.persona import (
    Appearance,
    Interest,
    Outfit,
    Persona,
    Personality,
    PictureTaste,
    Voice,
    slug_of,
)

_PRONOUNS = {"she": "she/her", "he": "he/him", "they": "they/them"}
_FORMS = {
    "she": {"she": "she", "her": "her", "is": "is", "s": "s"},
    "he": {"she": "he", "her": "his", "is": "is", "s": "s"},
    "they": {"she": "they", "her": "their", "is": "are", "s": ""},
}


def persona_text(wanted: PersonaWanted, casting: Mapping[str, Any]) -> str:
    """A complete new persona, as JSON that `Persona` accepts; its slug is not one of those taken."""
    return invented(wanted, casting).model_dump_json(exclude={"card"}, exclude_none=True)


def invented(wanted: PersonaWanted, casting: Mapping[str, Any]) -> Persona:
    asked_kind, asked_name = cleaned(wanted.kind, 60), _name(wanted.name)
    seeded = f"{wanted.seed}|{asked_kind}|{asked_name}"
    rng = Random(zlib.crc32(seeded.encode("utf-8", "surrogatepass")))
    kind, foreseen = _kind(asked_kind, casting["kinds"], rng)
    material: Mapping[str, Any] = casting["kinds"][kind]
    country, gender = _origin(asked_name, casting["countries"], rng)
    name = asked_name or _new_name(country, gender, wanted.taken, rng)
    temper: Mapping[str, Any] = rng.choice(casting["temperaments"])
    age, occupation = _age(rng), str(rng.choice(material["occupations"]))
    age = max(age, 55) if "retired" in occupation else age
    home = str(rng.choice(country["homes"]))
    interests = tuple(
        Interest.model_validate(i) for i in rng.sample(material["interests"], len(material["interests"]))
    )
    label = kind if foreseen else asked_kind
    return Persona(
        slug=_free_slug(name, wanted.taken),
        name=name,
        age=age,
        pronouns=_PRONOUNS[gender],
        occupation=occupation,
        home=home,
        kind=label,
        tags=tuple(dict.fromkeys((label, *(i.name for i in interests)))),
        description=_description(name, gender, age, occupation, home, material, temper, interests, rng),
        personality=Personality(
            summary=temper["summary"],
            traits=tuple(temper["traits"]),
            likes=tuple(rng.sample(material["likes"], 3)),
            dislikes=tuple(rng.sample(temper["dislikes"], 2)),
            quirks=tuple(temper["quirks"]),
        ),
        interests=interests,
        voice=Voice(**{key: temper[key] for key in ("manner", "openers", "asides", "comforts", "farewells")}),
        appearance=_appearance(age, gender, country, material, temper, casting["body"], rng),
        picture=PictureTaste(
            style=rng.choice(casting["palettes"]["styles"]),
            palette=tuple(rng.choice(casting["palettes"]["all"])),
            light=rng.choice(casting["palettes"]["lights"]),
        ),
        scenario=f"{name} has a quiet hour in {home}, and {{{{user}}}} has come by to talk.",
        greetings=_greetings(name, temper, interests, rng),
        examples=_examples(temper, interests),
        creator="Greenroom's understudy",
        version="1",
    )


def _kind(asked: str, kinds: Mapping[str, Any], rng: Random) -> tuple[str, bool]:
    """The material for a hint, and whether it fits; without a hint, any."""
    if not asked:
        return rng.choice([kind for kind in kinds if kind != "general"]), True
    said = {stem(word) for word in re.findall(r"[^\W_]+", asked)}
    for kind in kinds:
        if stem(kind) in said and kind != "general":
            return kind, True
    for kind, material in kinds.items():
        if said & {stem(word) for word in material["also"]}:
            return kind, False
    return "general", False


def _name(asked: str) -> str:
    """Any text as a name: one line, no markup, at most the length that a name may have."""
    return (
        cleaned(re.sub(r"[{}<>\[\]|\\/%*_`\"]", " ", asked[:400]), 60).strip(" .-'") if asked.strip() else ""
    )


def _origin(
    asked_name: str, countries: Sequence[Mapping[str, Any]], rng: Random
) -> tuple[Mapping[str, Any], str]:
    """A country and a gender; those that a given name is known from, where it is known."""
    parts = {part.casefold() for part in asked_name.split()}
    for country in countries:
        for gender in ("she", "he", "they"):
            if parts & {name.casefold() for name in country[gender]}:
                return country, gender
    country = next(
        (c for c in countries if parts & {n.casefold() for n in c["family"]}), rng.choice(countries)
    )
    if asked_name:
        return country, "they"
    return country, rng.choices(("she", "he", "they"), (5, 5, 1))[0]


def _new_name(country: Mapping[str, Any], gender: str, taken: Sequence[str], rng: Random) -> str:
    names = [f"{first} {family}" for first in country[gender] for family in country["family"]]
    free = [name for name in names if slug_of(name) not in set(taken)]
    return rng.choice(free or names)


def _free_slug(name: str, taken: Sequence[str]) -> str:
    slug, used = slug_of(name), set(taken)
    if slug not in used:
        return slug
    number = 2
    while f"{slug[:42].rstrip('-')}-{number}" in used:
        number += 1
    return f"{slug[:42].rstrip('-')}-{number}"


def _age(rng: Random) -> int:
    return int(rng.triangular(19, 80, 40))


def _appearance(
    age: int,
    gender: str,
    country: Mapping[str, Any],
    material: Mapping[str, Any],
    temper: Mapping[str, Any],
    body: Mapping[str, Any],
    rng: Random,
) -> Appearance:
    somebody = {"she": "woman", "he": "man", "they": "person"}[gender]
    turned = rng.choice(body["white"]) if age >= 66 else rng.choice(body["grey"]) if age >= 45 else ""
    hair = [str(rng.choice(country["hair"])), str(rng.choice(body["cut"])), turned]
    article = with_article(country["people"]).split(" ")[0]
    return Appearance(
        face=f"{article} {country['people']} {somebody} of {age}, {rng.choice(body[f'face_{gender}'])}",
        hair=", ".join(part for part in hair if part),
        eyes=f"{rng.choice(country['eyes'])} {rng.choice(body['brow'])}",
        skin=rng.choice(country["skin"]) + (", finely lined" if age >= 55 else ""),
        build=rng.choice(body["build"]),
        marks=rng.choice(temper["marks"]),
        wardrobe=tuple(Outfit(name=name, description=worn) for name, worn in material["outfits"]),
        places=tuple(rng.sample(material["places"], len(material["places"]))),
    )


def _description(
    name: str,
    gender: str,
    age: int,
    occupation: str,
    home: str,
    material: Mapping[str, Any],
    temper: Mapping[str, Any],
    interests: Sequence[Interest],
    rng: Random,
) -> str:
    form = _FORMS[gender]
    likes = rng.sample(material["likes"], 2)
    first = name.split(" ")[0]
    return (
        (
            f"{name} is {age}, {with_article(occupation)} from {home}. {first} {rng.choice(material['does'])}. "
            f"{capitalised(form['she'])} love{form['s']} {likes[0]} and {likes[1]}, "
            f"and can't abide {temper['dislikes'][0]}.\n\n"
            f"{temper['summary']} Ask about {interests[0].name} and {form['she']} will forget the time; "
            f"ask about {form['her']}self and the subject changes to {interests[1].name}. "
            f"Among friends {form['she']} {form['is']} known for one thing: {first} {rng.choice(temper['quirks'])}."
        )
        .replace("hisself", "himself")
        .replace("theirself", "themselves")
    )


def _greetings(
    name: str, temper: Mapping[str, Any], interests: Sequence[Interest], rng: Random
) -> tuple[str, ...]:
    first, second = rng.sample(temper["opens"], 2)
    return (
        f"{first} I'm {name}. {interests[0].questions[0]}",
        f"{second} {rng.choice(interests[1].remarks)}",
        f"{first} {rng.choice(temper['asides'])} {interests[2].questions[0]}",
    )


def _examples(temper: Mapping[str, Any], interests: Sequence[Interest]) -> tuple[str, ...]:
    first = f"{temper['openers'][0]} {capitalised(interests[0].name)}, as ever. {interests[0].remarks[0]}"
    return (
        f"{{{{user}}}}: What's on your mind?\n{{{{char}}}}: {first}",
        f"{{{{user}}}}: I've had a long day.\n{{{{char}}}}: {temper['comforts'][0]}",
        f"{{{{user}}}}: Tell me something.\n"
        f"{{{{char}}}}: {interests[1].remarks[1]} {interests[1].questions[1]}",
    )

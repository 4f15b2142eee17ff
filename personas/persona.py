"""Persona: the noun that everything else hangs on. Frozen, validated, and readable as a file.

A persona knows nothing of chats, models or pictures; it says who somebody is. What a character card holds
beyond these fields stays in `card`, so that nothing is lost on the way in or out.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from personas.lorebook import Lorebook


class Rating(StrEnum):
    """How grown-up words and pictures may be; each level includes the ones before it."""

    ALL_AGES = "all-ages"
    MATURE = "mature"
    ADULT = "adult"

    @property
    def level(self) -> int:
        return list(Rating).index(self)


def printable(text: str) -> str:
    """Control characters, lone surrogates and direction overrides have no business in a persona."""
    kept = (c for c in text if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs"})
    return "".join(
        c for c in kept if c not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    ).strip()


def slug_of(name: str) -> str:
    """A name as it stands in commands and file names: small letters, digits and dashes.

    >>> slug_of("Íris Vale-Okonkwo")
    'iris-vale-okonkwo'
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:48].strip("-")
    return slug or "persona-" + format(abs(hash_of(name)) % 0xFFFFFF, "06x")


def hash_of(text: str) -> int:
    """A number that is the same for the same text in every process (Python's own `hash` is not)."""
    value = 0
    for byte in text.encode("utf-8", "surrogatepass"):
        value = (value * 131 + byte) & 0xFFFFFFFFFFFF
    return value


Words = Annotated[str, StringConstraints(max_length=200_000), AfterValidator(printable)]
Line = Annotated[str, StringConstraints(max_length=2_000), AfterValidator(printable)]
Name = Annotated[str, AfterValidator(printable), StringConstraints(min_length=1, max_length=80)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")]
Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]
#: A few words, as they stand in every picture prompt.
Phrase = Annotated[str, AfterValidator(printable), StringConstraints(max_length=200)]
#: What a file of weights is called, without its folder and its ending.
FileName = Annotated[
    str, AfterValidator(printable), StringConstraints(max_length=80, pattern=r"^[^\s/\\<>:][^/\\<>:\n\t]*$")
]
#: How strongly something counts; below 0 it is kept away.
Weight = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]


class Part(BaseModel):
    """Shared by everything a persona is made of: frozen, and a misspelt field is an error, not a loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Interest(Part):
    """Something a persona cares about: the words that bring it up, and things it likes to say of it."""

    name: Line
    words: tuple[Line, ...] = ()
    remarks: tuple[Line, ...] = ()
    questions: tuple[Line, ...] = ()


class Personality(Part):
    summary: Words = ""
    traits: tuple[Line, ...] = ()
    likes: tuple[Line, ...] = ()
    dislikes: tuple[Line, ...] = ()
    quirks: tuple[Line, ...] = ()


class Voice(Part):
    """How somebody talks. The openers, fillers and farewells are lines in their own words."""

    manner: Words = ""
    openers: tuple[Line, ...] = ()
    asides: tuple[Line, ...] = ()
    comforts: tuple[Line, ...] = ()
    farewells: tuple[Line, ...] = ()
    avoids: tuple[Line, ...] = ()


class Outfit(Part):
    name: Line
    description: Line


class Pose(Part):
    name: Line
    description: Line


class Appearance(Part):
    """The canonical body, the same in every picture; and the wardrobe, from which each scene chooses."""

    face: Line = ""
    hair: Line = ""
    eyes: Line = ""
    skin: Line = ""
    build: Line = ""
    marks: Line = ""
    wardrobe: tuple[Outfit, ...] = ()
    places: tuple[Line, ...] = ()
    #: How they like to stand and sit; without any, the house's poses are theirs.
    poses: tuple[Pose, ...] = ()

    @property
    def body(self) -> str:
        """The canonical body as one phrase of a picture prompt."""
        parts = (self.face, self.hair, self.eyes, self.skin, self.build, self.marks)
        return ", ".join(part.rstrip(". ") for part in parts if part)


class Sampling(Part):
    """How a model's next word is drawn for this persona. None leaves it to the house."""

    temperature: float | None = Field(default=None, ge=0, le=5)
    top_k: int | None = Field(default=None, ge=0, le=1_000)
    top_p: float | None = Field(default=None, gt=0, le=1)
    min_p: float | None = Field(default=None, ge=0, le=1)
    repeat_penalty: float | None = Field(default=None, ge=0.5, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    #: Don't Repeat Yourself: how strongly the repetition of whole phrases is discouraged; 0 is off.
    dry: float | None = Field(default=None, ge=0, le=5)
    #: Exclude Top Choices: how often the likeliest words are passed over, above which likelihood.
    xtc: float | None = Field(default=None, ge=0, le=1)
    xtc_threshold: float | None = Field(default=None, ge=0, le=0.5)


class PictureTaste(Part):
    """What a persona's pictures look like when nobody asks for something else."""

    style: Slug = "photorealistic"
    palette: tuple[Colour, ...] = ("#22333b", "#c6ac8f", "#eae0d5")
    light: Line = ""
    avoid: Line = ""
    #: The art direction: words that stand in every prompt, whatever the style.
    direction: Phrase = ""
    #: LoRAs that each picture is made with, by the name of their file, and how strongly each counts.
    loras: dict[FileName, Weight] = Field(default_factory=dict, max_length=6)
    #: Replace the instructions for picture prompts where not empty; `{{original}}` stands for those.
    instructions: Words = ""


class Persona(Part):
    slug: Slug
    name: Name
    nickname: Line = ""
    age: int | None = Field(default=None, ge=0, le=10_000)
    pronouns: Line = ""
    occupation: Line = ""
    home: Line = ""
    kind: Line = ""
    rating: Rating = Rating.ALL_AGES
    tags: tuple[Line, ...] = ()
    description: Words = ""
    personality: Personality = Personality()
    interests: tuple[Interest, ...] = ()
    voice: Voice = Voice()
    appearance: Appearance = Appearance()
    picture: PictureTaste = PictureTaste()
    scenario: Words = ""
    greetings: tuple[Words, ...] = ()
    group_greetings: tuple[Words, ...] = ()
    #: Example dialogue, each block in the form `{{user}}: …` / `{{char}}: …`.
    examples: tuple[Words, ...] = ()
    lorebook: Lorebook | None = None
    #: Replace the default instructions where not empty; `{{original}}` stands for the default.
    system_prompt: Words = ""
    #: Which language model speaks for it, of those that the operator allows; empty: the house's.
    model: Line = ""
    sampling: Sampling = Sampling()
    post_history_instructions: Words = ""
    creator: Line = ""
    creator_notes: Words = ""
    version: Line = ""
    #: The character card this persona came from, whole and as it came; empty for those born here.
    card: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _adults_only_beyond_all_ages(self) -> Self:
        if self.rating is not Rating.ALL_AGES and (self.age is None or self.age < 18):
            raise ValueError(f"a persona rated {self.rating.value} must have an age of 18 or more")
        return self

    @property
    def called(self) -> str:
        """The name used in talk: the nickname where there is one."""
        return self.nickname or self.name

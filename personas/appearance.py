"""How somebody looks right now: the canonical body never changes, the ledger says what does."""

from __future__ import annotations

from dataclasses import dataclass

from personas.persona import Persona


@dataclass(frozen=True)
class Ledger:
    """What changes as the conversation goes on. Empty fields leave the choice to the scene."""

    clothes: str = ""
    place: str = ""
    time: str = ""
    mood: str = ""
    pose: str = ""


@dataclass(frozen=True)
class Scene:
    """What a picture is to show: who, as they are now, and what was asked for."""

    persona: Persona
    request: str
    ledger: Ledger = Ledger()
    #: An index into the wardrobe and places, so that different seeds dress and place differently.
    seed: int = 0

    @property
    def clothes(self) -> str:
        if self.ledger.clothes:
            return self.ledger.clothes
        wardrobe = self.persona.appearance.wardrobe
        named = [outfit for outfit in wardrobe if outfit.name and outfit.name.lower() in self.request.lower()]
        chosen = named or list(wardrobe)
        return chosen[self.seed % len(chosen)].description if chosen else ""

    @property
    def place(self) -> str:
        if self.ledger.place:
            return self.ledger.place
        places = self.persona.appearance.places
        return places[self.seed % len(places)] if places and not self.request.strip() else ""

"""Pure: how the next word is drawn. What a persona leaves open the house decides."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.settings import LanguageSettings
from personas import persona


@dataclass(frozen=True)
class Sampling:
    """All of it, decided. A temperature of 0 takes the likeliest word."""

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    dry: float = 0.0
    xtc: float = 0.0
    xtc_threshold: float = 0.1
    seed: int = 0


def sampling_of(house: LanguageSettings, own: persona.Sampling | None, *, seed: int) -> Sampling:
    """A persona's own words on it go before the house's."""
    usual = Sampling(
        temperature=house.temperature,
        top_k=house.top_k,
        top_p=house.top_p,
        min_p=house.min_p,
        repeat_penalty=house.repeat_penalty,
        frequency_penalty=house.frequency_penalty,
        presence_penalty=house.presence_penalty,
        dry=house.dry,
        xtc=house.xtc,
        xtc_threshold=house.xtc_threshold,
        seed=seed % 2**32,
    )
    return replace(usual, **own.model_dump(exclude_none=True)) if own else usual


def for_forms(seed: int) -> Sampling:
    """For what is written under a grammar: bans on repetition would fight with the form itself."""
    return Sampling(temperature=0.9, top_p=0.95, min_p=0.05, seed=seed % 2**32)

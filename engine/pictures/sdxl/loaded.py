"""A model that is loaded, and all that is kept as long as it is: its encoders with what they remember, and its LoRAs.

How its passes are run it does not know, nor what becomes of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from engine.errors import BadRequest
from engine.locales import say
from engine.pictures import Lora, PictureWanted
from engine.pictures.sdxl.longprompt import Conditioning, Encoder, together
from engine.pictures.sdxl.loras import Loras
from engine.pictures.sdxl.pipelines import Pipelines, Words
from engine.pictures.sdxl.sparing import Step


@dataclass(frozen=True)
class Conditioned:
    """What a pass is told of its pictures."""

    words: Words
    refined: Words | None


class Loaded:
    """One thread may use it."""

    def __init__(
        self, name: str, pipelines: Pipelines, model_hash: str, loras: Loras | None, *, fallen: bool = False
    ) -> None:
        self.name = name
        self.pipelines = pipelines
        self.model_hash = model_hash
        #: It runs on the processor because it did not fit on the GPU.
        self.fallen = fallen
        self._loras = loras
        self._wears = False
        self._encoder = Encoder(pipelines.pipe)
        self._refining = None if pipelines.refiner is None else Encoder(pipelines.refiner)

    @property
    def spared(self) -> set[Step]:
        """How it makes do with less memory by now."""
        ways: dict[Step, bool] = {
            "tiles": self.pipelines.spares,
            "offload": bool(self.pipelines.resting),
            "processor": self.fallen,
        }
        return {step for step, is_so in ways.items() if is_so}

    def chunks(self, picture: PictureWanted, guided: bool) -> tuple[int, ...]:
        """How many chunks of words each model is shown for it."""
        texts = [picture.prompt, picture.negative] if guided else [picture.prompt]
        read = [self._encoder.encode(text) for text in texts]
        refined = self._refined(texts)
        sides = [read] if refined is None else [read, refined]
        return tuple(max(one.receipt.chunks for one in side) for side in sides)

    def wear(self, loras: Sequence[Lora]) -> list[dict[str, Any]]:
        """Nothing but these from now on; what there is to be told of each."""
        if not loras and not self._wears:
            return []
        if self._loras is None:
            raise BadRequest(say("pictures.lora.without", model=self.name, name=loras[0].name))
        self._loras.check(loras)
        # Until it is known better: if this fails, the next one that is to wear nothing makes sure of it.
        self._wears = self.pipelines.dressed = True
        with self.pipelines.resting.stripped():
            worn = self._loras.wear(self.pipelines.pipe, loras)
        self._wears = self.pipelines.dressed = bool(loras)
        if worn.words_changed:
            self._encoder.forget()
        return worn.facts

    def conditioned(self, wanted: Sequence[PictureWanted], guided: bool) -> Conditioned:
        """Positives and negatives go into one stack, so that all are padded to one length."""
        texts = [one.prompt for one in wanted]
        if guided:
            texts += [one.negative for one in wanted]
        # One after the other and each once: what is remembered of so many may be less than all of them.
        known = {text: self._encoder.encode(text) for text in dict.fromkeys(texts)}
        read = [known[text] for text in texts]
        refined = self._refined(texts)
        words = None if refined is None else _stacked(refined, len(wanted), guided)
        return Conditioned(_stacked(read, len(wanted), guided), words)

    def receipt(self, wanted: PictureWanted) -> dict[str, Any]:
        """What became of its words; to be asked for while they are remembered."""
        return self._encoder.encode(wanted.prompt).receipt.as_json()

    def forget_words(self) -> None:
        """The encoders compute in other numbers now."""
        self._encoder.forget()
        if self._refining is not None:
            self._refining.forget()

    def close(self) -> None:
        pipelines = self.pipelines
        del self._encoder, self._refining, self.pipelines
        pipelines.close()

    def _refined(self, texts: Sequence[str]) -> list[Conditioning] | None:
        """A refiner shares an encoder with the base, and is to read as if that wore nothing."""
        if self._refining is None:
            return None
        with self._loras.aside(self.pipelines.pipe) if self._wears and self._loras else nullcontext():
            known = {text: self._refining.encode(text) for text in dict.fromkeys(texts)}
        return [known[text] for text in texts]


def _stacked(read: Sequence[Conditioning], count: int, guided: bool) -> Words:
    embeds, pooled = together(read)
    if not guided:
        return Words(embeds, pooled)
    if pooled is None:
        return Words(embeds[:count], None, embeds[count:])
    return Words(embeds[:count], pooled[:count], embeds[count:], pooled[count:])

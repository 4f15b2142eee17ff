"""How words become embeddings: all of them, by compel, with a receipt of what went in and what did not.

It knows nothing of pictures or jobs. A person's text never reaches compel's own parser, which can hang for minutes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.pictures.sdxl.cutting import CHUNK
from engine.pictures.sdxl.sides import Reading, Side
from engine.pictures.sdxl.weighted import Fragment, fragments, kept, plain

if TYPE_CHECKING:
    import torch

#: Each weight below one is blended in as one more row of all chunks. So many chunks there are at most; weights beyond
#: that count as one.
MOST_READINGS = 96
#: Conditionings are remembered while they are no more than so many chunks together: 80 MB in 16 bit.
REMEMBERED_CHUNKS = 256


@dataclass(frozen=True)
class Receipt:
    """What the encoders were given of a prompt."""

    #: In the whole prompt, weights and brackets aside.
    words: int
    #: Beyond what is read at all. All others went in.
    words_dropped: int
    #: What each encoder read, its own markers and padding not counted; counted where it went in.
    tokens: tuple[int, ...]
    #: What the text was made of and no encoder read.
    tokens_dropped: tuple[int, ...]
    #: How many readings of 75 tokens stand one behind the other.
    chunks: int
    #: Of the cuts between them, how many are at punctuation; the others are between two words where there are any.
    cuts_at_punctuation: int
    #: Parts with a weight of their own, and those of them that were too many to be weighed down.
    weighted: int
    weights_ignored: int
    #: The pooled vector is made of the beginning only, without weights; empty where a model has none.
    pooled_text: str
    pooled_tokens: int

    @property
    def whole(self) -> bool:
        """All that was written was read."""
        return not (self.words_dropped or any(self.tokens_dropped))

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "tokens": list(self.tokens),
            "tokens_dropped": list(self.tokens_dropped),
            "whole": self.whole,
        }


@dataclass(frozen=True, eq=False)
class Conditioning:
    """What a pipeline is given in place of a prompt: one row, as long as its chunks are."""

    embeds: torch.Tensor
    #: SDXL's second idea of the whole; None for models that have none.
    pooled: torch.Tensor | None
    #: The chunk of an empty prompt, to make a shorter one as long as another.
    empty: torch.Tensor
    receipt: Receipt


class Encoder:
    """Turns prompts into conditionings with the encoders of one pipeline, and remembers the last ones.

    Not for two threads: it belongs to whoever owns the pipeline.
    """

    def __init__(self, pipeline: Any, device: str | None = None) -> None:
        """`device`: where the encoders run; else where the pipeline runs, wherever its parts rest meanwhile."""
        #: SDXL and its refiner have a second encoder, and that one makes the pooled vector.
        self._pools = getattr(pipeline, "text_encoder_2", None) is not None
        self._pipeline, self._device = pipeline, device
        self._sides: list[Side] = []
        self._remembered: OrderedDict[str, Conditioning] = OrderedDict()
        self.forget()

    def forget(self) -> None:
        """To be called when the encoders have changed: a LoRA that came or went, another device."""
        device = self._device or str(self._pipeline._execution_device)
        self._sides = [
            Side(getattr(self._pipeline, f"tokenizer{number}"), encoder, sdxl=self._pools, device=device)
            for number in ("", "_2")
            if (encoder := getattr(self._pipeline, f"text_encoder{number}", None)) is not None
        ]
        self._remembered.clear()

    def encode(self, prompt: str) -> Conditioning:
        """The same prompt, the same conditioning, and the second time at no cost."""
        made = self._remembered.pop(prompt, None) or self._encode(prompt)
        self._remembered[prompt] = made
        chunks = sum(one.receipt.chunks for one in self._remembered.values())
        while chunks > REMEMBERED_CHUNKS and len(self._remembered) > 1:
            chunks -= self._remembered.popitem(last=False)[1].receipt.chunks
        return made

    def _encode(self, prompt: str) -> Conditioning:
        import torch

        everything = fragments(prompt)
        try:
            read = everything
            for side in self._sides:
                side.spell(part.text for part in read)
                read = side.within(read)
            weighed, ignored = _affordable(read, max(side.count(read) for side in self._sides))
            text = plain(read)
            with torch.no_grad():
                readings = [
                    side.read(weighed, text if self._pools and side is self._sides[-1] else None)
                    for side in self._sides
                ]
                chunks = max(len(one.chunks) for one in readings)
                empty = torch.cat([one.empty for one in readings], dim=-1)
                length = chunks * empty.shape[1]
                embeds = torch.cat([_filled(one.embeds, one.empty, length) for one in readings], dim=-1)
            return Conditioning(
                embeds,
                readings[-1].pooled,
                empty,
                self._receipt(prompt, everything, read, text, ignored, readings),
            )
        finally:
            for side in self._sides:
                side.forget()

    def _receipt(
        self,
        prompt: str,
        everything: Sequence[Fragment],
        read: Sequence[Fragment],
        text: str,
        ignored: int,
        readings: Sequence[Reading],
    ) -> Receipt:
        tokens = tuple(sum(map(len, one.chunks)) for one in readings)
        pooled_text, pooled_tokens = self._sides[-1].beginning(text) if self._pools else ("", 0)
        beyond = len(prompt[len(kept(prompt)) :].split())
        words_read = len(text.split())
        words = beyond + (words_read if read == everything else len(plain(everything).split()))
        return Receipt(
            words=words,
            words_dropped=words - words_read,
            tokens=tokens,
            tokens_dropped=tuple(
                side.count(everything) - count for side, count in zip(self._sides, tokens, strict=True)
            ),
            chunks=max(len(one.chunks) for one in readings),
            cuts_at_punctuation=max(
                side.cuts_at_punctuation(one.chunks) for side, one in zip(self._sides, readings, strict=True)
            ),
            weighted=sum(part.weight != 1.0 for part in read),
            weights_ignored=ignored,
            pooled_text=pooled_text,
            pooled_tokens=pooled_tokens,
        )


def together(conditionings: Sequence[Conditioning]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """One batch of them all: the shorter ones are filled up with chunks of an empty prompt, as compel does it."""
    import torch

    longest = max(one.embeds.shape[1] for one in conditionings)
    embeds = torch.cat([_filled(one.embeds, one.empty, longest) for one in conditionings])
    pooled = [one.pooled for one in conditionings if one.pooled is not None]
    return embeds, torch.cat(pooled) if pooled else None


def _filled(embeds: torch.Tensor, empty: torch.Tensor, length: int) -> torch.Tensor:
    import torch

    missing = (length - embeds.shape[1]) // empty.shape[1]
    return torch.cat([embeds, *[empty] * missing], dim=1)


def _affordable(parts: Sequence[Fragment], tokens: int) -> tuple[tuple[Fragment, ...], int]:
    """The same parts, with no more of them weighed down than there is time for; and how many that left out."""
    room = MOST_READINGS // (tokens // CHUNK + 1)
    weighed: list[Fragment] = []
    lighter = 0
    for part in parts:
        lighter += part.weight < 1.0
        weighed.append(replace(part, weight=1.0) if part.weight < 1.0 and lighter > room else part)
    return tuple(weighed), max(0, lighter - room)

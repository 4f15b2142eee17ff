"""One of a model's encoders with its tokenizer, and compel between them: what it makes of a prompt's parts.

How two of them stand side by side, and what is told of it, it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.pictures.sdxl.cutting import cut, within
from engine.pictures.sdxl.readings import Reader, Row, Speller, Spelt
from engine.pictures.sdxl.weighted import Fragment

if TYPE_CHECKING:
    import torch

#: A cut behind one of these parts no phrase.
PUNCTUATION = (".", ",", ";", ":", "!", "?")


@dataclass(frozen=True, eq=False)
class Reading:
    """What one encoder made of a prompt: the embeddings of all chunks, the tokens that went into each, and the
    pooled vector where it was to make one.
    """

    embeds: torch.Tensor
    chunks: list[list[int]]
    pooled: torch.Tensor | None
    #: The chunk of an empty prompt.
    empty: torch.Tensor


class Side:
    """One tokenizer with its encoder, and compel between them."""

    def __init__(self, tokenizer: Any, encoder: Any, *, sdxl: bool, device: str) -> None:
        from compel import Compel, ReturnedEmbeddingsType

        returned = (
            ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED
            if sdxl
            else ReturnedEmbeddingsType.LAST_HIDDEN_STATES_NORMALIZED
        )
        self._tokenizer = tokenizer
        # It would say that long texts end in errors. They are cut into chunks before anything reads them.
        tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True
        self._speller = Speller(tokenizer)
        self._reader = Reader(encoder, device, hidden=sdxl)
        # It cuts long texts at a full stop, else at other punctuation, else between words: its own choice is kept,
        # and what it makes of weights.
        self._compel = Compel(
            tokenizer=self._speller,
            text_encoder=self._reader,
            returned_embeddings_type=returned,
            truncate_long_prompts=False,
            device=device,
        )
        self._target = (device, encoder.dtype)

    def spell(self, texts: Iterable[str]) -> None:
        """To be called before anything is asked of these, until `forget`: all together they are quickly spelt."""
        self._speller.spelt(list(texts))

    def forget(self) -> None:
        self._speller.forget()
        self._reader.forget()

    def read(self, parts: Sequence[Fragment], pooled: str | None) -> Reading:
        """`pooled`: the text that the pooled vector is made of, if it is to be made."""
        from compel.prompt_parser import Conjunction, FlattenedPrompt
        from compel.prompt_parser import Fragment as Weighed

        there = [part for part in parts if self.count([part])]  # compel stumbles over parts that are no token
        rows = self._rows(there)
        if pooled is not None:
            rows.append((self._chunk(self._spelt(pooled).ids[: self._length - 2]), None))
        self._reader.read(rows)
        children = []
        for part in there:
            child = Weighed("", part.weight)
            child.text = part.text  # its constructor would read brackets that are text by now
            children.append(child)
        prompt = FlattenedPrompt(children or [Weighed("")])
        z, tokens, _ = self._compel.build_conditioning_tensor_for_conjunction(
            Conjunction([prompt]), return_tokenization=True
        )
        chunks = tokens.reshape(-1, self._length).tolist()
        return Reading(
            self._there(z),
            [chunk[1 : chunk.index(self._tokenizer.eos_token_id)] for chunk in chunks],
            None if pooled is None else self._pooled(pooled),
            self._there(self._compel.conditioning_provider.empty_z),
        )

    def _rows(self, parts: Sequence[Fragment]) -> list[Row]:
        """What compel will have the encoder read: each chunk, and once more each that a weight below one touches,
        without what weighs so little.
        """
        spelt = [self._spelt(part.text) for part in parts]
        ids = [token for one in spelt for token in one.ids]
        chunks: list[tuple[int, ...]] = []
        places: list[int] = []
        for length in cut([token for one in spelt for token in one.tokens]):
            begins, at = len(chunks) * self._length + 1, len(places)
            places += range(begins, begins + length)
            chunks.append(self._chunk(ids[at : at + length]))
        rows: list[Row] = [(chunk, None) for chunk in chunks]
        at = 0
        for part, one in zip(parts, spelt, strict=True):
            first, last = places[at], places[at + len(one.ids) - 1]
            at += len(one.ids)
            if part.weight < 1.0:
                touched = range(first // self._length, last // self._length + 1)
                rows += [(chunks[number], self._without(number, first, last)) for number in touched]
        return rows

    def _chunk(self, ids: Sequence[int]) -> tuple[int, ...]:
        of = self._tokenizer
        filled = [of.pad_token_id] * (self._length - 2 - len(ids))
        return (of.bos_token_id, *ids, of.eos_token_id, *filled)

    def _without(self, chunk: int, first: int, last: int) -> tuple[int, ...]:
        """Which of its places are seen if those of a part are not; compel always shows the ends of a chunk."""
        ends = (0, self._length - 1)
        begins = chunk * self._length
        return tuple(
            int(place in ends or not first <= begins + place <= last) for place in range(self._length)
        )

    def _pooled(self, text: str) -> torch.Tensor:
        device = self._compel.device
        return self._there(self._compel.conditioning_provider.get_pooled_embeddings([text], device=device))

    def beginning(self, text: str) -> tuple[str, int]:
        """As much of a text as goes into one chunk, and how many tokens that is."""
        ends = self._ends(text)[: self._length - 2]
        return text[: ends[-1]] if ends else "", len(ends)

    def within(self, parts: Sequence[Fragment]) -> tuple[Fragment, ...]:
        """As many of them, and of the last one as many words, as may be read."""
        return within(parts, self._ends)

    def count(self, parts: Iterable[Fragment]) -> int:
        return sum(len(self._ends(part.text)) for part in parts)

    def cuts_at_punctuation(self, chunks: Sequence[Sequence[int]]) -> int:
        lasts = [chunk[-1] for chunk in chunks[:-1] if chunk]
        words: list[str] = self._tokenizer.convert_ids_to_tokens(lasts)
        return sum(word.removesuffix("</w>").endswith(PUNCTUATION) for word in words)

    def _ends(self, text: str) -> list[int]:
        """Where in a text each of its tokens ends."""
        return self._spelt(text).ends

    def _spelt(self, text: str) -> Spelt:
        [one] = self._speller.spelt([text])
        return one

    def _there(self, tensor: torch.Tensor) -> torch.Tensor:
        device, dtype = self._target
        return tensor.to(device=device, dtype=dtype)

    @property
    def _length(self) -> int:
        return int(self._tokenizer.model_max_length)

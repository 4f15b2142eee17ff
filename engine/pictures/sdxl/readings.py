"""What compel asks of a tokenizer and of an encoder, answered from what was read beforehand, all in one go.

compel takes a text apart anew for each question about it, and has the encoder read chunk after chunk, for each weight
below one all of them once more. What nobody foresaw is asked for as compel asks for it: the embeddings are its own
either way. It knows neither weights nor prompts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

#: So many chunks go through an encoder at once. SDXL's larger one takes 7 MB for each meanwhile, in 16 bit.
AT_ONCE = 16

#: A chunk of tokens, and which of them are seen; None: all are.
Row = tuple[tuple[int, ...], tuple[int, ...] | None]


@dataclass(frozen=True)
class Spelt:
    """A text as its tokens, and where in it each of them ends."""

    ids: list[int]
    tokens: list[str]
    ends: list[int]


class Speller:
    """Stands before a tokenizer. Each text is taken apart once until `forget`."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, Spelt] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def __call__(
        self, texts: Sequence[str], *, truncation: bool, **_asked: Any
    ) -> dict[str, list[list[int]]]:
        """As compel asks: with the tokens that begin and end a text, and cut off at one chunk if need be."""
        begin, end = self._tokenizer.bos_token_id, self._tokenizer.eos_token_id
        most = self._tokenizer.model_max_length - 2 if truncation else None
        return {"input_ids": [[begin, *one.ids[:most], end] for one in self.spelt(texts)]}

    def spelt(self, texts: Sequence[str]) -> list[Spelt]:
        if new := [text for text in dict.fromkeys(texts) if text not in self._known]:
            read = self._tokenizer(new, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
            for number, (text, ids) in enumerate(zip(new, read["input_ids"], strict=True)):
                ends = [end for _, end in read["offset_mapping"][number]]
                self._known[text] = Spelt(ids, read.tokens(number), ends)
        return [self._known[text] for text in texts]

    def forget(self) -> None:
        self._known.clear()


class Reader:
    """Stands before an encoder. What was read stays there until `forget`."""

    def __init__(self, encoder: Any, device: str, *, hidden: bool) -> None:
        """`device`: where it computes, wherever it rests. `hidden`: what its layers say is wanted too."""
        self._encoder = encoder
        self._device = device
        self._hidden = hidden
        self._known: dict[Row, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def __call__(self, ids: torch.Tensor, mask: torch.Tensor | None = None, **asked: Any) -> Any:
        """As compel asks: one chunk."""
        if self._known:
            seen = None if mask is None else tuple(mask[0].tolist())
            row = (tuple(ids[0].tolist()), None if seen is None or all(seen) else seen)
            if (answer := self._known.get(row)) is not None:
                return answer
        return self._encoder(ids, mask, **asked)

    def read(self, rows: Iterable[Row]) -> None:
        """Equal ones are read once. Those of which all is seen go by themselves: others are slower, and round in
        another way.
        """
        apart: dict[bool, list[Row]] = {False: [], True: []}
        for row in dict.fromkeys(rows):
            apart[row[1] is not None].append(row)
        for alike in apart.values():
            for start in range(0, len(alike), AT_ONCE):
                self._read(alike[start : start + AT_ONCE])

    def _read(self, rows: Sequence[Row]) -> None:
        import torch

        ids = torch.tensor([ids for ids, _ in rows], device=self._device)
        masks = [mask for _, mask in rows if mask is not None]
        mask = torch.tensor(masks, device=self._device) if masks else None
        said = self._encoder(ids, mask, output_hidden_states=self._hidden, return_dict=True)
        for number, row in enumerate(rows):
            self._known[row] = _of_row(said, slice(number, number + 1))

    def forget(self) -> None:
        self._known.clear()


def _of_row(said: Any, row: slice) -> Any:
    """Of all layers, no more than the last two are asked for."""
    parts = {
        name: tuple(layer[row] for layer in part[-2:]) if name == "hidden_states" else part[row]
        for name, part in said.items()
    }
    return type(said)(**parts)

"""How words become embeddings: all of them, by compel, with a receipt of what went in and what did not.

It knows nothing of pictures or jobs. A person's text never reaches compel's own parser, which can hang for minutes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.pictures.sdxl.weighted import Fragment, fragments, kept, plain

if TYPE_CHECKING:
    import torch

#: So many tokens are read at once, beside the two that begin and end them.
CHUNK = 75
#: An encoder reads no more than this; each 75 are one more chunk that every step of a picture looks at.
MOST_TOKENS = 2_400
#: Each weight below one costs a reading of all chunks. So many chunks are read at most; further weights count as one.
MOST_READINGS = 96
#: Conditionings are remembered while they are no more than so many chunks together: 80 MB in 16 bit.
REMEMBERED_CHUNKS = 256
#: A cut behind one of these parts no phrase.
PUNCTUATION = (".", ",", ";", ":", "!", "?")
#: Where compel likes to cut best, and where next.
STOPS = (".</w>",)
PAUSES = (".</w>", ",</w>", ";</w>", ":</w>")


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
        self._sides: list[_Side] = []
        self._remembered: OrderedDict[str, Conditioning] = OrderedDict()
        self.forget()

    def forget(self) -> None:
        """To be called when the encoders have changed: a LoRA that came or went, another device."""
        device = self._device or str(self._pipeline._execution_device)
        self._sides = [
            _Side(getattr(self._pipeline, f"tokenizer{number}"), encoder, sdxl=self._pools, device=device)
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
        read = everything
        for side in self._sides:
            read = side.within(read)
        weighed, ignored = _affordable(read, max(side.count(read) for side in self._sides))
        text = plain(read)
        with torch.no_grad():
            readings = [side.read(weighed) for side in self._sides]
            chunks = max(len(tokens) for _, tokens in readings)
            empty = torch.cat([side.empty() for side in self._sides], dim=-1)
            embeds = torch.cat(
                [side.padded(z, chunks) for side, (z, _) in zip(self._sides, readings, strict=True)], dim=-1
            )
            pooled = self._sides[-1].pooled(text) if self._pools else None
        tokens = tuple(sum(map(len, chunked)) for _, chunked in readings)
        pooled_text, pooled_tokens = self._sides[-1].beginning(text) if self._pools else ("", 0)
        words = _words(everything) + len(prompt[len(kept(prompt)) :].split())
        receipt = Receipt(
            words=words,
            words_dropped=words - _words(read),
            tokens=tokens,
            tokens_dropped=tuple(
                side.count(everything) - count for side, count in zip(self._sides, tokens, strict=True)
            ),
            chunks=chunks,
            cuts_at_punctuation=max(
                side.cuts_at_punctuation(chunked)
                for side, (_, chunked) in zip(self._sides, readings, strict=True)
            ),
            weighted=sum(part.weight != 1.0 for part in read),
            weights_ignored=ignored,
            pooled_text=pooled_text,
            pooled_tokens=pooled_tokens,
        )
        return Conditioning(embeds, pooled, empty, receipt)


def within(parts: Sequence[Fragment], ends: Callable[[str], list[int]]) -> tuple[Fragment, ...]:
    """As many of them, and of the last one as many words, as may be read. `ends`: where a text's tokens end in it."""
    room = MOST_TOKENS
    read: list[Fragment] = []
    for part in parts:
        there = ends(part.text)
        if len(there) > room:
            read.append(replace(part, text=_whole_words(part.text, there[room - 1] if room else 0)))
            break
        room -= len(there)
        read.append(part)
    return tuple(read)


def chunks_of(tokens: Sequence[str]) -> int:
    """How many chunks compel makes of these: it cuts behind the last full stop that fits in, else behind the last of
    other punctuation, else behind the last word.
    """
    chunks, at = 1, 0
    while len(tokens) - at > CHUNK:
        there = tokens[at : at + CHUNK]
        at += _behind(there, STOPS) or _behind(there, PAUSES) or _behind_a_word(there) or CHUNK
        chunks += 1
    return chunks


def _behind(tokens: Sequence[str], marks: Sequence[str]) -> int:
    return max((place for place, token in enumerate(tokens, 1) if token in marks), default=0)


def _behind_a_word(tokens: Sequence[str]) -> int:
    return max((place for place, token in enumerate(tokens, 1) if token.endswith("</w>")), default=0)


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
    room = MOST_READINGS // (tokens // 75 + 1)
    weighed: list[Fragment] = []
    lighter = 0
    for part in parts:
        lighter += part.weight < 1.0
        weighed.append(replace(part, weight=1.0) if part.weight < 1.0 and lighter > room else part)
    return tuple(weighed), max(0, lighter - room)


def _words(parts: Iterable[Fragment]) -> int:
    return len(plain(parts).split())


class _Side:
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
        # It cuts long texts at a full stop, else at other punctuation, else between words: its own choice is kept, so
        # that a prompt without weights is to the last bit what compel makes of it.
        self._compel = Compel(
            tokenizer=tokenizer,
            text_encoder=encoder,
            returned_embeddings_type=returned,
            truncate_long_prompts=False,
            device=device,
        )
        self._target = (device, encoder.dtype)

    def read(self, parts: Sequence[Fragment]) -> tuple[torch.Tensor, list[list[int]]]:
        """The embeddings of all chunks, and the tokens that went into each."""
        from compel.prompt_parser import Conjunction, FlattenedPrompt
        from compel.prompt_parser import Fragment as Weighed

        children = []
        for part in parts:
            if self.count([part]):  # compel stumbles over parts that are no token
                child = Weighed("", part.weight)
                child.text = part.text  # its constructor would read brackets that are text by now
                children.append(child)
        prompt = FlattenedPrompt(children or [Weighed("")])
        z, tokens, _ = self._compel.build_conditioning_tensor_for_conjunction(
            Conjunction([prompt]), return_tokenization=True
        )
        chunks = tokens.reshape(-1, self._length).tolist()
        return self._there(z), [chunk[1 : chunk.index(self._tokenizer.eos_token_id)] for chunk in chunks]

    def empty(self) -> torch.Tensor:
        """The chunk of an empty prompt."""
        return self._there(self._compel.conditioning_provider.empty_z)

    def padded(self, embeds: torch.Tensor, chunks: int) -> torch.Tensor:
        return _filled(embeds, self.empty(), chunks * self._length)

    def pooled(self, text: str) -> torch.Tensor:
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
        read = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [end for _, end in read["offset_mapping"]]

    def _there(self, tensor: torch.Tensor) -> torch.Tensor:
        device, dtype = self._target
        return tensor.to(device=device, dtype=dtype)

    @property
    def _length(self) -> int:
        return int(self._tokenizer.model_max_length)


def _whole_words(text: str, end: int) -> str:
    """The text up to there, or up to the word before if that is in the midst of one."""
    cut = text[:end]
    if text[end : end + 1].isspace():
        return cut
    head, *rest = cut.rsplit(maxsplit=1)[:2] or [""]
    return head if rest else cut

"""One text at a time from a real model, as its seed has it: the plainest way to ask llama.cpp for words.

It knows no batches and no templates. A grammar is asked about the token that was drawn; if it says no, about all.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

#: A token of llama.cpp as it stands in an array: its number, its logit, its probability.
TOKEN = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


def llama() -> Any:
    """The library, which reads once how its threads shall wait: asleep, for others need the processor too."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    import llama_cpp

    return llama_cpp


@dataclass(frozen=True)
class Written:
    text: bytes
    tokens: int
    #: Whether it came to an end by itself.
    ended: bool


class Writing:
    """A model that is open."""

    def __init__(self, model: Path, *, context: int = 4096) -> None:
        self._llama = llama()
        self._llama.llama_backend_init()
        wanted = self._llama.llama_model_default_params()
        wanted.use_extra_bufts = False
        wanted.n_gpu_layers = 0
        self._model = self._llama.llama_model_load_from_file(os.fsencode(model), wanted)
        assert self._model, f"{model} is no model"
        room = self._llama.llama_context_default_params()
        room.n_ctx, room.n_threads, room.n_threads_batch = context, 1, 1
        self._context = self._llama.llama_init_from_model(self._model, room)
        self._vocab = self._llama.llama_model_get_vocab(self._model)
        self._size = self._llama.llama_vocab_n_tokens(self._vocab)
        pieces = ((self.piece(token), token) for token in range(self._size))
        self._bytes = {piece[0]: token for piece, token in pieces if len(piece) == 1}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._llama.llama_free(self._context)
        self._llama.llama_model_free(self._model)

    def tokens(self, text: str, *, special: bool = False) -> list[int]:
        raw = text.encode()
        found = (self._llama.llama_token * (len(raw) + 8))()
        count = self._llama.llama_tokenize(self._vocab, raw, len(raw), found, len(found), False, special)
        assert count >= 0
        return list(found[:count])

    def piece(self, token: int) -> bytes:
        written = ctypes.create_string_buffer(512)
        length = self._llama.llama_token_to_piece(self._vocab, token, written, len(written), 0, True)
        assert length >= 0
        return written.raw[:length]

    def spelt(self, text: bytes) -> list[int]:
        """Byte by byte: a tokenizer may put a space in front."""
        return [self._bytes[byte] for byte in text]

    def ends(self, token: int) -> bool:
        return bool(self._llama.llama_vocab_is_eog(self._vocab, token))

    @contextmanager
    def grammar(self, gbnf: str) -> Iterator[Any]:
        """A new state of it; `ValueError` if llama.cpp does not read it."""
        made = self._llama.llama_sampler_init_grammar(self._vocab, gbnf.encode(), b"root")
        if not made:
            raise ValueError("llama.cpp does not read this grammar")
        try:
            yield made
        finally:
            self._llama.llama_sampler_free(made)

    def admitted(self, grammar: Any, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
        """Those of the tokens that may come next."""
        asked = np.zeros(len(tokens), dtype=TOKEN)
        asked["id"] = tokens
        self._apply(grammar, asked)
        return tokens[~np.isneginf(asked["logit"])]

    def accepts(self, grammar: Any, tokens: Sequence[int]) -> bool:
        """Takes one token after another, as long as it may."""
        for token in tokens:
            if not len(self.admitted(grammar, np.array([token], dtype=np.int32))):
                return False
            self._llama.llama_sampler_accept(grammar, token)
        return True

    def admits(self, gbnf: str, text: str) -> bool:
        """Whether it is one of the texts of this grammar, and a whole one."""
        with self.grammar(gbnf) as state:
            end = np.array([self._llama.llama_vocab_eos(self._vocab)], dtype=np.int32)
            return self.accepts(state, self.spelt(text.encode())) and len(self.admitted(state, end)) == 1

    def write(self, prompt: str, gbnf: str, *, seed: int, most: int = 3_000) -> Written:
        """What this seed writes. All of the vocabulary is as likely as the model finds it."""
        random = np.random.default_rng(seed)
        everything = np.arange(self._size, dtype=np.int32)
        text, told, logits = b"", 0, self.logits(prompt)
        with self.grammar(gbnf) as state:
            while told < most:
                token = _drawn(logits, everything, random)
                if not len(self.admitted(state, np.array([token], dtype=np.int32))):
                    token = _drawn(logits, self.admitted(state, everything), random)
                if self.ends(token):
                    return Written(text, told, ended=True)
                self._llama.llama_sampler_accept(state, token)
                text, told, logits = text + self.piece(token), told + 1, self._after([token])
        return Written(text, told, ended=False)

    def logits(self, prompt: str) -> NDArray[np.float64]:
        """What comes next after these words, and nothing else."""
        self._llama.llama_memory_clear(self._llama.llama_get_memory(self._context), True)
        return self._after(self.tokens(prompt))

    def _after(self, tokens: Sequence[int]) -> NDArray[np.float64]:
        read = (self._llama.llama_token * len(tokens))(*tokens)
        assert (
            self._llama.llama_decode(self._context, self._llama.llama_batch_get_one(read, len(tokens))) == 0
        )
        found = np.ctypeslib.as_array(self._llama.llama_get_logits_ith(self._context, -1), (self._size,))
        return found.astype(np.float64)

    def _apply(self, grammar: Any, asked: NDArray[Any]) -> None:
        data = asked.ctypes.data_as(ctypes.POINTER(self._llama.llama_token_data))
        array = self._llama.llama_token_data_array(data=data, size=len(asked), selected=-1, sorted=False)
        self._llama.llama_sampler_apply(grammar, ctypes.byref(array))


def _drawn(logits: NDArray[np.float64], among: NDArray[np.int32], random: np.random.Generator) -> int:
    """One of these tokens, each as likely as its logit says."""
    assert len(among), "the grammar admits nothing at all"
    noisy = logits[among] + random.gumbel(size=len(among))
    return int(among[int(noisy.argmax())])

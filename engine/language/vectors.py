"""A model of llama.cpp that turns texts into vectors: opened, asked in batches, closed.

As in `llama`, what would end the process is refused before the call, and the thread that opened it owns it. It knows
tokens; who asks, and in which order, it does not know.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import ModelUnavailable
from engine.language import llama
from engine.language.embeddings import Vector, unit
from engine.language.facts import carries_state, said_of
from engine.language.llama import library
from engine.language.numbers import KINDS, check_memory
from engine.language.tokens import around, tokenised

#: So many texts at most are read at once.
MOST_SEQS = 32
#: Short texts are read together, up to so many tokens.
BATCH = 512
#: A model that also knows words computes for each token how likely every word is; each takes so many bytes.
LIKELY_BYTES = 8
#: What that takes is at most this part of the machine's memory; but so many tokens a text may always have.
MEMORY_PART, ALWAYS = 8, 512


@dataclass(frozen=True)
class Asked:
    """How a model is to be opened; `longest` is the most that a text may have, in tokens."""

    threads: int = 1
    gpu_layers: int = -1
    longest: int = 8_192
    ram: int = 16_000_000_000


class Vectors:
    """One open model."""

    def __init__(self, lib: Any, model: Any, context: Any, longest: int, batch: int) -> None:
        self._lib = lib
        self._model = model
        self._context = context
        self._vocab = lib.llama_model_get_vocab(model)
        self._vocabulary = int(lib.llama_vocab_n_tokens(self._vocab))
        #: None where nothing is kept from token to token: such models see all of a text at once.
        self._memory = lib.llama_get_memory(context)
        self._batch = lib.llama_batch_init(batch, 0, 1)
        self._owner = threading.get_ident()
        #: So many tokens a text may have, so many are read at once, and so many numbers come of it.
        self.longest = longest
        self.batch = batch
        self.dimensions = int(lib.llama_model_n_embd_out(model))
        self._begin, self._end = around(lib, self._vocab)

    @classmethod
    def open(cls, path: Path, asked: Asked, *, progress: Callable[[float], bool] | None = None) -> Vectors:
        lib = library()
        model = llama.loaded(lib, path, gpu_layers=asked.gpu_layers, progress=progress)
        try:
            pooling, longest = _pooling(lib, model, path), _longest(lib, model, asked)
            batch = max(longest, BATCH)
            context = _context(lib, model, asked, pooling, batch)
        except BaseException:
            lib.llama_model_free(model)
            raise
        return cls(lib, model, context, longest, batch)

    def tokens(self, text: str) -> list[int]:
        """With those that the model wants at the beginning and at the end."""
        self._check()
        return [*self._begin, *tokenised(self._lib, self._vocab, text, special=False), *self._end]

    def embed(self, texts: Sequence[Sequence[int]]) -> list[Vector]:
        """A vector of length 1 for each; they have to fit into one batch."""
        self._check()
        count = sum(map(len, texts))
        if not 0 < count <= self.batch or len(texts) > MOST_SEQS:
            raise ValueError(f"{count} tokens of {len(texts)} texts in a batch of {self.batch}")
        batch, at = self._batch, 0
        for seq, tokens in enumerate(texts):
            # Beyond what it was trained on a model reads behind the end of its table of places.
            if not 0 < len(tokens) <= self.longest:
                raise ValueError(f"a text of {len(tokens)} tokens, where {self.longest} are the most")
            for place, token in enumerate(tokens):
                if not 0 <= token < self._vocabulary:
                    raise ValueError(f"there is no token {token}")
                batch.token[at] = token
                batch.pos[at] = place
                batch.n_seq_id[at] = 1
                batch.seq_id[at][0] = seq
                batch.logits[at] = True
                at += 1
        batch.n_tokens = count
        code = self._read(batch)
        if code != 0:
            raise ModelUnavailable(f"llama.cpp could not compute (code {code}): {llama.why()}")
        return [unit(self._numbers(seq)) for seq in range(len(texts))]

    def close(self) -> None:
        """Once; whatever is asked afterwards is refused."""
        if self._context is None:
            return
        context, model, self._context, self._model = self._context, self._model, None, None
        self._lib.llama_batch_free(self._batch)
        self._lib.llama_free(context)
        self._lib.llama_model_free(model)

    def _read(self, batch: Any) -> int:
        if not self._memory:
            return int(self._lib.llama_encode(self._context, batch))
        self._lib.llama_memory_clear(self._memory, True)
        return int(self._lib.llama_decode(self._context, batch))

    def _numbers(self, seq: int) -> list[float]:
        found = self._lib.llama_get_embeddings_seq(self._context, seq)
        if not found:  # reading there would end the process
            raise ModelUnavailable("The model computed no vector for a text.")
        return list(found[: self.dimensions])

    def _check(self) -> None:
        if self._context is None:
            raise ModelUnavailable("the model is closed")
        if threading.get_ident() != self._owner:
            raise RuntimeError("a model belongs to the thread that opened it")


def _pooling(lib: Any, model: Any, path: Path) -> int:
    """How the vectors of its tokens become one: as its file says, else their mean."""
    if carries_state(lib, model) or (
        lib.llama_model_has_encoder(model) and lib.llama_model_has_decoder(model)
    ):
        raise ModelUnavailable(f"{path.name} is of a kind that makes no vectors here.")
    kind = said_of(lib, model, "general.architecture")
    told = said_of(lib, model, f"{kind}.pooling_type")
    if told == str(lib.LLAMA_POOLING_TYPE_RANK):
        raise ModelUnavailable(f"{path.name} says how well two texts fit together; it makes no vectors.")
    known = (lib.LLAMA_POOLING_TYPE_MEAN, lib.LLAMA_POOLING_TYPE_CLS, lib.LLAMA_POOLING_TYPE_LAST)
    return next((one for one in known if told == str(one)), int(lib.LLAMA_POOLING_TYPE_MEAN))


def _longest(lib: Any, model: Any, asked: Asked) -> int:
    """A text is read in one step, whole. That is as long as the model, the settings and the memory allow."""
    most = min(int(lib.llama_model_n_ctx_train(model)) or asked.longest, asked.longest)
    if not _knows_words(lib, model):
        return most
    each = int(lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))) * LIKELY_BYTES
    return min(most, max(ALWAYS, asked.ram // MEMORY_PART // max(1, each)))


def _knows_words(lib: Any, model: Any) -> bool:
    causal = said_of(lib, model, f"{said_of(lib, model, 'general.architecture')}.attention.causal")
    return causal != "false" and not lib.llama_model_has_encoder(model)


def _context(lib: Any, model: Any, asked: Asked, pooling: int, batch: int) -> Any:
    check_memory(lib, model, batch, KINDS["f16"])
    params = lib.llama_context_default_params()
    # A text that does not fit into one of the library's own steps ends the process: all three are the same.
    params.n_ctx = params.n_batch = params.n_ubatch = batch
    params.n_seq_max = MOST_SEQS
    params.n_threads = params.n_threads_batch = asked.threads
    params.embeddings = True
    params.pooling_type = pooling
    params.kv_unified = True
    params.no_perf = True
    context = lib.llama_init_from_model(model, params)
    if not context:
        raise ModelUnavailable(
            f"There is no memory for texts of {batch} tokens ({llama.why()}): lower language.context."
        )
    return context

"""Draws the next token of a row from what llama.cpp computed, under a grammar where there is one.

It is handed the library, and asks it for samplers and the grammar's word; models and memories it does not know.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from engine.language.sampling import Sampling

#: Repeated phrases are looked for so far back, in tokens.
LOOK_BACK = 512


class NothingFits(Exception):
    """The grammar admits none of the model's tokens here."""


class NoNumbers(Exception):
    """The model computed something that is no number: its file is damaged, or does not suit the library."""


class Sampler:
    """Draws the tokens of one row; with a grammar, only what that admits."""

    def __init__(
        self,
        lib: Any,
        vocab: Any,
        vocabulary: int,
        sampling: Sampling,
        grammar: str,
        behind: Sequence[int],
        *,
        dry: Any = None,
    ) -> None:
        import numpy

        self._lib = lib
        self._numpy = numpy
        self._vocabulary = vocabulary
        self._grammar = None
        if grammar:
            if "\0" in grammar:
                raise ValueError("a grammar holds no null character")
            self._grammar = lib.llama_sampler_init_grammar(vocab, grammar.encode(), b"root")
            if not self._grammar:
                raise ValueError("the grammar is not one")
        self._chain = _chain(lib, vocabulary, sampling, dry)
        for token in behind[-LOOK_BACK:]:
            lib.llama_sampler_accept(self._chain, token)
        #: Room for the whole vocabulary; only who draws under a grammar ever needs it.
        self._row: Any = None
        if self._grammar:
            kind = [("id", numpy.int32), ("logit", numpy.float32), ("p", numpy.float32)]
            self._row = numpy.zeros(vocabulary, dtype=kind)

    def draw(self, context: Any, at: int) -> int:
        logits = self._logits(context, at)
        token = int(self._lib.llama_sampler_sample(self._chain, context, at))
        if self._grammar and not self._admits(token):
            # Asking the grammar of one token is cheap; of the whole vocabulary, only where that one was refused.
            token = self._drawn_under_the_grammar(logits)
        if not 0 <= token < self._vocabulary:
            raise NothingFits
        if self._grammar:
            self._lib.llama_sampler_accept(self._grammar, token)
        return token

    def free(self) -> None:
        if self._chain is not None:
            self._lib.llama_sampler_free(self._chain)
            if self._grammar:
                self._lib.llama_sampler_free(self._grammar)
            self._chain = None

    def _logits(self, context: Any, at: int) -> Any:
        found = self._lib.llama_get_logits_ith(context, at)
        if not found:
            raise ValueError("nothing was computed to draw from")
        logits = self._numpy.ctypeslib.as_array(found, shape=(self._vocabulary,))
        # With a grammar a number that is none ends the process, and without one it is silent junk.
        if self._numpy.isnan(logits.sum()):
            raise NoNumbers
        return logits

    def _admits(self, token: int) -> bool:
        one = self._lib.llama_token_data(token, 1.0, 0.0)
        asked = self._lib.llama_token_data_array(ctypes.pointer(one), 1, -1, False)
        self._lib.llama_sampler_apply(self._grammar, ctypes.byref(asked))
        return bool(one.logit != float("-inf"))

    def _drawn_under_the_grammar(self, logits: Any) -> int:
        row = self._row
        row["id"] = self._numpy.arange(self._vocabulary, dtype=self._numpy.int32)
        row["logit"], row["p"] = logits, 0.0
        data = row.ctypes.data_as(ctypes.POINTER(self._lib.llama_token_data))
        asked = self._lib.llama_token_data_array(data, self._vocabulary, -1, False)
        self._lib.llama_sampler_apply(self._grammar, ctypes.byref(asked))
        admitted = row[row["logit"] > float("-inf")]
        if not len(admitted):
            raise NothingFits
        # Only what is admitted goes on: to sort a vocabulary of which most is ruled out costs more than all else.
        admitted = admitted.copy()
        data = admitted.ctypes.data_as(ctypes.POINTER(self._lib.llama_token_data))
        asked = self._lib.llama_token_data_array(data, len(admitted), -1, False)
        self._lib.llama_sampler_apply(self._chain, ctypes.byref(asked))
        if asked.selected < 0:
            raise NothingFits
        return int(asked.data[asked.selected].id)


def dry_sampler(lib: Any, vocab: Any, strength: float) -> Any:
    """Whoever keeps whole phrases from coming again; what it was told is its own, so each text has a copy."""
    breaks = [b"\n", b":", b'"', b"*"]
    return lib.llama_sampler_init_dry(
        vocab, strength, 1.75, 2, LOOK_BACK, (ctypes.c_char_p * len(breaks))(*breaks), len(breaks)
    )


def _chain(lib: Any, vocabulary: int, how: Sampling, dry: Any) -> Any:
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())

    def add(link: Any) -> None:
        if link:
            lib.llama_sampler_chain_add(chain, link)

    if (how.repeat_penalty, how.frequency_penalty, how.presence_penalty) != (1.0, 0.0, 0.0):
        add(
            lib.llama_sampler_init_penalties(
                vocabulary, 64, how.repeat_penalty, how.frequency_penalty, how.presence_penalty
            )
        )
    if dry:
        add(dry)
    if how.temperature <= 0:
        add(lib.llama_sampler_init_greedy())
        return chain
    # The cheap one first: what is unlikely need not be sorted.
    if how.min_p > 0:
        add(lib.llama_sampler_init_min_p(how.min_p, 1))
    if how.top_k > 0:
        add(lib.llama_sampler_init_top_k(how.top_k))
    if how.top_p < 1:
        add(lib.llama_sampler_init_top_p(how.top_p, 1))
    if how.xtc > 0:
        add(lib.llama_sampler_init_xtc(how.xtc, how.xtc_threshold, 1, how.seed))
    add(lib.llama_sampler_init_temp(how.temperature))
    add(lib.llama_sampler_init_dist(how.seed))
    return chain

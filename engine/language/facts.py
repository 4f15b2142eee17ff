"""What a language model is: by its own file, and by the library that runs it."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Facts:
    """What a model is, by its own file and by the library that runs it."""

    title: str
    parameters: int
    size: int
    trained_on: int
    vocabulary: int
    template: str
    begins: str
    ends: str
    #: Whether sequences can share a beginning, and be cut short.
    shares: bool
    trims: bool
    back_end: str
    #: So many bytes of memory each token takes.
    token_bytes: int
    #: Where a layer sees only so many tokens back; 0: all see all.
    window: int


def facts_of(lib: Any, model: Any, *, back_end: str, token_bytes: int) -> Facts:
    vocab = lib.llama_model_get_vocab(model)

    def token_text(token: int) -> str:
        return (
            (lib.llama_vocab_get_text(vocab, token) or b"").decode("utf-8", "replace") if token >= 0 else ""
        )

    template = lib.llama_model_chat_template(model, None)
    stateful = carries_state(lib, model)
    return Facts(
        title=said_of(lib, model, "general.name"),
        parameters=int(lib.llama_model_n_params(model)),
        size=int(lib.llama_model_size(model)),
        trained_on=int(lib.llama_model_n_ctx_train(model)),
        vocabulary=int(lib.llama_vocab_n_tokens(vocab)),
        template=template.decode("utf-8", "replace") if template else "",
        begins=token_text(lib.llama_vocab_bos(vocab)),
        ends=token_text(lib.llama_vocab_eos(vocab)),
        shares=not stateful,
        trims=not stateful,
        back_end=back_end,
        token_bytes=token_bytes,
        window=int(lib.llama_model_n_swa(model)),
    )


def carries_state(lib: Any, model: Any) -> bool:
    """Recurrent models and hybrids: what was read is one state, which cannot be shared or cut."""
    return bool(lib.llama_model_is_recurrent(model) or lib.llama_model_is_hybrid(model))


def said_of(lib: Any, model: Any, key: str) -> str:
    """What a file says of itself under a name; empty where it says nothing."""
    room = 65_536
    found = ctypes.create_string_buffer(room)
    count = lib.llama_model_meta_val_str(model, key.encode(), found, room)
    return found.value.decode("utf-8", "replace") if count >= 0 else ""

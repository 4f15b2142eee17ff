"""Makes a model as those are that turn texts into vectors: BERT with a vocabulary of word pieces, random weights."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, LlamaFileType, PoolingType, TokenType

from tests.models.vocabularies import WORDS

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def make_bert(
    path: Path,
    *,
    seed: int = 0,
    hidden: int = 64,
    layers: int = 2,
    heads: int = 4,
    context: int = 128,
    pooling: PoolingType | None = PoolingType.MEAN,
    spoiled: bool = False,
) -> Path:
    """It reads at most `context` tokens at once. A `spoiled` one loads, and computes nothing but NaN."""
    tokens = _pieces()
    random = np.random.default_rng(seed)
    writer = GGUFWriter(path, "bert")
    writer.add_name("A tiny measure of texts")
    writer.add_context_length(context)
    writer.add_embedding_length(hidden)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(2 * hidden)
    writer.add_head_count(heads)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    if pooling is not None:
        writer.add_pooling_type(pooling)
    writer.add_file_type(LlamaFileType.ALL_F32)
    _add_vocabulary(writer, tokens)

    def add(name: str, *shape: int, scale: float) -> None:
        writer.add_tensor(name, random.normal(0.0, scale, shape).astype(np.float32))

    def add_norm(name: str) -> None:
        values = np.ones(hidden, dtype=np.float32)
        if spoiled:
            values[::7] = np.nan
        writer.add_tensor(f"{name}.weight", values)
        writer.add_tensor(f"{name}.bias", np.zeros(hidden, dtype=np.float32))

    add("token_embd.weight", len(tokens), hidden, scale=1.0)
    add("position_embd.weight", context, hidden, scale=0.1)
    add("token_types.weight", 2, hidden, scale=0.1)
    add_norm("token_embd_norm")
    for layer in range(layers):
        at = f"blk.{layer}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"{at}.{name}.weight", hidden, hidden, scale=hidden**-0.5)
            add(f"{at}.{name}.bias", hidden, scale=0.01)
        add_norm(f"{at}.attn_output_norm")
        add(f"{at}.ffn_up.weight", 2 * hidden, hidden, scale=hidden**-0.5)
        add(f"{at}.ffn_up.bias", 2 * hidden, scale=0.01)
        add(f"{at}.ffn_down.weight", hidden, 2 * hidden, scale=(2 * hidden) ** -0.5)
        add(f"{at}.ffn_down.bias", hidden, scale=0.01)
        add_norm(f"{at}.layer_output_norm")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _pieces() -> list[str]:
    """Beginnings of words stand behind a mark, as llama.cpp keeps them, and what goes on stands without."""
    letters = [c for c in string.printable if c.isprintable() and not c.isspace()]
    whole = dict.fromkeys(WORDS.lower().split())
    begins = dict.fromkeys([f"▁{word}" for word in whole] + [f"▁{letter}" for letter in letters])
    return [*SPECIALS, *begins, *letters]


def _add_vocabulary(writer: GGUFWriter, tokens: list[str]) -> None:
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_vocab_size(len(tokens))
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL if token in SPECIALS else TokenType.NORMAL for token in tokens])
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_type_count(2)
    for name, add in (
        ("[PAD]", writer.add_pad_token_id),
        ("[UNK]", writer.add_unk_token_id),
        ("[CLS]", writer.add_bos_token_id),
        ("[SEP]", writer.add_eos_token_id),
        ("[SEP]", writer.add_sep_token_id),
        ("[MASK]", writer.add_mask_token_id),
    ):
        add(tokens.index(name))

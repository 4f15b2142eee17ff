"""Makes a model without attention: what it read is one state, of which nothing can be shared and nothing cut off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFWriter, LlamaFileType

from tests.models.gguf import SPREAD, add_vocabulary, vocabulary_of
from tests.models.templates import TEMPLATES

HIDDEN, LAYERS, INNER, STATE, CONV, RANK = 64, 2, 128, 16, 4, 4


def make_recurrent(path: Path, *, seed: int = 0, vocab_size: int = 600, context: int = 4096) -> Path:
    """A tiny Mamba with ChatML's template."""
    random = np.random.default_rng(seed)
    words = vocabulary_of("bpe", vocab_size, "chatml")
    writer = GGUFWriter(path, "mamba")
    writer.add_name("A tiny recurrent model")
    writer.add_context_length(context)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_block_count(LAYERS)
    writer.add_ssm_conv_kernel(CONV)
    writer.add_ssm_inner_size(INNER)
    writer.add_ssm_state_size(STATE)
    writer.add_ssm_time_step_rank(RANK)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(LlamaFileType.ALL_F32)
    add_vocabulary(writer, words)
    writer.add_eot_token_id(words.id_of(TEMPLATES["chatml"].end_of_turn))
    writer.add_chat_template(TEMPLATES["chatml"].jinja)

    def add(name: str, *shape: int, scale: float = 1.0) -> None:
        writer.add_tensor(name, random.normal(0.0, scale, shape).astype(np.float32))

    tokens = len(words.tokens)
    add("token_embd.weight", tokens, HIDDEN)
    writer.add_tensor("output_norm.weight", np.ones(HIDDEN, dtype=np.float32))
    add("output.weight", tokens, HIDDEN, scale=SPREAD * HIDDEN**-0.5)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        writer.add_tensor(f"{block}.attn_norm.weight", np.ones(HIDDEN, dtype=np.float32))
        add(f"{block}.ssm_in.weight", 2 * INNER, HIDDEN, scale=HIDDEN**-0.5)
        add(f"{block}.ssm_conv1d.weight", INNER, CONV, scale=0.5)
        add(f"{block}.ssm_conv1d.bias", INNER, scale=0.1)
        add(f"{block}.ssm_x.weight", RANK + 2 * STATE, INNER, scale=3 * INNER**-0.5)
        add(f"{block}.ssm_dt.weight", INNER, RANK, scale=0.1)
        # Small steps: what was read a hundred tokens ago is still remembered.
        writer.add_tensor(f"{block}.ssm_dt.bias", np.full(INNER, -4.0, dtype=np.float32))
        forgets = -np.tile(np.arange(1, STATE + 1, dtype=np.float32), (INNER, 1))
        writer.add_tensor(f"{block}.ssm_a", forgets)
        writer.add_tensor(f"{block}.ssm_d", np.ones(INNER, dtype=np.float32))
        add(f"{block}.ssm_out.weight", HIDDEN, INNER, scale=INNER**-0.5)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path

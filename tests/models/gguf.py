"""Makes language models that llama.cpp loads: real files, real templates, random weights.

They say nothing that makes sense, and say it as a trained model would: token by token, from a seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, PoolingType
from gguf.quants import quantize
from numpy.typing import NDArray

from tests.models import vocabularies
from tests.models.templates import TEMPLATES
from tests.models.vocabularies import Vocabulary

Kind = Literal["bpe", "spm"]
Weights = Literal["F32", "Q8_0", "Q4_0"]
TemplateName = Literal["chatml", "llama3", "no-system"]

FILE_TYPES = {
    "F32": LlamaFileType.ALL_F32,
    "Q8_0": LlamaFileType.MOSTLY_Q8_0,
    "Q4_0": LlamaFileType.MOSTLY_Q4_0,
}
#: How far apart the logits lie: with less, all tokens are as likely; with more, one is said for ever.
SPREAD = 2.0
#: Numbers in a block of Q8_0, and the standard deviation of its bytes where they are random.
BLOCK, DEVIATION = 32, 73.6
#: The first number of each state where a model leans, and about what is left of it when the last norm has seen it.
CONSTANT, CONSTANT_READ = 4.0, 2.5


@dataclass(frozen=True)
class Shape:
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    inner: int
    context: int


def make_model(
    path: Path,
    *,
    vocabulary: Kind = "bpe",
    weights: Weights = "F32",
    template: TemplateName | None = "chatml",
    seed: int = 0,
    hidden: int = 64,
    layers: int = 2,
    kv_heads: int = 2,
    vocab_size: int = 600,
    context: int = 4096,
    leaning: Mapping[str, float] | None = None,
    broken: Literal["nan"] | None = None,
    pooling: PoolingType | None = None,
    splits: str = "",
    wordless: bool = False,
) -> Path:
    """A tiny model. `leaning`: about so much is added to the logits of these tokens, so that it ends what it says, or
    never does. A `broken` one loads, and computes nothing but NaN. With `pooling` it says that it makes vectors.
    `splits` names the patterns that split its texts into words; a `wordless` one has numbers for words."""
    shape = Shape(hidden, layers, heads=4, kv_heads=kv_heads, inner=2 * hidden, context=context)
    words = vocabulary_of(vocabulary, vocab_size, template)
    words.pre = splits or words.pre
    words.model = "no_vocab" if wordless else words.model
    random = np.random.default_rng(seed)
    with _Writing(path, shape, words, template, weights, pooling) as file:
        for name, rows, columns, scale in _matrices(shape, len(words.tokens)):
            values = random.normal(0.0, scale, (rows, columns)).astype(np.float32)
            if leaning:
                _lean(name, values, {words.id_of(token): more for token, more in leaning.items()})
            file.add_matrix(name, values)
        file.add_norms(spoiled=broken == "nan")
    return path


def make_large(
    path: Path,
    *,
    template: TemplateName | None = "chatml",
    seed: int = 0,
    hidden: int = 768,
    layers: int = 12,
    inner: int = 2048,
    vocab_size: int = 32_000,
    context: int = 16_384,
) -> Path:
    """A model of 125 million random parameters in Q8_0, for benchmarks: it takes the time that a real one takes."""
    shape = Shape(hidden, layers, heads=hidden // 64, kv_heads=hidden // 192, inner=inner, context=context)
    words = vocabulary_of("bpe", vocab_size, template)
    random = np.random.default_rng(seed)
    with _Writing(path, shape, words, template, "Q8_0") as file:
        for name, rows, columns, scale in _matrices(shape, len(words.tokens)):
            file.add_blocks(name, _random_blocks(random, rows, columns, scale))
        file.add_norms()
    return path


def vocabulary_of(kind: Kind, size: int, template: TemplateName | None) -> Vocabulary:
    wanted = TEMPLATES[template] if template else None
    specials = wanted.specials if wanted else ()
    made = vocabularies.bpe(size, specials) if kind == "bpe" else vocabularies.spm(size, specials)
    if wanted and wanted.begin:
        made.begin = wanted.begin
    return made


def _matrices(shape: Shape, tokens: int) -> Iterator[tuple[str, int, int, float]]:
    """Name, rows, columns and standard deviation of each. The output is no copy of the embedding:
    a model whose two are the same repeats the token that it was given."""
    hidden, inner = shape.hidden, shape.inner
    narrow = hidden // shape.heads * shape.kv_heads
    yield "token_embd.weight", tokens, hidden, 1.0
    for layer in range(shape.layers):
        yield f"blk.{layer}.attn_q.weight", hidden, hidden, hidden**-0.5
        yield f"blk.{layer}.attn_k.weight", narrow, hidden, hidden**-0.5
        yield f"blk.{layer}.attn_v.weight", narrow, hidden, hidden**-0.5
        yield f"blk.{layer}.attn_output.weight", hidden, hidden, hidden**-0.5
        yield f"blk.{layer}.ffn_gate.weight", inner, hidden, hidden**-0.5
        yield f"blk.{layer}.ffn_up.weight", inner, hidden, hidden**-0.5
        yield f"blk.{layer}.ffn_down.weight", hidden, inner, inner**-0.5
    yield "output.weight", tokens, hidden, SPREAD * hidden**-0.5


def _lean(name: str, values: NDArray[np.float32], leaning: Mapping[int, float]) -> None:
    """The architecture has no bias. So the first number of each state is always the same, and the output reads it."""
    if name == "token_embd.weight":
        values[:, 0] = CONSTANT
    elif name == "output.weight":
        values[:, 0] = 0.0
        for token, more in leaning.items():
            values[token, 0] = more / CONSTANT_READ
    elif name.endswith(("attn_output.weight", "ffn_down.weight")):
        values[0] = 0.0


def _random_blocks(random: np.random.Generator, rows: int, columns: int, scale: float) -> NDArray[np.uint8]:
    """Q8_0 as it lies in a file: a scale of 16 bits, then 32 signed bytes, which may be any."""
    blocks = np.empty((rows, columns // BLOCK, BLOCK + 2), dtype=np.uint8)
    blocks[..., :2] = np.frombuffer(np.float16(scale / DEVIATION).tobytes(), dtype=np.uint8)
    blocks[..., 2:] = random.integers(0, 256, (rows, columns // BLOCK, BLOCK), dtype=np.uint8)
    return blocks.reshape(rows, -1)


class _Writing:
    """A GGUF file that is being written; it is whole when the block ends."""

    def __init__(
        self,
        path: Path,
        shape: Shape,
        words: Vocabulary,
        template: TemplateName | None,
        weights: Weights,
        pooling: PoolingType | None = None,
    ) -> None:
        self._writer = GGUFWriter(path, "llama")
        self._shape = shape
        self._weights = weights
        _describe(self._writer, shape, weights)
        if pooling is not None:
            self._writer.add_pooling_type(pooling)
        add_vocabulary(self._writer, words)
        if template:
            self._writer.add_eot_token_id(words.id_of(TEMPLATES[template].end_of_turn))
            self._writer.add_chat_template(TEMPLATES[template].jinja)

    def __enter__(self) -> _Writing:
        return self

    def add_matrix(self, name: str, values: NDArray[np.float32]) -> None:
        if self._weights == "F32":
            self._writer.add_tensor(name, values)
        else:
            kind = GGMLQuantizationType[self._weights]
            self._writer.add_tensor(name, quantize(values, kind), raw_dtype=kind)

    def add_blocks(self, name: str, blocks: NDArray[np.uint8]) -> None:
        self._writer.add_tensor(name, blocks, raw_dtype=GGMLQuantizationType[self._weights])

    def add_norms(self, *, spoiled: bool = False) -> None:
        """Never quantised, so that one NaN in them spoils a model of any weights."""
        for layer in range(self._shape.layers):
            self._add_norm(f"blk.{layer}.attn_norm.weight")
            self._add_norm(f"blk.{layer}.ffn_norm.weight", spoiled=spoiled)
        self._add_norm("output_norm.weight")

    def _add_norm(self, name: str, *, spoiled: bool = False) -> None:
        values = np.ones(self._shape.hidden, dtype=np.float32)
        if spoiled:
            values[::7] = np.nan
        self._writer.add_tensor(name, values)

    def __exit__(self, kind: object, *_: Any) -> None:
        if kind is None:
            self._writer.write_header_to_file()
            self._writer.write_kv_data_to_file()
            self._writer.write_tensors_to_file()
        self._writer.close()


def _describe(writer: GGUFWriter, shape: Shape, weights: Weights) -> None:
    writer.add_name("A tiny model")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.hidden // shape.heads)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(FILE_TYPES[weights])
    writer.add_quantization_version(2)


def add_vocabulary(writer: GGUFWriter, words: Vocabulary) -> None:
    writer.add_tokenizer_model(words.model)
    if words.model == "no_vocab":
        writer.add_vocab_size(len(words.tokens))
        return
    writer.add_tokenizer_pre(words.pre)
    writer.add_vocab_size(len(words.tokens))
    writer.add_token_list(words.tokens)
    writer.add_token_types(words.types)
    if words.merges:
        writer.add_token_merges(words.merges)
    else:
        writer.add_token_scores(words.scores)
    writer.add_bos_token_id(words.id_of(words.begin))
    writer.add_eos_token_id(words.id_of(words.end))
    # A byte-level vocabulary begins a text with nothing, unless its template does.
    writer.add_add_bos_token(words.model == "llama")
    writer.add_add_eos_token(False)

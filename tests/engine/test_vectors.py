"""llama.cpp as a measure of texts, on tiny real models: what would end the process is refused before the call."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from gguf import PoolingType

from engine.errors import ModelUnavailable
from engine.language.embeddings import Vector
from engine.language.llama import Llama, Options, library
from engine.language.tokens import tokenised
from engine.language.vectors import MOST_SEQS, Asked, Vectors
from tests.models.bert import make_bert
from tests.models.gguf import make_model

SEA, ROOF = "the light house by the sea", "Who mends the roof this morning?"


@pytest.fixture(scope="module", params=["bert_model", "pooled_model", "tiny_spm_model"])
def vectors(request: pytest.FixtureRequest) -> Iterator[Vectors]:
    opened = Vectors.open(request.getfixturevalue(request.param), Asked(longest=512))
    yield opened
    opened.close()


def near(one: Vector, other: Vector) -> bool:
    return bool(list(one) == pytest.approx(list(other), abs=1e-5))


def test_a_text_has_the_same_vector_alone_and_among_others(vectors: Vectors) -> None:
    sea, roof = vectors.tokens(SEA), vectors.tokens(ROOF)
    alone = vectors.embed([sea])[0]
    together = vectors.embed([roof, sea, roof])
    assert near(alone, together[1])
    assert near(together[0], together[2])
    assert not near(together[0], together[1])


def test_a_vector_has_as_many_numbers_as_the_model_and_length_one(vectors: Vectors) -> None:
    (vector,) = vectors.embed([vectors.tokens(SEA)])
    assert len(vector) == vectors.dimensions == 64
    assert math.hypot(*vector) == pytest.approx(1, abs=1e-5)


def test_a_text_begins_and_ends_as_the_library_itself_would_have_it(vectors: Vectors) -> None:
    lib, vocab = library(), vectors._vocab
    found = (lib.llama_token * 64)()
    count = lib.llama_tokenize(vocab, SEA.encode(), len(SEA), found, 64, True, False)
    assert vectors.tokens(SEA) == list(found[:count])


def test_what_looks_like_a_mark_of_the_form_is_letters(bert_model: Path) -> None:
    opened = Vectors.open(bert_model, Asked())
    first, *inside, last = opened.tokens("[SEP][CLS]")
    assert not {first, last} & set(inside)
    opened.close()


def test_the_mean_is_taken_where_a_file_does_not_say_how(tmp_path: Path) -> None:
    found = []
    for name, pooling in (("mean", PoolingType.MEAN), ("none", None), ("first", PoolingType.CLS)):
        opened = Vectors.open(make_bert(tmp_path / f"{name}.gguf", pooling=pooling), Asked())
        found += opened.embed([opened.tokens(SEA)])
        opened.close()
    mean, none, first = found
    assert near(mean, none)
    assert not near(mean, first)


def test_a_text_may_be_as_long_as_the_model_and_the_settings_allow(
    bert_model: Path, pooled_model: Path
) -> None:
    for model, asked, longest in (
        (bert_model, Asked(longest=8_192), 128),
        (bert_model, Asked(longest=64), 64),
        (pooled_model, Asked(longest=8_192), 4_096),
        (pooled_model, Asked(longest=8_192, ram=8 * 607 * 8 * 1_000), 1_000),
    ):
        opened = Vectors.open(model, asked)
        assert abs(opened.longest - longest) <= 20, "its vocabulary decides what a token takes"
        token = opened.tokens("a")[0]
        assert opened.embed([[token] * opened.longest])
        opened.close()


# What would end the process


def test_a_text_beyond_the_model_s_table_of_places_is_refused(vectors: Vectors) -> None:
    token = vectors.tokens("a")[0]
    # Whatever else could hold it: the batch, or the model's own table.
    with pytest.raises(ValueError, match=r"are the most|in a batch of"):
        vectors.embed([[token] * (vectors.longest + 1)])


def test_more_than_a_batch_holds_is_refused(vectors: Vectors) -> None:
    token = vectors.tokens("a")[0]
    wrong: list[list[list[int]]] = [[[token] * (vectors.batch + 1)], [], [[]], [[token]] * (MOST_SEQS + 1)]
    for texts in wrong:
        with pytest.raises(ValueError, match="in a batch of"):
            vectors.embed(texts)
    with pytest.raises(ValueError, match="0 tokens"):
        vectors.embed([[token], []])


@pytest.mark.parametrize("token", [-1, 1_000_000])
def test_a_token_that_is_none_is_refused(vectors: Vectors, token: int) -> None:
    with pytest.raises(ValueError, match="no token"):
        vectors.embed([[token]])


def test_it_belongs_to_the_thread_that_opened_it(vectors: Vectors) -> None:
    refused: list[BaseException] = []

    def ask() -> None:
        try:
            vectors.tokens(SEA)
        except RuntimeError as error:
            refused.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert refused


def test_a_closed_one_is_refused(bert_model: Path) -> None:
    opened = Vectors.open(bert_model, Asked())
    opened.close()
    opened.close()
    with pytest.raises(ModelUnavailable, match="closed"):
        opened.tokens(SEA)
    with pytest.raises(ModelUnavailable, match="closed"):
        opened.embed([[1]])


def test_numbers_that_are_none_are_told(tmp_path: Path) -> None:
    opened = Vectors.open(make_bert(tmp_path / "spoiled.gguf", spoiled=True), Asked())
    with pytest.raises(ModelUnavailable, match="no numbers"):
        opened.embed([opened.tokens(SEA)])
    opened.close()


@pytest.mark.parametrize("pooling", [PoolingType.RANK])
def test_a_model_that_only_compares_is_refused(tmp_path: Path, pooling: PoolingType) -> None:
    with pytest.raises(ModelUnavailable, match="makes no vectors"):
        Vectors.open(make_bert(tmp_path / "rank.gguf", pooling=pooling), Asked())


def test_a_model_that_carries_a_state_is_refused(recurrent_model: Path) -> None:
    with pytest.raises(ModelUnavailable, match="makes no vectors"):
        Vectors.open(recurrent_model, Asked())


def test_a_model_without_words_is_refused_whatever_it_is_to_do(tmp_path: Path) -> None:
    path = make_model(tmp_path / "wordless.gguf", template=None, wordless=True)
    with pytest.raises(ModelUnavailable, match="no vocabulary"):
        Vectors.open(path, Asked())
    with pytest.raises(ModelUnavailable, match="no vocabulary"):
        Llama.open(path, Options(cells=512, batch=64, seqs=4))


def test_what_only_measures_is_refused_where_something_is_to_write(bert_model: Path) -> None:
    with pytest.raises(ModelUnavailable, match="does not write"):
        Llama.open(bert_model, Options(cells=512, batch=64, seqs=4))


@pytest.mark.parametrize("splits", ["gpt-4o", "deepseek-coder", "llama-bpe"])
@pytest.mark.parametrize("letter", ["a", " ", "汉", "-"])
def test_a_word_may_be_longer_than_any_stack_is_deep(tmp_path: Path, splits: str, letter: str) -> None:
    opened = Llama.open(
        make_model(tmp_path / "split.gguf", template=None, splits=splits),
        Options(cells=512, batch=64, seqs=4),
    )
    tokens = opened.tokens(letter * 300_000, special=False)
    assert b"".join(map(opened.piece, tokens)).decode() == letter * 300_000
    opened.close()


def test_long_texts_have_the_tokens_that_they_have_in_one_piece(tiny_model: Path) -> None:
    opened = Llama.open(tiny_model, Options(cells=512, batch=64, seqs=4))
    text = "the light house by the sea, and who mends the roof? " * 2_000
    lib, data = library(), text.encode()
    found = (lib.llama_token * len(data))()
    count = lib.llama_tokenize(opened._vocab, data, len(data), found, len(data), False, False)
    assert tokenised(lib, opened._vocab, text, special=False) == list(found[:count])
    opened.close()

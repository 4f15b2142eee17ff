"""The whole prompt counts: what compel makes of it is what we make of it, and the receipt says what went in."""

from __future__ import annotations

import json
import random
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.pictures.sdxl import longprompt
from engine.pictures.sdxl.longprompt import Encoder, together
from tests.models.sdxl import WORDS, write_sdxl

pytestmark = pytest.mark.usefixtures("one_thread")

diffusers: Any = import_module("diffusers")
compel: Any = import_module("compel")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = write_sdxl(tmp_path_factory.mktemp("base"))
    return diffusers.StableDiffusionXLPipeline.from_pretrained(folder, local_files_only=True)


@pytest.fixture(scope="module")
def refiner(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = write_sdxl(tmp_path_factory.mktemp("refiner"), kind="refiner")
    return diffusers.StableDiffusionXLImg2ImgPipeline.from_pretrained(folder, local_files_only=True)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = write_sdxl(tmp_path_factory.mktemp("sd15"), kind="sd15")
    return diffusers.StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)


@pytest.fixture(scope="module")
def encoder(base: Any) -> Encoder:
    return Encoder(base)


def prose(words: int, *, seed: int = 0, stops: float = 0.1) -> str:
    """So many words, and behind some of them a comma or a full stop."""
    chance = random.Random(seed)
    vocabulary = WORDS.split()
    return " ".join(
        chance.choice(vocabulary) + (chance.choice(",.") if chance.random() < stops else "")
        for _ in range(words)
    )


def halves(embeds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the first encoder said, and the second."""
    first, second = embeds.chunk(2, dim=-1)
    return first, second


@pytest.mark.parametrize(
    "prompt",
    [
        prose(200),
        prose(200, stops=0.0),
        prose(200, seed=1, stops=0.02),
        "a fox",
        "wow! a fox! " * 40,
        "",
        "naïve 東京 🙂, " * 30,
    ],
)
def test_a_prompt_without_weights_is_what_compel_makes_of_it(
    base: Any, encoder: Encoder, prompt: str
) -> None:
    theirs = compel.CompelForSDXL(base)(prompt)
    ours = encoder.encode(prompt)
    assert torch.equal(ours.embeds, theirs.embeds)
    assert ours.pooled is not None
    assert torch.equal(ours.pooled, theirs.pooled_embeds)


def test_the_weights_are_what_compel_makes_of_them(base: Any, encoder: Encoder) -> None:
    theirs = compel.CompelForSDXL(base)("a (red coat)1.3, (fog)0.5 and a cat")
    assert torch.equal(encoder.encode("a (red coat:1.3), (fog:0.5) and a cat").embeds, theirs.embeds)


def test_in_16_bit_it_is_what_compel_makes_of_it_too(tmp_path: Path) -> None:
    pipe = diffusers.StableDiffusionXLPipeline.from_pretrained(
        write_sdxl(tmp_path), local_files_only=True, dtype=torch.bfloat16
    )
    encoder, theirs = Encoder(pipe), compel.CompelForSDXL(pipe)
    for ours, prompt in (
        (prose(200), prose(200)),
        ("a (red coat:1.3), [fog]", "a (red coat)1.3, (fog)0.9091"),
    ):
        made = encoder.encode(ours)
        assert torch.equal(made.embeds, theirs(prompt).embeds)
        assert made.pooled is not None
        assert {made.embeds.dtype, made.pooled.dtype, made.empty.dtype} == {torch.bfloat16}


def test_the_refiner_gets_all_words_by_its_one_encoder(refiner: Any) -> None:
    prompt = prose(200)
    theirs = compel.Compel(
        tokenizer=refiner.tokenizer_2,
        text_encoder=refiner.text_encoder_2,
        returned_embeddings_type=compel.ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED,
        truncate_long_prompts=False,
        requires_pooled=True,
    )(prompt)
    ours = Encoder(refiner).encode(prompt)
    assert torch.equal(ours.embeds, theirs[0])
    assert ours.pooled is not None
    assert torch.equal(ours.pooled, theirs[1])
    assert len(ours.receipt.tokens) == 1


def test_an_older_model_gets_all_words_and_has_no_pooled_vector(older: Any) -> None:
    prompt = prose(200)
    theirs = compel.CompelForSD(older)(prompt)
    ours = Encoder(older).encode(prompt)
    assert torch.equal(ours.embeds, theirs.embeds)
    assert ours.pooled is None
    assert (ours.receipt.pooled_text, ours.receipt.pooled_tokens) == ("", 0)


def test_the_last_of_180_words_counts(encoder: Encoder) -> None:
    words = prose(179, stops=0.0)
    fox, cat = encoder.encode(f"{words} fox"), encoder.encode(f"{words} cat")
    for one, other in zip(halves(fox.embeds), halves(cat.embeds), strict=True):
        assert not torch.equal(one, other)
    assert fox.receipt.whole
    assert (fox.receipt.words, fox.receipt.words_dropped, fox.receipt.tokens_dropped) == (180, 0, (0, 0))
    assert fox.receipt.chunks >= 3
    assert min(fox.receipt.tokens) >= 180
    # The pooled vector is made of the beginning alone, and that is not hidden.
    assert fox.pooled is not None
    assert cat.pooled is not None
    assert torch.equal(fox.pooled, cat.pooled)
    assert fox.receipt.pooled_tokens == 75
    assert words.startswith(fox.receipt.pooled_text)
    assert len(fox.receipt.pooled_text) < len(words)


def test_the_last_word_reaches_the_picture(base: Any, encoder: Encoder) -> None:
    words = prose(179, stops=0.0)
    noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(0))
    sizes = torch.tensor([[64.0, 64, 0, 0, 64, 64]])
    seen = []
    for last in ("fox", "cat", "fox"):
        told = encoder.encode(f"{words} {last}")
        with torch.no_grad():
            seen.append(
                base.unet(
                    noise,
                    torch.tensor(500),
                    encoder_hidden_states=told.embeds,
                    added_cond_kwargs={"text_embeds": told.pooled, "time_ids": sizes},
                ).sample
            )
    assert torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0], seen[1])


def test_a_long_prompt_is_cut_at_a_full_stop_then_at_a_comma_then_between_words(encoder: Encoder) -> None:
    sentence = "a fox in the fog. " * 40
    phrase = "a fox in the fog, " * 40
    words = "a fox in the fog " * 40
    for prompt, at_punctuation in ((sentence, True), (phrase, True), (words, False)):
        receipt = encoder.encode(prompt).receipt
        assert receipt.whole
        assert receipt.chunks >= 3
        assert receipt.cuts_at_punctuation == (receipt.chunks - 1 if at_punctuation else 0)


@pytest.mark.parametrize("weighted", ["a (red coat:1.3)", "a [red coat]", "a ((red coat))"])
def test_a_weight_changes_what_both_encoders_say_and_not_the_pooled_vector(
    encoder: Encoder, weighted: str
) -> None:
    bare, heavy = encoder.encode("a red coat"), encoder.encode(weighted)
    for one, other in zip(halves(bare.embeds), halves(heavy.embeds), strict=True):
        assert not torch.equal(one, other)
    assert bare.pooled is not None
    assert heavy.pooled is not None
    assert torch.equal(bare.pooled, heavy.pooled), "it sees the words alone"
    assert heavy.receipt.weighted == 1
    assert bare.receipt.tokens == heavy.receipt.tokens


def test_more_weight_is_further_from_none(encoder: Encoder) -> None:
    bare = encoder.encode("a red coat").embeds
    apart = [
        float((encoder.encode(f"a (red coat:{weight})").embeds - bare).norm()) for weight in (1.1, 1.5, 2.0)
    ]
    assert 0 < apart[0] < apart[1] < apart[2]


def test_a_bracket_that_is_text_reaches_the_encoders(encoder: Encoder) -> None:
    assert not torch.equal(encoder.encode(r"a \(fox\)").embeds, encoder.encode("a fox").embeds)
    assert encoder.encode(r"a \\(fox").receipt.tokens > encoder.encode(r"a \(fox").receipt.tokens


def test_prompts_of_any_lengths_are_one_batch(base: Any, encoder: Encoder) -> None:
    prompts = ["a fox", prose(200), "", prose(90, seed=3)]
    embeds, pooled = together([encoder.encode(prompt) for prompt in prompts])
    theirs = compel.CompelForSDXL(base)(prompts)
    assert torch.equal(embeds, theirs.embeds)
    assert pooled is not None
    assert torch.equal(pooled, theirs.pooled_embeds)


def test_a_batch_for_an_older_model_has_no_pooled_vectors(older: Any) -> None:
    encoder = Encoder(older)
    embeds, pooled = together([encoder.encode("a fox"), encoder.encode(prose(100))])
    assert pooled is None
    assert embeds.shape[0] == 2


def test_a_repeated_prompt_is_not_read_again(base: Any) -> None:
    encoder = Encoder(base)
    first = encoder.encode("a fox")
    assert encoder.encode("a fox") is first
    assert encoder.encode("a cat") is not first


def test_the_prompts_asked_for_last_are_remembered(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(longprompt, "REMEMBERED_CHUNKS", 3)
    encoder = Encoder(base)
    fox, cat = encoder.encode("a fox"), encoder.encode("a cat")
    encoder.encode("a dog")
    assert encoder.encode("a fox") is fox
    encoder.encode("a horse")  # too many now: the cat goes
    assert encoder.encode("a fox") is fox
    assert encoder.encode("a cat") is not cat


def test_a_prompt_larger_than_the_memory_is_remembered_alone(
    base: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(longprompt, "REMEMBERED_CHUNKS", 2)
    encoder = Encoder(base)
    fox, long = encoder.encode("a fox"), encoder.encode(prose(200))
    assert encoder.encode(prose(200)) is long
    assert encoder.encode("a fox") is not fox


def test_an_encoder_that_changed_is_read_anew(tmp_path: Path) -> None:
    pipe = diffusers.StableDiffusionXLPipeline.from_pretrained(write_sdxl(tmp_path), local_files_only=True)
    encoder = Encoder(pipe)
    before = encoder.encode("a fox")
    with torch.no_grad():
        pipe.text_encoder.get_input_embeddings().weight.mul_(2.0)
    assert encoder.encode("a fox") is before
    encoder.forget()
    after = encoder.encode("a fox")
    assert not torch.equal(before.embeds, after.embeds)
    assert not torch.equal(before.empty, after.empty)


@pytest.mark.parametrize(
    "prompt",
    [
        pytest.param(text, id=name)
        for name, text in {
            "10,000 words": "fox " * 10_000,
            "10,000 weights": "[fog], " * 10_000,
            "opening brackets": "(" * 20_000,
            "closing brackets": ")]" * 20_000,
            "empty brackets": "()[]" * 20_000,
            "control characters": "\x00\x07\x1b\ud800" * 3_000,
            "end tokens": "<|endoftext|>" * 1_000 + "fox",
            "hidden end tokens": "(<|endof:1.0)text|>" * 100 + "fox",
            "Japanese": "東京の夜。" * 4_000,
            "Arabic": "قط أحمر، " * 1_000,
            "joined emoji": "👩‍👩‍👧‍👦" * 1_000,
            "marks without letters": "\u0301" * 5_000,
            "one endless word": "a" * 100_000,
            "padding of the second encoder": "[!] ! [!!] " * 300,
            "spaces": " \n\t\u2028\u00a0" * 5_000,
        }.items()
    ],
)
def test_no_prompt_is_too_odd(encoder: Encoder, prompt: str) -> None:
    made = encoder.encode(prompt)
    assert torch.isfinite(made.embeds).all()
    assert made.embeds.shape[1] == 77 * made.receipt.chunks
    assert max(made.receipt.tokens) <= longprompt.MOST_TOKENS
    told = json.loads(json.dumps(made.receipt.as_json()))
    assert told["chunks"] == made.receipt.chunks
    told["pooled_text"].encode()


def test_what_is_beyond_all_measure_is_on_the_receipt(encoder: Encoder) -> None:
    receipt = encoder.encode("fox " * 10_000).receipt
    assert not receipt.whole
    assert receipt.words == 10_000
    assert receipt.words - receipt.words_dropped == longprompt.MOST_TOKENS == receipt.tokens[0]
    assert not encoder.encode("東京の夜" * 2_000).receipt.whole, "one word for whoever counts spaces"


def test_a_word_at_the_limit_is_read_whole_or_not_at_all(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(longprompt, "MOST_TOKENS", 5)
    encoder = Encoder(base)
    assert encoder.encode("a red coat xyzzyx").receipt.tokens == (3, 3)
    assert encoder.encode("a red coat (xyzzyx:1.2)").receipt.tokens[0] <= 5
    assert encoder.encode("a red coat and fog").receipt.whole


def test_weights_that_take_too_long_are_left_out_and_counted(encoder: Encoder) -> None:
    few, many = encoder.encode("[fog], fox " * 10).receipt, encoder.encode("[fog], fox " * 200).receipt
    assert (few.weighted, few.weights_ignored) == (10, 0)
    assert many.weighted == 200
    assert 0 < many.weights_ignored < 200
    assert many.whole


PARTS = [
    "a fox",
    "!",
    ".",
    " ",
    ", ",
    "[fog]",
    "[!]",
    "(red coat:1.3)",
    "(. :0.4)",
    "(",
    "]",
    "<|endof",
    "text|>",
    "夜",
]


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(PARTS), max_size=120).map("".join)
    | st.text(st.characters(exclude_categories=()))
)
@example("[!!]" + "." * 74 + "[!!!]")
def test_whatever_is_written_is_read(encoder: Encoder, prompt: str) -> None:
    made = encoder.encode(prompt)
    assert torch.isfinite(made.embeds).all()
    assert made.receipt.whole
    assert min(made.receipt.tokens) >= (1 if "fox" in prompt else 0)

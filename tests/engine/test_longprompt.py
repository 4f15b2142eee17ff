"""The whole prompt counts: what compel makes of it is what we make of it, and the receipt says what went in."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.pictures.sdxl import cutting, longprompt
from engine.pictures.sdxl.longprompt import Encoder, together
from engine.pictures.sdxl.weighted import fragments
from tests.models.sdxl import WORDS, write_sdxl

pytestmark = pytest.mark.usefixtures("one_thread")

diffusers: Any = import_module("diffusers")
compel: Any = import_module("compel")
parser: Any = import_module("compel.prompt_parser")


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


def same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Chunks that are read together may be rounded in another way than one by one."""
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def by_compel(pipe: Any, prompt: str) -> torch.Tensor:
    """What compel makes of the parts of a prompt by itself, chunk after chunk and weight after weight."""
    sides = []
    for tokenizer, text_encoder in (
        (pipe.tokenizer, pipe.text_encoder),
        (pipe.tokenizer_2, pipe.text_encoder_2),
    ):
        side = compel.Compel(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            returned_embeddings_type=compel.ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED,
            truncate_long_prompts=False,
        )
        parts = []
        for part in fragments(prompt):
            if tokenizer(part.text, add_special_tokens=False)["input_ids"]:
                parts.append(parser.Fragment("", part.weight))
                parts[-1].text = part.text
        whole = parser.Conjunction([parser.FlattenedPrompt(parts or [parser.Fragment("")])])
        with torch.no_grad():
            sides.append(side.build_conditioning_tensor_for_conjunction(whole)[0])
    longest = max(side.shape[1] for side in sides)
    assert all(side.shape[1] == longest for side in sides), "a text that both cut alike"
    return torch.cat(sides, dim=-1)


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
    same(ours.embeds, theirs.embeds)
    assert ours.pooled is not None
    same(ours.pooled, theirs.pooled_embeds)


def test_the_weights_are_what_compel_makes_of_them(base: Any, encoder: Encoder) -> None:
    theirs = compel.CompelForSDXL(base)("a (red coat)1.3, (fog)0.5 and a cat")
    same(encoder.encode("a (red coat:1.3), (fog:0.5) and a cat").embeds, theirs.embeds)


@pytest.mark.parametrize(
    "prompt",
    [
        f"{prose(60)} (red coat:1.3), [fog], {prose(80)} (a cat:0.4) {prose(40)}",
        f"{prose(70, stops=0.0)} [{prose(90, seed=1, stops=0.0)}] {prose(50, stops=0.0)}",
        "[fog] fox, " * 30,
        "[fog]",
        f"[{prose(200)}]",
        "a fox! [!!] a cat " * 12,
    ],
    ids=[
        "heavy and light",
        "light over a cut",
        "light again and again",
        "light alone",
        "light all over",
        "marks",
    ],
)
def test_light_parts_are_what_compel_makes_of_them_wherever_they_stand(
    base: Any, encoder: Encoder, prompt: str
) -> None:
    same(encoder.encode(prompt).embeds, by_compel(base, prompt))


@pytest.fixture
def readings(base: Any) -> Iterator[list[int]]:
    """How many chunks went through an encoder at once, each time that one read."""
    read: list[int] = []
    hooks = [
        encoder.register_forward_hook(lambda _encoder, given, _said: read.append(len(given[0])))
        for encoder in (base.text_encoder, base.text_encoder_2)
    ]
    yield read
    for hook in hooks:
        hook.remove()


def test_each_encoder_reads_a_long_prompt_in_one_go(base: Any, readings: list[int]) -> None:
    encoder = Encoder(base)
    encoder.encode("")  # an empty chunk is read once, and stays
    readings.clear()
    chunks = encoder.encode(prose(200)).receipt.chunks
    assert readings == [chunks, chunks + 1], "and the second one the text of the pooled vector with it"


def test_a_short_prompt_is_its_own_pooled_text(base: Any, readings: list[int]) -> None:
    encoder = Encoder(base)
    encoder.encode("")
    readings.clear()
    encoder.encode("a fox in the fog")
    assert readings == [1, 1]


def test_light_parts_cost_only_the_chunks_that_they_stand_in(base: Any, readings: list[int]) -> None:
    encoder = Encoder(base)
    encoder.encode("")
    readings.clear()
    prompt = f"{prose(80)} [fog], {prose(80, seed=1)}, [snow], (red coat:1.3)"
    chunks = encoder.encode(prompt).receipt.chunks
    assert chunks >= 3
    assert readings == [chunks, 2, chunks + 1, 2]


def test_each_text_is_taken_apart_once(base: Any) -> None:
    class Counting:
        """The tokenizer itself, and what it was asked for."""

        def __init__(self, tokenizer: Any) -> None:
            self.tokenizer = tokenizer
            self.texts: list[str] = []

        def __getattr__(self, name: str) -> Any:
            return getattr(self.tokenizer, name)

        def __call__(self, texts: list[str], **asked: Any) -> Any:
            self.texts += texts
            return self.tokenizer(texts, **asked)

    own = (base.tokenizer, base.tokenizer_2)
    first, second = Counting(own[0]), Counting(own[1])
    try:
        base.tokenizer, base.tokenizer_2 = first, second
        Encoder(base).encode(f"{prose(90)} [fog], (red coat:1.3) {prose(40)}")
    finally:
        base.tokenizer, base.tokenizer_2 = own
    for counting in (first, second):
        assert "fog" in counting.texts
        assert len(counting.texts) == len(set(counting.texts))


def test_nothing_of_a_prompt_stays_in_hand_where_memory_ran_out(base: Any, encoder: Encoder) -> None:
    def no_memory(*_call: Any) -> None:
        raise torch.OutOfMemoryError("not enough")

    hook = base.text_encoder_2.register_forward_pre_hook(no_memory)
    try:
        with pytest.raises(torch.OutOfMemoryError):
            encoder.encode("a dog in the snow")
    finally:
        hook.remove()
    again = encoder.encode("a dog in the snow").embeds
    same(again, by_compel(base, "a dog in the snow"))


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
        same(made.embeds, theirs(prompt).embeds)
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
    same(ours.embeds, theirs[0])
    assert ours.pooled is not None
    same(ours.pooled, theirs[1])
    assert len(ours.receipt.tokens) == 1


def test_an_older_model_gets_all_words_and_has_no_pooled_vector(older: Any) -> None:
    prompt = prose(200)
    theirs = compel.CompelForSD(older)(prompt)
    ours = Encoder(older).encode(prompt)
    same(ours.embeds, theirs.embeds)
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
    same(embeds, theirs.embeds)
    assert pooled is not None
    same(pooled, theirs.pooled_embeds)


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
    assert max(made.receipt.tokens) <= cutting.MOST_TOKENS
    told = json.loads(json.dumps(made.receipt.as_json()))
    assert told["chunks"] == made.receipt.chunks
    told["pooled_text"].encode()


def test_what_is_beyond_all_measure_is_on_the_receipt(encoder: Encoder) -> None:
    receipt = encoder.encode("fox " * 10_000).receipt
    assert not receipt.whole
    assert receipt.words == 10_000
    assert receipt.words - receipt.words_dropped == cutting.MOST_TOKENS == receipt.tokens[0]
    assert not encoder.encode("東京の夜" * 2_000).receipt.whole, "one word for whoever counts spaces"


def test_a_word_at_the_limit_is_read_whole_or_not_at_all(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "MOST_TOKENS", 5)
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

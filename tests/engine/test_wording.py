"""What is told of a prompt: every word of it accounted for, whatever somebody wrote."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.language import count_words
from engine.pictures import Lora
from engine.pictures.sdxl.cutting import CHUNK, MOST_TOKENS, chunks_of
from engine.pictures.sdxl.tokens import readers
from engine.pictures.sdxl.weighted import MOST_CHARACTERS, Fragment
from engine.rewording import looked_at
from engine.settings import SafetySettings, Settings
from engine.styles import load_styles
from engine.wording import MOST, Report, contradictions, estimated_tokens, repeated, validated
from tests.models.sdxl import WORDS

STYLES = load_styles()
NEGATIVE = STYLES["photorealistic"].negative
PROSE = " ".join(f"{word}," if place % 7 == 6 else word for place, word in enumerate(WORDS.split() * 2))

#: What looks like syntax here or in other programs, in any order and never finished.
NEARLY = st.lists(
    st.sampled_from(
        ["(", ")", "[", "]", ":", "1.3", ":1.3)", "\\(", ":-)", "<lora:", "<|endoftext|>", "{", "|", "}", "--ar",
         "__", "BREAK", "::2", ".and(", "embedding:", "fox", " ", ",", "\n", "\x00", "\ud800", "\ue000", "ß", "火"]
    ),
    max_size=60,
).map("".join)  # fmt: skip


def letters(text: str) -> list[tuple[str, int]]:
    """An encoder for which each word is a token."""
    return [(f"{match[0]}</w>", match.end()) for match in re.finditer(r"\S+", text)]


def loaded(report: Report) -> Any:
    return json.loads(json.dumps(report.as_json()))


@given(st.one_of(st.text(), NEARLY), st.one_of(st.text(max_size=80), st.just(NEGATIVE)))
@example("(" * 20_000, NEGATIVE)
@example("((((a" * 4_000, NEGATIVE)
@example(")]" * 10_000, NEGATIVE)
@example("fox " * 10_000, NEGATIVE)
@example("a" * 50_000, NEGATIVE)
@example("\x00\x1b\x7f" * 5_000, NEGATIVE)
@example("<|startoftext|><|endoftext|>" * 800, NEGATIVE)
@example("{" * 20_000 + "__" * 5_000 + "--a" * 5_000, NEGATIVE)
@example("word:" * 5_000, "word")
def test_whatever_is_written_there_is_a_report_of_it(text: str, negative: str) -> None:
    for encoders in ((), (letters, letters)):
        report = validated(text, negative=negative, encoders=encoders, model="tiny")
        assert 0 <= report.words_cut <= report.words
        assert report.chunks >= 1
        assert report.estimated == (not encoders)
        found = (*report.plain_text, *report.taken_out, *report.contradictions)
        assert all(0 < len(one) <= 60 for one in found)
        assert (
            max(map(len, (report.weights, report.plain_text, report.repeated, report.contradictions))) <= MOST
        )
        assert loaded(report)["words"] == report.words


@given(st.lists(st.sampled_from(PROSE.replace(",", "").split()), min_size=1, max_size=300))
def test_words_are_counted_as_the_house_counts_them(words: list[str]) -> None:
    report = validated(" ".join(words))
    assert report.words == len(words) == count_words(" ".join(words))
    assert report.of_length == (100 <= len(words) <= 200)


def test_weights_are_shown_as_they_were_read() -> None:
    report = validated("a (red coat:1.3), ((fog)), [rain], (fox:9), (1.2), (in 1984:1.1)")
    assert report.weights == (
        Fragment("red coat", 1.3),
        Fragment("fog", 1.21),
        Fragment("rain", 0.9091),
        Fragment("fox", 2.0),
        Fragment("1.2", 1.1),
        Fragment("in 1984", 1.1),
    )
    assert report.plain_text == ()
    assert report.words == 9, "brackets and weights are no words"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a frame of (16:9), wide", ["(16:9)"]),
        ("a fox (unclosed, by the sea", ["(unclosed"]),
        ("a fox] by the sea", ["fox]"]),
        ("()", ["()"]),
        ("a {red|blue} coat", ["{red|blue}"]),
        ("a coat::2 and fog", ["coat::2"]),
        ("a coat:1.3 and fog", ["coat:1.3"]),
        ("a coat --ar 16:9 --v 6", ["--ar 16:9", "--v 6"]),
        ("a coat BREAK a hat", ["BREAK"]),
        ("__animal__ on a roof", ["__animal__"]),
        ("embedding:soft light", ["embedding:soft"]),
        ('("a", "b").and(0.5, 1)', [".and("]),
        ("<hypernet:soft:1> light", ["<hypernet:soft:1>"]),
    ],
)
def test_what_looks_like_syntax_and_is_none_is_named(text: str, found: list[str]) -> None:
    assert [one for one in found if one in validated(text).plain_text] == found


@pytest.mark.parametrize(
    "text",
    [
        "a smile :-) in the sun",
        "a sign \\(old\\)",
        "3-4 people -- in the rain",
        "8:30 in the morning",
        "and so",
    ],
)
def test_what_is_plain_to_everybody_is_not_named(text: str) -> None:
    assert validated(text).plain_text == ()


def test_marks_that_end_a_text_are_told_apart() -> None:
    report = validated("a fox <|endoftext|> in <|StartOfText|> snow")
    assert report.taken_out == ("<|endoftext|>", "<|StartOfText|>")
    assert report.words == 4


def test_loras_are_named_and_are_no_words() -> None:
    report = validated("a fox <lora:film grain:0.8> in snow")
    assert report.loras == (Lora("film grain", 0.8),)
    assert (report.words, report.plain_text) == (4, ())


def test_words_that_come_twice_are_counted_and_small_ones_are_not() -> None:
    assert repeated("The red fox and the red hen, and a fox's den") == (("red", 2),)
    assert repeated("the the the and and") == ()


def test_a_prompt_that_asks_for_what_must_not_be_seen_contradicts_itself() -> None:
    told = validated("an Oil Painting with (letters:1.2) on it, hand-painted", negative=NEGATIVE)
    assert told.contradictions == ("painting", "letters")
    assert contradictions("extra fingers", "(extra  Fingers:1.4), hands") == ("extra Fingers",)
    assert contradictions("paintings", NEGATIVE) == ()


def test_without_a_tokenizer_it_is_an_estimate_and_says_so() -> None:
    report = validated(PROSE)
    assert report.estimated
    assert report.tokens == (estimated_tokens(PROSE),)
    assert report.chunks == -(-report.tokens[0] // CHUNK)
    assert estimated_tokens("") == 0
    assert estimated_tokens("火" * 10) > 1


def test_nothing_is_cut_until_a_model_can_read_no_more() -> None:
    assert validated("fox " * 2_000, encoders=[letters], model="tiny").words_cut == 0
    long = validated("fox " * 3_000, encoders=[letters], model="tiny")
    assert (long.words, long.words_cut, long.tokens) == (3_000, 3_000 - MOST_TOKENS, (MOST_TOKENS,))
    huge = validated("fox " * 10_000)
    assert (huge.words, huge.words_cut) == (10_000, 10_000 - MOST_CHARACTERS // 4)
    assert not huge.faultless


def test_a_prompt_may_be_faultless() -> None:
    words = " ".join(f"word{number}" for number in range(120))
    report = validated(words, negative=NEGATIVE)
    assert report.faultless
    assert not replace(report, blocked=("x",)).faultless
    assert not validated("too short").faultless


# By the files of a model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tokenizers of a tiny SDXL, and nothing else of it."""
    from tests.models.sdxl import END, _tokenizer

    there = tmp_path_factory.mktemp("tiny-xl")
    for name, padding in (("tokenizer", END), ("tokenizer_2", "!")):
        _tokenizer(padding).save_pretrained(there / name)
    return there


def in_two_files(folder: Path, there: Path) -> None:
    """The same tokenizers as older libraries write them."""
    for name, padding in (("tokenizer", "<|endoftext|>"), ("tokenizer_2", "!")):
        told = json.loads((folder / name / "tokenizer.json").read_text("utf-8"))
        (there / name).mkdir(parents=True)
        (there / name / "vocab.json").write_text(json.dumps(told["model"]["vocab"]), "utf-8")
        merges = [one if isinstance(one, str) else " ".join(one) for one in told["model"]["merges"]]
        (there / name / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]), "utf-8")
        special = {
            "bos_token": {"content": "<|startoftext|>"},
            "eos_token": "<|endoftext|>",
            "pad_token": padding,
        }
        (there / name / "special_tokens_map.json").write_text(json.dumps(special), "utf-8")


@pytest.mark.parametrize("written", ["in one file", "in two files"])
def test_tokens_are_counted_as_the_model_s_own_tokenizers_count_them(
    folder: Path, tmp_path: Path, written: str
) -> None:
    from transformers import CLIPTokenizer

    if written == "in two files":
        in_two_files(folder, tmp_path)
    ours = readers(folder if written == "in one file" else tmp_path)
    theirs = [CLIPTokenizer.from_pretrained(folder / name) for name in ("tokenizer", "tokenizer_2")]
    texts = [PROSE, "a Fox!! isn't (here), 1984…", "café 火  \n tabs\tend", "", "!", "x" * 300]
    assert len(ours) == 2
    for reader, tokenizer in zip(ours, theirs, strict=True):
        for text in texts:
            told = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            spelt = tokenizer.convert_ids_to_tokens(told["input_ids"])
            assert reader(text) == [
                (one, end) for one, (_, end) in zip(spelt, told["offset_mapping"], strict=True)
            ]


def test_a_folder_that_cannot_be_read_counts_nothing(folder: Path, tmp_path: Path) -> None:
    assert readers(tmp_path) == ()
    (tmp_path / "tokenizer").mkdir()
    assert readers(tmp_path) == ()
    (tmp_path / "tokenizer" / "tokenizer.json").write_text("{", "utf-8")
    assert readers(tmp_path) == ()


def test_chunks_are_cut_where_compel_cuts_them() -> None:
    word, comma, stop = "fox</w>", ",</w>", ".</w>"
    assert chunks_of([]) == 1
    assert chunks_of([word] * 75) == 1
    assert chunks_of([word] * 76) == 2
    assert chunks_of([*[word] * 40, comma, *[word] * 75]) == 2
    assert chunks_of([word, stop, *[word] * 75]) == 2
    assert chunks_of([word, stop, *[word] * 76]) == 3
    assert chunks_of(["f"] * 151) == 3


def test_the_report_says_beforehand_what_the_receipt_says_afterwards(settings: Settings) -> None:
    """One real model: its folder for the report, its encoders for the receipt."""
    from engine.pictures.sdxl.longprompt import Encoder
    from tests.models.sdxl import write_sdxl

    diffusers: Any = import_module("diffusers")
    folder = write_sdxl(settings.home / "models" / "picture" / "tiny-xl")
    encoder = Encoder(diffusers.StableDiffusionXLPipeline.from_pretrained(folder, local_files_only=True))
    for text in (
        "",
        "a fox!! in the snow",
        PROSE,
        PROSE.replace(",", "."),
        PROSE.replace(",", ""),
        f"a (red coat:1.3), [one], {PROSE}, (16:9) and ((fog)), 火 café",
        "fox, snow. " * 700,
    ):
        report, receipt = looked_at(text, settings, STYLES), encoder.encode(text).receipt
        assert report.model == "tiny-xl"
        assert (report.tokens, report.chunks) == (receipt.tokens, receipt.chunks)
        assert bool(report.words_cut) == bool(receipt.words_dropped)


# As the settings have it


def test_the_house_says_who_counts_and_which_style_it_looked_at(settings: Settings) -> None:
    report = looked_at("a noir alley, illustration", settings, STYLES)
    assert (report.style, report.model) == ("noir", "")
    assert looked_at("an alley", settings, STYLES, style="Film").style == "film"


def test_words_that_the_operator_does_not_want_are_named(settings: Settings) -> None:
    strict = settings.model_copy(
        update={"safety": SafetySettings(blocked_words=("forbidden", "red fox", "other"))}
    )
    assert looked_at("a RED   fox, förbidden fruit", strict, STYLES).blocked == ("forbidden", "red fox")
    assert looked_at("a quiet hen", strict, STYLES).blocked == ()

"""A persona's Markdown on Telegram: it fits, it is styled, and no word of it is lost."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.telegram.markdown import CAPTION, ENTITIES, TEXT, Part, coded, named, parts, plain, shortened, styled


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def shown(part: Part) -> list[tuple[str, str]]:
    """Each entity with the words under it."""
    wide = part.text.encode("utf-16-le")
    return [
        (one.type, wide[one.offset * 2 : (one.offset + one.length) * 2].decode("utf-16-le"))
        for one in part.entities
    ]


def letters(text: str) -> Counter[str]:
    return Counter(char for char in text if char.isalpha())


@pytest.mark.parametrize(
    ("markdown", "text", "entities"),
    [
        ("*waves* **loudly**", "waves loudly", [("italic", "waves"), ("bold", "loudly")]),
        ("~~no~~ ||psst||", "no psst", [("strikethrough", "no"), ("spoiler", "psst")]),
        ("# Title\n\nText", "Title\n\nText", [("bold", "Title"), ("underline", "Title")]),
        ("- one\n- two", "• one\n• two", []),
        ("1. one\n2. two", "1. one\n2. two", []),
        ("```py\nx = 1\n```", "x = 1", [("pre", "x = 1")]),
        ("> said", "said", [("blockquote", "said")]),
        (">>> said", "said", [("blockquote", "said")]),
        ("|a|b|\n|-|-|\n|1|22|", "a | b \n--+---\n1 | 22", [("pre", "a | b \n--+---\n1 | 22")]),
        ("[here](https://example.org)", "here", [("text_link", "here")]),
        ("[here](javascript:alert)", "here", []),
        ("a <b>bold</b> move", "a <b>bold</b> move", []),
        ("`<b>` &amp; <br>", "<b> &amp; <br>", [("code", "<b>")]),
        ("it costs $5/$10", "it costs $5/$10", []),
        ("[OOC]: brb", "[OOC]: brb", []),
        ("one\n\n\tmoved right", "one\n\n\tmoved right", []),
        ("👩‍👩‍👧 **x**", "👩‍👩‍👧 x", [("bold", "x")]),
        ("| a |\n|---|\n| b | c |", "| a |\n|---|\n| b | c |", []),
    ],
)
def test_markdown_is_shown_as_telegram_shows_it(
    markdown: str, text: str, entities: list[tuple[str, str]]
) -> None:
    part = styled(markdown)
    assert part.text.strip("\n") == text
    assert sorted(shown(part)) == sorted(entities)


def test_a_code_block_that_is_cut_is_code_on_both_sides() -> None:
    code = "\n".join(f"line {number}" for number in range(1000))
    made = parts(styled(f"Look:\n\n```py\n{code}\n```"))
    assert len(made) > 1
    for part in made:
        assert "pre" in {kind for kind, _ in shown(part)}
        assert all(one.language == "py" for one in part.entities)
    lines = "\n".join(part.text for part in made)
    assert lines.replace("\n", "") == f"Look:{code}".replace("\n", "")


def test_a_long_text_is_cut_between_words() -> None:
    made = parts(plain("seven " * 2_000))
    assert len(made) > 2
    assert {word for part in made for word in part.text.split()} == {"seven"}


def test_a_family_is_not_torn_apart() -> None:
    family = "👩‍👩‍👧‍👦"
    made = parts(plain(family * 1_000))
    assert all(part.text.startswith("👩‍👩") for part in made)
    assert "".join(part.text for part in made) == family * 1_000


def test_what_is_styled_too_often_goes_into_more_messages() -> None:
    made = parts(styled(" ".join(f"*w{number}*" for number in range(250))))
    assert [len(part.entities) for part in made] == [100, 100, 50]


def test_the_name_stands_above_in_bold() -> None:
    part = named("Ada 🖋", styled("so *quiet*"))
    assert part.text == "Ada 🖋\nso quiet"
    assert shown(part) == [("bold", "Ada 🖋"), ("italic", "quiet")]
    assert named("  ", styled("x")) == styled("x")


def test_a_caption_says_where_it_was_cut() -> None:
    assert shortened("short", CAPTION) == "short"
    cut = shortened("word " * 1_000, CAPTION)
    assert cut.endswith("…")
    assert units(cut) <= CAPTION


MARKUP = st.sampled_from(
    [
        *"*_~`|#>-+<&$[]():!\\\n\t ",
        "**",
        "||",
        "```\n",
        "~~~",
        "\n\n",
        "1. ",
        "- ",
        "    ",
        "https://a.b",
        "|-|\n",
    ]
)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Co"]), max_size=8)
MARKDOWN = st.lists(st.one_of(MARKUP, WORDS, st.sampled_from(["é", "👩‍👩‍👧", "שלום"]))).map("".join)


@given(MARKDOWN)
def test_no_letter_is_lost_whatever_somebody_writes(markdown: str) -> None:
    part = styled(markdown)
    told = [part.text, *(f"{one.language or ''}{one.url or ''}" for one in part.entities)]
    if "](" not in markdown:  # a link that may not be shown leaves its words, not its address
        assert not letters(markdown) - letters(" ".join(told))


@given(MARKDOWN, st.integers(8, 60))
def test_every_part_is_within_the_limits_and_together_they_are_the_whole(markdown: str, limit: int) -> None:
    whole = styled(markdown)
    made = parts(whole, limit)
    for part in made:
        assert 0 < units(part.text) <= limit
        assert part.text.strip()
        assert len(part.entities) <= ENTITIES
        for one, words in zip(part.entities, shown(part), strict=True):
            assert one.offset >= 0
            assert one.length == units(words[1]) > 0
    assert "".join("".join(part.text.split()) for part in made) == "".join(whole.text.split())


@given(st.text())
def test_anything_at_all_can_be_shown(text: str) -> None:
    for made in (parts(styled(text)), parts(plain(text)), parts(named(text, styled(text)))):
        assert all(units(part.text) <= TEXT for part in made)


@given(st.lists(st.integers(0, 400), max_size=300))
def test_crowded_entities_never_stand_still(lengths: list[int]) -> None:
    whole = styled("".join(f"**{'x' * length}** " for length in lengths))
    made = parts(whole)
    assert all(len(part.entities) <= ENTITIES for part in made)
    assert "".join(part.text for part in made).replace(" ", "") == whole.text.replace(" ", "").replace(
        "\n", ""
    )


# What is to be copied


def test_what_is_to_be_copied_stands_in_a_block_as_it_is() -> None:
    part = coded("🙂 1\n(a *red* `coat`:1.3) 🙂\nafter", [slice(4, 26), slice(27, 27)])
    assert part.text == "🙂 1\n(a *red* `coat`:1.3) 🙂\nafter"
    assert shown(part) == [("pre", "(a *red* `coat`:1.3) 🙂")]


def test_halves_of_characters_move_no_block() -> None:
    part = coded("\ud83d\ude42\0\nred \udc00\n", [slice(4, 9)])
    assert shown(part) == [("pre", "red \N{REPLACEMENT CHARACTER}")]


def test_a_block_that_does_not_fit_goes_on_as_a_block() -> None:
    prompt = "a lantern by the sea " * 400
    made = parts(coded(f"before\n{prompt}\nafter", [slice(7, 7 + len(prompt))]))
    assert len(made) > 2
    assert all(units(one.text) <= TEXT for one in made)
    assert " ".join(words for one in made for _, words in shown(one)).split() == prompt.split()

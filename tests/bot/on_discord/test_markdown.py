"""Markdown for Discord: what is kept, what becomes something else, and that every part fits."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.discord.markdown import BROKEN, ROOM, clipped, coded, parts, plain, shown, units


@pytest.mark.parametrize(
    "text",
    [
        "# Title\n## Two\n### Three",
        "**bold** *it* __under__ ~~gone~~ ||secret|| `code`",
        "- one\n  - two\n1. three",
        "> said",
        "```python\nprint('| a |')\n```",
        "[a link](https://example.org/a_b)",
        "{{char}} %s <b>& *_`",
        "@everyone /help",
        "a < b and c > d",
    ],
)
def test_what_discord_knows_stays_as_it_is(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("#### Deep", "**Deep**"),
        ("###### Deeper **yet** ##", "**Deeper yet**"),
        ("before\n\n---\nafter", "before\n\n────────────\nafter"),
        ("* * *", "────────────"),
        ("- [ ] buy milk\n- [x] sleep", "- ☐ buy milk\n- ☑ sleep"),
        ("![a fox](https://example.org/fox.png)", "[a fox](https://example.org/fox.png)"),
        ("![](https://example.org/fox.png)", "[https://example.org/fox.png](https://example.org/fox.png)"),
        ("~~~\ncode\n~~~", "```\ncode\n```"),
        ("```one line```", "```\none line\n```"),
        ("```py title=x\ncode\n```", "```py\ntitle=x\ncode\n```"),
        ("see <@123> and <#5> in <t:1:R>", "see \\<@123> and \\<#5> in \\<t:1:R>"),
        ("`<@123>`", "`<@123>`"),
    ],
)
def test_what_discord_does_not_know_is_shown_otherwise(text: str, becomes: str) -> None:
    assert shown(text) == becomes


def test_a_table_stands_in_columns() -> None:
    table = "| Name | Age |\n|:-----|----:|\n| Ada Quill | 36 |\n| 東京 | 7 |\nafter"
    assert shown(table) == ("```\nName       Age\n─────────  ───\nAda Quill  36\n東京       7\n```\nafter")


def test_a_line_with_a_bar_is_no_table() -> None:
    assert shown("this | that\nand more") == "this | that\nand more"


def test_backticks_inside_of_code_do_not_end_it() -> None:
    page = shown("~~~\na ``` b\n~~~")
    assert page.count("```") == 2


@pytest.mark.parametrize(
    "name", ["**x**", "_a_b_", "# x", "> x", "- x", "1. x", "||x||", "`x`", "[a](b)", "<@1>"]
)
def test_plain_words_are_shown_as_they_were_typed(name: str) -> None:
    escaped = plain(name)
    assert escaped != name
    assert re.sub(r"\\(.)", r"\1", escaped) == name


def test_an_address_in_plain_words_stays_whole() -> None:
    assert plain("see https://example.org/a_b_c *now*") == "see https://example.org/a_b_c \\*now\\*"


@pytest.mark.parametrize("text", ["https://x/```", "see https://a.b/``` x\nmore", "https://x/`a`"])
def test_an_address_ends_where_code_would_begin(text: str) -> None:
    assert not re.search(r"(?<!\\)`", plain(text))
    assert re.sub(r"\\(.)", r"\1", plain(text)) == text


@pytest.mark.parametrize(
    ("before", "run", "after"),
    [
        ("```py a", " ", "x"),
        ("#### a", " ", "x"),
        ("#### a", "#", "!"),
        ("a | b\n", " ", "x"),
        ("", "\n", "x"),
        ("![](", "![", "x"),
    ],
)
def test_a_long_run_of_one_thing_is_read_once(before: str, run: str, after: str) -> None:
    """Read over and over from each of its places, it would hold up the house for minutes."""
    long = before + run * 200_000 + after
    assert after in shown(long)
    assert after in plain(long)


def test_a_short_text_is_one_part() -> None:
    assert parts("Good evening.") == ["Good evening."]
    assert parts("Good evening.", before="**Ada**") == ["**Ada**\nGood evening."]


def test_of_nothing_nothing_is_left() -> None:
    assert parts("") == []
    assert parts(" \n\n ") == []


def test_a_long_line_is_cut_between_words() -> None:
    text = " ".join(["word"] * 1_000)
    made = parts(text)
    assert all(re.fullmatch(r"(word ?)+", part) for part in made)
    assert "".join(made) == text


def test_code_that_is_cut_is_closed_and_opened_again_with_its_language() -> None:
    code = "\n".join(f"line {number} of a program" for number in range(200))
    made = parts(shown(f"Look:\n```python\n{code}\n```\nThat was it."))
    assert len(made) > 1
    for part in made:
        assert part.count("```") % 2 == 0
    assert all(part.startswith("```python\n") for part in made[1:])
    inside = [line for part in made for line in part.split("\n") if line.startswith("line ")]
    assert "\n".join(inside) == code


@pytest.mark.parametrize("cluster", ["👩‍👩‍👧", "🇩🇪", "e\u0301", "👍🏽", "\\*"])
def test_what_belongs_together_is_not_cut(cluster: str) -> None:
    made = parts("x" + cluster * 2_000)
    assert len(made) > 1
    whole = [part.removeprefix("x") for part in made]
    assert all(part == cluster * (len(part) // len(cluster)) for part in whole)


def test_a_growing_text_shows_its_end() -> None:
    text = "\n".join(f"line {number}" for number in range(1_000))
    page = clipped(text, before="**Ada**")
    assert page.startswith("**Ada**\n…\n")
    assert page.endswith("line 999")
    assert units(page) <= ROOM


MARKDOWN = st.lists(
    st.sampled_from(
        [
            "```",
            "```python",
            "~~~",
            "| a | b |",
            "|---|---|",
            "# ",
            "#### x",
            "---",
            "- [ ] ",
            "\\",
            "`",
            "**",
            "||",
        ]
    )
    | st.text(max_size=60)
    | st.text(alphabet="ab \t👩‍👧🇩é", min_size=500, max_size=3_000),
    max_size=12,
).flatmap(lambda lines: st.sampled_from(["\n", "", " "]).map(lambda glue: glue.join(lines)))


@given(MARKDOWN, st.sampled_from(["", "**Ada Quill**"]))
def test_every_part_fits_and_leaves_no_code_open(text: str, before: str) -> None:
    for part in parts(shown(text), before=before):
        assert units(part) <= ROOM
        assert part.strip()
        opened = [line for line in part.split("\n") if re.match(r"```[^`]*$", line)]
        assert len(opened) % 2 == 0
        part.encode("utf-8", "surrogatepass")


@given(MARKDOWN)
def test_no_word_is_lost(text: str) -> None:
    def letters(words: str) -> str:
        # A fence that is opened again says its language again.
        told = re.sub(r"^```\S*", "", words, flags=re.MULTILINE)
        return "".join(re.findall(r"[ab👩👧🇩é]", told))

    kept = letters("\n".join(parts(shown(text))))
    assert letters(shown(text)) == kept


@given(MARKDOWN)
def test_plain_words_come_back_when_the_escapes_are_taken_away(text: str) -> None:
    assert re.sub(r"\\([\\*_~`|\[\]<#>+.)\-])", r"\1", plain(text)) == text or "http" in text


@given(MARKDOWN)
def test_a_draft_is_always_one_message(text: str) -> None:
    assert units(clipped(shown(text), before="**Ada Quill**")) <= ROOM


# What is to be copied


def code_in(page: str) -> list[str]:
    return re.findall(r"^```\n(.*?)\n```$", page, re.MULTILINE | re.DOTALL)


def test_what_is_to_be_copied_stands_in_a_block_as_it_is_and_the_rest_is_plain() -> None:
    text = "one *two*\na (red coat:1.3), [fog] _x_ `y` <@1>\n*three*"
    at = slice(10, 46)
    assert coded(text, [at]) == f"one \\*two\\*\n```\n{text[at]}\n```\n\\*three\\*"
    assert text[at].endswith("<@1>")
    assert coded(text, ()) == plain(text)


def test_no_words_end_their_block_before_they_end() -> None:
    text = "x ``` @everyone\n```\n````"
    [page] = parts(coded(text, [slice(0, len(text))]))
    assert code_in(page) == [f"x {BROKEN} @everyone\n{BROKEN}\n`\u200b{BROKEN}"]
    assert page.count("```") == 2


@pytest.mark.parametrize("before", [0, 300, 1_500, 1_900, 1_990])
@pytest.mark.parametrize("length", [5, 900, 1_300, 1_700, 5_000])
def test_no_block_is_shown_empty_and_none_is_left_open(before: int, length: int) -> None:
    prompt = ("a lantern by the sea " * 300)[:length].strip()
    text = "\n".join(["x" * before, prompt, "after", prompt, "end"])
    first = before + 1
    second = first + len(prompt) + 7
    pages = parts(coded(text, [slice(first, first + len(prompt)), slice(second, second + len(prompt))]))
    found = [block for page in pages for block in code_in(page)]
    assert all(units(page) <= ROOM for page in pages)
    assert all(page.count("```") == 2 * len(code_in(page)) for page in pages)
    assert "".join("".join(found).split()) == "".join((prompt + prompt).split())
    if length < 1_800:
        assert found == [prompt, prompt], "what fits on a page is in one piece"


@given(st.lists(MARKDOWN, min_size=1, max_size=4), MARKDOWN)
def test_whatever_is_to_be_copied_every_part_fits_and_is_closed(passages: list[str], between: str) -> None:
    text, code = "", []
    for one in passages:
        code.append(slice(len(text), len(text) + len(one)))
        text += f"{one}\n{between}\n"
    for part in parts(coded(text, code)):
        assert units(part) <= ROOM
        assert part.count("```") % 2 == 0

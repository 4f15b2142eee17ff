"""What a model says in a chat: no thoughts, no markers, no names before words, and nobody's words but its own."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.language.cleaning import HELD, Cleaner

PERSONAS = ("Ana Maria", "Jide")
PEOPLE = ("Zoe", "Will", "C++ (a)*")
MARKERS = (
    *(
        "<|im_start|>",
        "<|im_end|>",
        "<|eot_id|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "[INST]",
        "[/INST]",
    ),
    *(
        "<<SYS>>",
        "<</SYS>>",
        "<start_of_turn>",
        "<end_of_turn>",
        "<|user|>",
        "<|assistant|>",
        "<|endoftext|>",
    ),
    *(
        "</s>",
        "<s>",
        "<|begin_of_text|>",
        "<｜begin▁of▁sentence｜>",
        "<｜User｜>",
        "<|reserved_special_token_7|>",
    ),
    *("<|channel|>", "<|message|>", "<|channel>", "<channel|>", "[TOOL_CALLS]", "<|END_OF_TURN_TOKEN|>"),
    *("<think>", "</think>", "<THINK>", "<reasoning>", "</thinking>", "◁think▷", "[THINK]", "</seed:think>"),
)
#: Pieces from which trouble is made, whole and in parts that others complete.
PARTS = (
    *("<", "|", ">", "[", "im_", "end", "think", "/", "\n", "\n\n\n", " ", "Hello", "*", "**", "_", "ß"),
    *("Zoe:", "Will", ":", "Ana Maria:", "**Jide", "User", "You:", "### Instruction", "### ", "assistant"),
)
TROUBLE = st.lists(st.sampled_from((*MARKERS, *PARTS)) | st.text(max_size=5), max_size=40).map("".join)


def said(*pieces: str, opened: bool | None = None) -> tuple[str, bool]:
    cleaner = Cleaner(PERSONAS, PEOPLE, opened=opened)
    shown = "".join([cleaner.feed(piece) for piece in pieces])
    return shown + cleaner.finish(), cleaner.ended


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<think>She is sad.</think>\n\nCome in.", "Come in."),
        ("<thinking>\nWell <b>\n</thinking>Come in.", "Come in."),
        ("<reasoning>a</reasoning>Come <think>wait</think>in.", "Come in."),
        ("Come in. <think>and never", "Come in."),
        ("I should greet her.</think>Come in.", "Come in."),
        ("\n\n</think>\n\nCome in.", "Come in."),
        ("◁think▷hm◁/think▷Come in.", "Come in."),
        ("[THINK]hm[/THINK]Come in.", "Come in."),
        ("<seed:think>hm</seed:think>Come in.", "Come in."),
        ('<tool_call>{"name": "x"}</tool_call>Come in.', "Come in."),
        ("<|channel|>analysis<|message|>hm", ""),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Come in.",
            "Come in.",
        ),
        ("<|channel>thought\nhm\n<channel|>Come in.", "Come in."),
        ("<|START_THINKING|>hm<|END_THINKING|>Come in.", "Come in."),
    ],
)
def test_a_thought_is_never_shown(text: str, shown: str) -> None:
    assert said(text)[0] == shown


def test_a_thought_that_was_opened_in_the_prompt_may_be_long() -> None:
    assert said("word " * 1_000, "</think>", "Come in.", opened=True) == ("Come in.", False)


def test_where_that_is_not_known_the_first_words_wait_for_its_end_and_no_longer() -> None:
    cleaner = Cleaner(PERSONAS, PEOPLE)
    assert cleaner.feed("a " * (HELD // 2 - 1)) == ""
    assert cleaner.feed("b c ").startswith("a a ")
    assert cleaner.feed("</think>d") == " d", "too late: all that is left to do is to hide the marker"


def test_where_no_thought_can_be_open_words_are_shown_at_once() -> None:
    cleaner = Cleaner(PERSONAS, PEOPLE, opened=False)
    assert [cleaner.feed("Come"), cleaner.feed(" in"), cleaner.feed(".")] == ["Come", " in", "."]


@pytest.mark.parametrize(
    "label",
    [
        *(
            "Jide:",
            "jide: ",
            "**Jide:** ",
            "**Jide**: ",
            "*Jide*: ",
            "Ana Maria: ",
            "ANA MARIA:\n",
            "  Jide : ",
        ),
        *("Assistant: ", "assistant\n", "assistant\n\n", "### Response:\n", "### Assistant\n", "{{char}}: "),
        *(
            "Jide: Jide: ",
            "Jide：",
            "<|im_start|>assistant\n",
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        *("<start_of_turn>model\n", "<|assistant|>\n", "<|im_start|>Jide\n", "<s>", "[/INST]", "__Jide__: "),
    ],
)
def test_the_name_of_whoever_speaks_is_left_out(label: str) -> None:
    assert said(f"{label}Come in.") == ("Come in.", False)
    assert said(f"Wait.\n{label}Come in.")[0] in {"Wait.\nCome in.", "Wait.\n\nCome in."}


def test_words_in_bold_stay_bold_without_the_name() -> None:
    assert said("**Jide: come in** now") == ("**come in** now", False)
    assert said("Jide: *nods* Come in.") == ("*nods* Come in.", False)


@pytest.mark.parametrize(
    "label",
    [
        *(
            "Zoe:",
            "zoe: ",
            "**Zoe**:",
            "**Zoe:** ",
            "*Zoe:*",
            "User:",
            "You:",
            "Human:",
            "Will:",
            "C++ (a)*:",
        ),
        *("### Instruction", "### Instruction:\n", "### User:", "user\n", "{{user}}:", "Zoe：", "  Zoe :"),
    ],
)
def test_a_reply_ends_where_somebody_else_begins_to_speak(label: str) -> None:
    assert said(f"Come in.\n\n{label} never") == ("Come in.", True)
    assert said(f"{label} never") == ("", True)


@pytest.mark.parametrize(
    "marker",
    [
        *(
            "<|im_end|>",
            "<|eot_id|>",
            "<|endoftext|>",
            "<end_of_turn>",
            "<|user|>",
            "<｜User｜>",
            "[INST]",
            "<turn|>",
        ),
        *(
            "<|im_start|>user\n",
            "<|start_header_id|>user<|end_header_id|>",
            "<start_of_turn>user\n",
            "<<SYS>>",
        ),
        *("<｜end▁of▁sentence｜>", "<|im_start|>Zoe\n", "<|system|>"),
    ],
)
def test_a_reply_ends_with_the_turn(marker: str) -> None:
    assert said(f"Come in.{marker}never") == ("Come in.", True)


@pytest.mark.parametrize(
    "text",
    [
        "Will you come? Zoe said: yes.",
        "William: a king. Zoey: a girl.",
        "You are late; user: a word. Jide.",
        "if a < b and c[0] > d: x <| y |> z",
        "I <3 you [sic] <b>bold</b> [INSTANT] <thinker> <|",
        "* one\n* two\n\n**Bold** and _Zoe_ and `User`",
        "Will\nWill",
        "Ana: not that one",
        "# Head\n## Zoe\n> quoted",
        "[",
        "end <",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert said(text) == (text, False)
    assert said(*text) == (text, False)


def test_white_space_goes_from_the_ends_and_from_long_gaps() -> None:
    assert said("\n \tCome in.\n\n\n \n  Sit\ndown.\n\nNow.  \n") == (
        "Come in.\n\n  Sit\ndown.\n\nNow.",
        False,
    )


def test_a_marker_that_comes_together_from_others_is_none() -> None:
    assert said("<|im_<|fim|>end|> x")[0] == "<|im_end| x"
    assert said("<thi<s>nk>x")[0] == "<thinkx"


def test_nothing_is_shown_after_the_end() -> None:
    cleaner = Cleaner(PERSONAS, PEOPLE, opened=False)
    assert cleaner.feed("Come in.\nZoe:") == "Come in."
    assert cleaner.ended
    assert cleaner.feed("more") + cleaner.finish() == ""


@given(TROUBLE, st.randoms(use_true_random=False), st.sampled_from([None, False, True]))
def test_it_is_all_the_same_how_a_text_is_cut(text: str, rng: random.Random, opened: bool | None) -> None:
    cuts = sorted(rng.randrange(len(text) + 1) for _ in range(rng.randrange(12)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = said(text, opened=opened)
    assert said(*pieces, opened=opened) == whole
    assert said(*text, opened=opened) == whole


@given(TROUBLE)
def test_no_marker_and_no_label_is_ever_shown(text: str) -> None:
    shown, _ = said(text)
    for marker in MARKERS:
        assert marker not in shown
    assert not re.search(r"<[|｜][^\s<>|｜]{1,48}[|｜]>", shown)
    assert not re.search(r"^(Zoe|Will|User|You|Human|Jide|Ana Maria):", shown, re.M | re.I)
    assert shown == shown.strip()
    assert "\n\n\n" not in shown


@given(st.text())
def test_text_with_nothing_of_that_kind_is_only_trimmed(text: str) -> None:
    harmless = re.sub(r"[:：]", ".", text.replace("#", "-"))
    assert said(harmless, opened=False)[0] == re.sub(r"\n(?:[^\S\n]*\n){2,}", "\n\n", harmless.strip())


@given(TROUBLE)
def test_little_is_held_back(text: str) -> None:
    cleaner = Cleaner(PERSONAS, PEOPLE, opened=False)
    shown = 0
    for read, char in enumerate(text, start=1):
        shown += len(cleaner.feed(char))
        rest = Cleaner(PERSONAS, PEOPLE, opened=False)
        whole = rest.feed(text[:read]) + rest.finish()
        assert len(whole) - shown <= 2 * HELD

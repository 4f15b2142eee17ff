"""`greenroom prompt` as a person or a script meets it, with an owner of the home beside it and without."""

from __future__ import annotations

import json
import subprocess

import pytest

from engine.language import PROMPT_WORDS, count_words
from tests.bot.command_line import Greenroom

PROMPT = "an old woman mending a net, rubber boots, on a pier between crates, low evening light, a calm mood"


def test_a_prompt_is_looked_through_without_a_house(greenroom: Greenroom) -> None:
    ended = greenroom("prompt", "validate", "a (red coat:1.3) by the oil painting --ar 16:9")
    assert ended.returncode == 0
    assert "“red coat” × 1.3" in ended.stdout
    assert "plain text: --ar 16:9" in ended.stdout
    assert "That is an estimate" in ended.stdout
    assert not (greenroom.home / "greenroom.db").exists()
    told = greenroom.told("prompt", "validate", "-", "--style", "noir", said="fox " * 120)
    assert (told["words"], told["style"], told["words_cut"]) == (120, "noir", 0)
    assert told["estimated"]
    assert told["repeated"] == [["fox", 120]]


def test_a_prompt_is_looked_through_with_a_persona_in_mind(greenroom: Greenroom) -> None:
    assert greenroom.told("prompt", "validate", "a coat", "--persona", "wiebe")["style"]
    assert greenroom("prompt", "validate", "a coat", "--persona", "nobody-at-all").returncode == 4
    assert greenroom("prompt", "validate", "a coat", "--style", "nonsense").returncode == 4


def test_what_terminals_obey_is_not_printed(greenroom: Greenroom) -> None:
    ended = greenroom("prompt", "validate", "a (\x1b[31mfox:1.2) <|endoftext|> (\u202efox")
    assert ended.returncode == 0
    assert not {"\x1b", "\u202e"} & set(ended.stdout)


def test_an_idea_becomes_a_prompt_for_a_pipe(greenroom: Greenroom) -> None:
    ended = greenroom("prompt", "improve", "a red coat in the rain", "--persona", "wiebe", "--style", "film")
    assert ended.returncode == 0, ended.stderr
    assert count_words(ended.stdout) in PROMPT_WORDS, "nothing but the prompt goes down a pipe"
    assert "a red coat in the rain" in ended.stdout
    assert "film" in ended.stderr
    assert "Written by the understudy" in ended.stderr
    assert greenroom.told("jobs", "list") == [], "no picture was asked for"


def test_the_owner_writes_where_there_is_one(owner: subprocess.Popen[str], lived_in: Greenroom) -> None:
    [one] = lived_in.told("prompt", "improve", "a red coat", "--persona", "wiebe")["prompts"]
    assert one["words"] == count_words(one["prompt"])
    assert one["words"] in PROMPT_WORDS
    assert (one["by"], one["changed"]) == ("understudy", None)
    assert one["negative"]
    varied = lived_in.told("prompt", "vary", PROMPT)["prompts"]
    assert len({each["changed"]["kind"] for each in varied}) == len({each["seed"] for each in varied}) == 3
    assert all("an old woman mending a net" in each["prompt"] for each in varied)
    assert all(each["changed"]["to"] in each["prompt"] for each in varied)
    assert owner.poll() is None


def test_three_variants_are_three_paragraphs(owner: subprocess.Popen[str], lived_in: Greenroom) -> None:
    ended = lived_in("prompt", "vary", PROMPT)
    assert ended.returncode == 0
    paragraphs = ended.stdout.strip().split("\n\n")
    assert [count_words(one) in PROMPT_WORDS for one in paragraphs] == [True] * 3


@pytest.mark.parametrize(
    ("order", "code", "said"),
    [
        (("improve", "a coat", "--style", "nonsense"), 2, "There is no style"),
        (("improve", "   "), 2, "no words"),
        (("vary", "x" * 9_000), 5, "9,013 characters"),
        (("vary", "a coat", "--persona", "nobody-at-all"), 4, "Nobody here is called"),
        (("improve",), 2, "Missing argument"),
    ],
)
def test_what_cannot_be_written_is_a_sentence(
    owner: subprocess.Popen[str], lived_in: Greenroom, order: tuple[str, ...], code: int, said: str
) -> None:
    ended = lived_in("prompt", *order)
    assert said in ended.stderr
    assert ended.returncode == code
    assert ended.stdout == ""


def test_errors_are_json_for_those_who_ask_for_it(owner: subprocess.Popen[str], lived_in: Greenroom) -> None:
    ended = lived_in("prompt", "improve", "a coat", "--style", "nonsense", "--json")
    assert json.loads(ended.stderr)["kind"] == "BadRequest"

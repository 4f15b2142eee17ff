"""The tiny models are real ones: llama.cpp loads them, and each is odd in the way that it is meant to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import gguf
import jinja2
import numpy as np
import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tests.models.gguf import Kind, TemplateName, Weights, make_large, make_model
from tests.models.templates import TEMPLATES
from tests.models.writing import Writing

ANYTHING = 'root ::= [^"]* "\\""'


@pytest.mark.parametrize("weights", get_args(Weights))
@pytest.mark.parametrize("vocabulary", get_args(Kind))
def test_a_model_says_something_else_for_each_seed_and_the_same_for_the_same(
    tmp_path: Path, vocabulary: Kind, weights: Weights
) -> None:
    with Writing(make_model(tmp_path / "m.gguf", vocabulary=vocabulary, weights=weights)) as model:
        said = [model.write("Hello there", ANYTHING, seed=seed, most=20).text for seed in (1, 2, 1)]
    assert said[0] == said[2] != said[1]


@pytest.mark.parametrize("vocabulary", get_args(Kind))
def test_any_text_has_tokens_and_comes_back(tmp_path: Path, vocabulary: Kind) -> None:
    text = "Soft morning light, naïve 東京 🙂\n\ttabs"
    with Writing(make_model(tmp_path / "m.gguf", vocabulary=vocabulary)) as model:
        tokens = model.tokens(text)
        assert b"".join(map(model.piece, tokens)).decode().removeprefix(" ") == text
        assert len(tokens) < len(text.encode()), "common words are whole tokens"


def test_some_pieces_are_longer_than_a_small_buffer(tmp_path: Path) -> None:
    with Writing(make_model(tmp_path / "m.gguf", vocabulary="spm")) as model:
        assert max(len(model.piece(token)) for token in range(600)) > 60


def test_a_model_can_lean_towards_an_end(tmp_path: Path) -> None:
    sayings = []
    for leaning in (-20.0, 12.0):
        with Writing(make_model(tmp_path / f"{leaning}.gguf", leaning={'"': leaning})) as model:
            sayings.append(model.write("Hello", ANYTHING, seed=1, most=200))
    assert (sayings[0].tokens, sayings[0].ended) == (200, False)
    assert sayings[1].ended
    assert sayings[1].tokens < 20


def test_a_broken_model_computes_nothing(tmp_path: Path) -> None:
    with Writing(make_model(tmp_path / "m.gguf", broken="nan")) as model:
        assert np.isnan(model.logits("Hello")).all()


def test_a_large_model_is_as_large_as_asked_for(tmp_path: Path) -> None:
    file = make_large(tmp_path / "m.gguf", hidden=192, layers=1, inner=256, vocab_size=2_000)
    with Writing(file) as model:
        assert np.isfinite(model.logits("Hello there")).all()
        assert len(model.logits("Hello there")) == 2_000


def rendered(file: Path, talk: list[dict[str, str]]) -> str:
    """As llama.cpp's users do it: the template of the file, in a sandbox."""
    found: Any = gguf.GGUFReader(file).fields["tokenizer.chat_template"]
    text = bytes(found.parts[found.data[0]]).decode()

    def refused(reason: str) -> None:
        raise jinja2.TemplateError(reason)

    template = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(text)
    return template.render(
        messages=talk, add_generation_prompt=True, bos_token="<s>", raise_exception=refused
    )


@pytest.mark.parametrize("name", get_args(TemplateName))
def test_a_template_ends_where_the_model_begins(tmp_path: Path, name: TemplateName) -> None:
    file = make_model(tmp_path / "m.gguf", template=name)
    text = rendered(file, [{"role": "user", "content": "Who?"}])
    assert text.index("Who?") < text.rindex({"no-system": "model"}.get(name, "assistant"))
    with Writing(file) as model:
        end = model.tokens(TEMPLATES[name].end_of_turn, special=True)
        assert len(end) == 1
        assert model.ends(end[0])


@pytest.mark.parametrize(
    "roles", [["system", "user"], ["user", "user"], ["assistant", "user"], ["user", "assistant", "assistant"]]
)
def test_a_template_without_a_system_role_refuses_all_but_turns(tmp_path: Path, roles: list[str]) -> None:
    talk = [{"role": role, "content": json.dumps(role)} for role in roles]
    with pytest.raises(jinja2.TemplateError, match=r"not supported|must alternate"):
        rendered(make_model(tmp_path / "m.gguf", template="no-system"), talk)

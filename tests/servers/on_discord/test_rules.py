"""The bounds of components, commands and forms on Discord."""

from __future__ import annotations

from typing import Any

import pytest

from tests.servers.discord import rules


def button(**more: object) -> dict[str, Any]:
    return {"type": 2, "style": 1, "label": "x", "custom_id": "x", **more}


def select(count: int) -> dict[str, Any]:
    return {"type": 3, "custom_id": "s", "options": [{"label": "a", "value": "a"}] * count}


def row(*inside: dict[str, Any]) -> dict[str, Any]:
    return {"type": 1, "components": list(inside)}


@pytest.mark.parametrize(
    ("components", "rule"),
    [
        ([row(button(custom_id=str(n))) for n in range(6)], "more than 5 action rows"),
        ([row(*(button(custom_id=str(n)) for n in range(6)))], "more than 5 buttons in a row"),
        ([row(button(custom_id="x" * 101))], "custom_id not 1–100"),
        ([row(button(custom_id=None))], "button without custom_id"),
        ([row(button(), button())], "custom_id used twice"),
        ([row(button(style=5, custom_id=None))], "link button without a URL"),
        ([row(button(label=""))], "button without label or emoji"),
        (
            [row(select(26))],
            "select options not 1–25",
        ),
        ([button()], "not an action row"),
    ],
)
def test_components_have_their_limits(components: list[dict[str, Any]], rule: str) -> None:
    with pytest.raises(rules.Refusal) as refused:
        rules.check_rows(components)
    assert refused.value.rule == rule


def command(**more: object) -> dict[str, Any]:
    return {"name": "imagine", "description": "Paint", "type": 1, **more}


def option(name: str, **more: object) -> dict[str, Any]:
    return {"name": name, "description": "x", "type": 3, **more}


@pytest.mark.parametrize(
    ("form", "rule"),
    [
        (command(name="Imagine"), "command name not allowed"),
        (command(description=""), "command description not 1–100"),
        (command(options=[option(f"o{n}") for n in range(26)]), "more than 25 options"),
        (command(options=[option("a"), option("b", required=True)]), "required option after an optional one"),
        (command(options=[option("a", choices=[{"name": "x", "value": "x"}] * 26)]), "more than 25 choices"),
        (
            command(options=[option("a", choices=[{"name": "x" * 101, "value": "x"}])]),
            "choice name not 1–100",
        ),
    ],
)
def test_commands_have_their_limits(form: dict[str, Any], rule: str) -> None:
    rules.check_command(command(options=[option("a", required=True), option("b")]))
    with pytest.raises(rules.Refusal) as refused:
        rules.check_command(form)
    assert refused.value.rule == rule


@pytest.mark.parametrize(
    ("form", "rule"),
    [
        ({"custom_id": "m", "title": "x" * 46, "components": [row(button())]}, "modal title not 1–45"),
        ({"custom_id": "m", "title": "x", "components": []}, "modal inputs not 1–5"),
        ({"custom_id": "", "title": "x", "components": [row(button())]}, "custom_id not 1–100"),
    ],
)
def test_forms_have_their_limits(form: dict[str, Any], rule: str) -> None:
    with pytest.raises(rules.Refusal) as refused:
        rules.check_modal(form)
    assert refused.value.rule == rule

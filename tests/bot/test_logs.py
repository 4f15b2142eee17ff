"""The log: lines of JSON with the ids they belong to, no secrets, and never more than the operator allows."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from bot.logs import start_logging, without_secrets
from engine.settings import LogSettings


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging is the process's own: each test leaves it as it was."""
    root, told = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**told)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "log" / "greenroom.log"


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def start(file: Path, *, console: bool = False, **settings: Any) -> Any:
    start_logging(file, LogSettings(**settings), console=console)
    return structlog.get_logger("engine.test")


def test_a_line_says_what_happened_to_what(file: Path) -> None:
    log = start(file)
    with structlog.contextvars.bound_contextvars(turn=12):
        log.info("reply_stored", job=5, words="Grüße 👋")
        logging.getLogger("a.library").warning("something is %s", "wrong")
    log.info("outside")
    first, library, outside = lines(file)
    assert (first["event"], first["turn"], first["job"], first["words"]) == (
        "reply_stored",
        12,
        5,
        "Grüße 👋",
    )
    assert (first["level"], first["logger"]) == ("info", "engine.test")
    assert first["timestamp"].endswith("Z")
    assert (library["event"], library["turn"]) == ("something is wrong", 12)
    assert "turn" not in outside


def test_secrets_are_blanked_however_deep(file: Path) -> None:
    start(file).info(
        "configured",
        token="hunter2",
        told={
            "api_key": "hunter2",
            "fine": 1,
            "deeper": [{"Authorization": "hunter2"}, {"DB_PASSWORD": "hunter2"}],
        },
        bot_tokens=["hunter2"],
    )
    text = file.read_text()
    assert "hunter2" not in text
    assert '"fine": 1' in text


def test_blanking_leaves_everything_else_as_it_was() -> None:
    event = {"event": "x", "tokens_used": 5, "list": [1, {"a": 2}], "none": None}
    assert without_secrets(None, "", dict(event)) == event | {"tokens_used": "***"}


def test_a_failure_is_one_line_with_its_traceback(file: Path) -> None:
    log = start(file)
    try:
        raise ZeroDivisionError("oops\nsecond line")
    except ZeroDivisionError:
        log.exception("turn_failed", turn=7)
    [line] = lines(file)
    assert (line["turn"], line["level"]) == (7, "error")
    assert "ZeroDivisionError" in line["exception"]


def test_what_cannot_be_encoded_does_not_stop_the_house(file: Path) -> None:
    log = start(file)
    log.info("odd", text="a\ud800b", thing=object(), path=Path("/x"))
    assert len(file.read_text().splitlines()) == 1


def test_old_lines_go_when_the_files_are_full(file: Path) -> None:
    log = start(file, megabytes=1, files=2)
    for number in range(40):
        log.info("long", number=number, text="x" * 100_000)
    kept = sorted(path.name for path in file.parent.iterdir())
    assert kept == ["greenroom.log", "greenroom.log.1", "greenroom.log.2"]
    assert all(path.stat().st_size <= 1_000_000 for path in file.parent.iterdir())
    assert lines(file)[-1]["number"] == 39


def test_the_level_is_the_operator_s(file: Path) -> None:
    log = start(file, level="warning")
    log.info("quiet")
    log.warning("loud")
    assert [line["event"] for line in lines(file)] == ["loud"]


def test_libraries_do_not_tell_of_every_request(file: Path) -> None:
    start(file, level="debug")
    for name in ("httpx", "uvicorn", "asyncio", "alembic"):
        logging.getLogger(name).info("a request")
    assert lines(file) == []


def test_a_terminal_hears_the_same_in_few_words(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = start(file, console=True)
    hunter = {"password": "hunter2"}
    log.info("house_open", address="http://127.0.0.1:5", **hunter)
    try:
        raise ZeroDivisionError(len(hunter))
    except ZeroDivisionError:
        log.exception("turn_failed")
    told = capsys.readouterr()
    assert told.out == ""
    assert "house_open" in told.err
    assert "ZeroDivisionError" in told.err
    assert "hunter2" not in told.err, "local variables are nobody's business"


def test_a_disk_that_takes_no_log_keeps_nothing_shut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log").write_text("a file where a folder should be")
    log = start(tmp_path / "log" / "greenroom.log", console=True)
    log.warning("still_here")
    assert "still_here" in capsys.readouterr().err

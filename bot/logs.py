"""The log: a rotated file of JSON lines in the home, and on a terminal a few quiet words.

Turn and job ids come with every line that belongs to one. What looks like a secret is never written.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from engine.settings import LogSettings

_SECRET_KEYS = ("secret", "token", "password", "authorization", "api_key")


def keep_quiet() -> None:
    """For a command that tells all it finds by itself, and has no log."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def start_logging(file: Path, settings: LogSettings, *, console: bool, least: str = "info") -> None:
    """Send our log, and what libraries log, to the file; to the terminal too where `console` says so."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    to_json = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=repr),
        ],
    )
    handlers: list[logging.Handler] = [_to_file(file, settings, to_json)]
    if console:
        handlers.append(_to_console(shared, least))
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(settings.level.upper())
    # Libraries speak when something is wrong, not of every request.
    for name in (
        "httpx",
        "httpcore",
        "uvicorn",
        "alembic",
        "procrastinate",
        "asyncio",
        "aiogram",
        "aiohttp",
        "discord",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)


def _to_file(file: Path, settings: LogSettings, formatter: logging.Formatter) -> logging.Handler:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = logging.handlers.RotatingFileHandler(
            file,
            maxBytes=settings.megabytes * 1_000_000,
            backupCount=settings.files,
            encoding="utf-8",
            errors="backslashreplace",
        )
    except OSError:
        # A disk that takes no log must not keep the house shut; the terminal still says what matters.
        handler = logging.NullHandler()
    handler.setFormatter(formatter)
    return handler


def _to_console(shared: list[Processor], least: str) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(least.upper())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.dev.ConsoleRenderer(
                    colors=sys.stderr.isatty(),
                    pad_event_to=24,
                    exception_formatter=structlog.dev.plain_traceback,
                ),
            ],
        )
    )
    return handler


def without_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Blank every value whose name says that it is a secret, however deep it stands."""
    return {key: _blanked(key, value) for key, value in event.items()}


def _blanked(key: str, value: Any) -> Any:
    if any(mark in key.lower() for mark in _SECRET_KEYS):
        return "***"
    if isinstance(value, dict):
        return {str(name): _blanked(str(name), inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_blanked(key, inner) for inner in value]
    return value

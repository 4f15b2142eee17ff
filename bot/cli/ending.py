"""How a command ends: which exit code an error has, and how it is told."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path

import click


class Interrupted(click.ClickException):
    """Somebody pressed Ctrl-C, and what had to be said about it has been said."""

    code = 130
    exit_code = code

    def show(self, file: object = None) -> None:
        if self.message:
            click.secho(self.message, fg="yellow", err=True)


def tell_error(sentence: str, code: int, kind: str, *, as_json: bool) -> int:
    if as_json:
        told = {"error": sentence, "kind": kind, "code": code}
        click.echo(json.dumps(told, ensure_ascii=False), err=True)
    else:
        click.secho(sentence, fg="red", err=True)
    return code


def code_of(error: BaseException) -> int:
    """The exit code of an error."""
    from engine import errors

    codes: tuple[tuple[type[BaseException], int], ...] = (
        (errors.SettingsError, 3),
        (errors.NotFound, 4),
        (errors.Refused, 5),
        (errors.HomeInUse, 6),
        (errors.BadRequest, 2),
    )
    cause = _alone(error)
    return next((code for kind, code in codes if isinstance(cause, kind)), 1)


def sentence_of(error: BaseException) -> str:
    """What is said of an error. One that is no error of ours goes to the log whole, and is said to be there."""
    from bot.terminal.words import safe
    from engine.errors import GreenroomError
    from personas.cards import CardError

    cause = _alone(error)
    if isinstance(cause, GreenroomError | CardError):
        return safe(str(cause))
    if isinstance(cause, BrokenPipeError):
        return "What was written to has been closed."
    if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
        return "There is no space left where something was to be written."
    where = _written_down(cause)
    said = safe(f"{type(cause).__name__}: {cause}")[:300]
    return f"Something went wrong that should not have ({said}). {where}"


def _alone(error: BaseException) -> BaseException:
    """The one error in a group that holds just one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _written_down(error: BaseException) -> str:
    """Put the whole story of an error into the log; answers where it is, for a person."""
    import logging
    import traceback

    files = [
        handler.baseFilename
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.FileHandler)
    ]
    if files:
        logging.getLogger("bot.cli").error("command_failed", exc_info=error)
        return f"The log has the whole story: {files[0]}"
    sys.stderr.write("".join(traceback.format_exception(error)))
    return "The whole story stands above."


def version() -> str:
    """The installed version; in a clone that is not installed, the one that its project file says."""
    from importlib import metadata

    try:
        return metadata.version("greenroom")
    except metadata.PackageNotFoundError:
        import tomllib

        project = Path(__file__).parents[2] / "pyproject.toml"
        try:
            return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
        except (OSError, KeyError, ValueError):
            return "unknown"

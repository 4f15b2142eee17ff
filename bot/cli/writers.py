"""What `greenroom doctor` says of whoever writes: the library, the models that are chosen and why, another server.

With `tries` each of them is loaded and writes a few words; else nothing is loaded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import aclosing
from importlib.util import find_spec
from typing import TYPE_CHECKING

from engine.errors import GreenroomError, ModelUnavailable
from engine.language import LanguageModel, ReplyWanted, Task

if TYPE_CHECKING:
    from engine.language.shelf import Shelf
    from engine.settings import Settings

#: Its state, what is so, and what mends it; as `doctor` shows them.
Told = tuple[str, str, str]

INSTALL = "make up EXTRAS=language"
BETTER = {
    "CUDA": 'CMAKE_ARGS="-DGGML_CUDA=on"',
    "Metal": 'CMAKE_ARGS="-DGGML_METAL=on"',
    "Vulkan": 'CMAKE_ARGS="-DGGML_VULKAN=on"',
}


def can_write() -> bool:
    """Whether what runs a model is installed; a look, without loading it."""
    return find_spec("llama_cpp") is not None


async def looked_at(settings: Settings, *, tries: bool) -> list[Told]:
    from engine.language.shelf import Instructions, Shelf

    if settings.language.models == "off":
        return [
            ("note", "models are switched off: the understudy writes, from templates", "[language] models")
        ]
    shelf = Shelf(settings, Instructions("", ""))
    try:
        told = [*_library(), *await _chosen(shelf)]
        if settings.server.address:
            told.append(("ok", f"{settings.server.address} writes {settings.server.turn}", ""))
        if tries:
            told += await _tried(shelf)
        return [*told, *await _embeddings(settings, tries=tries)]
    finally:
        await shelf.close()


def _library() -> Iterator[Told]:
    from engine.language.llama import back_end, library
    from engine.models import machine

    try:
        library()
    except ModelUnavailable as error:
        yield ("note", str(error), INSTALL)
        return
    on, gpu = back_end(), machine().gpu_name
    if gpu and on == "CPU":
        build = f"{BETTER['CUDA']} pip install --force-reinstall --no-cache-dir --no-deps llama-cpp-python"
        yield ("warning", f"llama.cpp computes on the CPU, and there is a {gpu}", build)
    else:
        yield ("ok", f"llama.cpp computes on: {on}", "")


async def _chosen(shelf: Shelf) -> list[Told]:
    """One line for each model, with the tasks that it has."""
    reasons: dict[str, list[str]] = {}
    lacking: dict[str, list[str]] = {}
    for task in Task:
        choice = await shelf.choice(task)
        (reasons if choice.found else lacking).setdefault(choice.reason, []).append(task.value)
    told: list[Told] = [("ok", f"{', '.join(tasks)}: {reason}", "") for reason, tasks in reasons.items()]
    told += [
        ("note", f"{', '.join(tasks)}: {reason} The understudy writes, from templates.", "")
        for reason, tasks in lacking.items()
    ]
    return told


async def _embeddings(settings: Settings, *, tries: bool) -> list[Told]:
    """What makes embeddings for other programs; nothing where nobody wants any."""
    from engine.language.embedders import Embedders

    embedders = Embedders(settings)
    try:
        choice, names = await embedders.choice(), await embedders.names()
        told: list[Told] = []
        if choice.found or settings.language.embeddings:
            told.append(("ok" if choice.found else "note", f"embeddings: {choice.reason}", ""))
        if settings.server.address and settings.server.embeddings:
            told.append(
                ("ok", f"{settings.server.address} makes embeddings: {settings.server.embeddings}", "")
            )
        for name in names if tries else ():
            began = time.perf_counter()
            try:
                made = await (await embedders.named(name)).embed(["Hello! How are you?"])
            except GreenroomError as error:
                told.append(("broken", f"{name}: {error}", "greenroom models verify"))
                continue
            count, took = len(made.vectors[0]), time.perf_counter() - began
            told.append(("ok", f"{name} made {count} numbers of a text in {took:.1f} s", ""))
        return told
    finally:
        await embedders.close()


async def _tried(shelf: Shelf) -> list[Told]:
    from personas.cast import shipped_cast
    from personas.prompting import Line

    persona = next(iter(shipped_cast()))
    wanted = ReplyWanted(persona, (Line(False, "Hello! How are you?"),), "", seed=1)
    return [await _try(model, wanted) for model in await shelf.for_(wanted)]


async def _try(model: LanguageModel, wanted: ReplyWanted) -> Told:
    began, first, text = time.perf_counter(), 0.0, ""
    try:
        async with aclosing(model.write(wanted)) as pieces:
            async for piece in pieces:
                first = first or time.perf_counter() - began
                text += piece
    except ModelUnavailable as error:
        return ("broken", f"{model.name}: {error}", "greenroom models verify")
    took = time.perf_counter() - began
    return (
        "ok",
        f"{model.name} began after {first:.1f} s and wrote {len(text.split())} words in {took:.1f} s",
        "",
    )

"""How quick the house makes pictures beside a bare diffusers call in a loop, and whether it reads the last word."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import count
from typing import Any

from engine.engine import Engine
from engine.imagining import Wish
from engine.pictures import PictureWanted, Renderer
from engine.stepping_back import step_back
from engine.store.records import PictureRequest
from personas.appearance import Ledger, Scene
from personas.persona import Persona
from tests.bench.harness import Figure, interleaved, median, ratio
from tests.bench.pictures_house import (
    NEGATIVE,
    Asker,
    Bench,
    ask,
    askers,
    composed,
    ending,
    made,
    prompt,
    sdxl,
    settings_of,
)
from tests.working import working

#: Words of each prompt: what a model would write.
LONG = 120


@dataclass(frozen=True)
class Line:
    """So many pictures of one kind, one after another or together."""

    side: int
    steps: int
    guidance: float
    pictures: int

    def told(self) -> str:
        return f"{self.side}² in {self.steps} steps, guidance {self.guidance:g}, {self.pictures} pictures a round"


class Bare:
    """What a person would write: the pipeline and compel in a loop; its thread steps back as the house's does."""

    def __init__(self, bench: Bench, line: Line) -> None:
        torch, compel = import_module("torch"), import_module("compel")
        kind = import_module("diffusers").StableDiffusionXLPipeline
        numbers = getattr(torch, bench.numbers)
        self.pipe: Any = kind.from_pretrained(bench.model, dtype=numbers, local_files_only=True)
        self.pipe.to(bench.device)
        self.pipe.set_progress_bar_config(disable=True)
        # It warns of long texts, which compel cuts into chunks.
        import_module("transformers.utils.logging").set_verbosity_error()
        self._compel = compel.CompelForSDXL(self.pipe)
        self._torch = torch
        self._line = line
        self._thread = ThreadPoolExecutor(1, initializer=step_back)

    def words(self, request: PictureRequest) -> dict[str, Any]:
        with self._torch.no_grad():
            found = self._compel(request.prompt, negative_prompt=request.negative)
        return {
            "prompt_embeds": found.embeds,
            "pooled_prompt_embeds": found.pooled_embeds,
            "negative_prompt_embeds": found.negative_embeds,
            "negative_pooled_prompt_embeds": found.negative_pooled_embeds,
        }

    def picture(self, request: PictureRequest, words: dict[str, Any]) -> Any:
        generator = self._torch.Generator("cpu").manual_seed(request.seed)
        line = self._line
        size = {"width": line.side, "height": line.side}
        how = {"num_inference_steps": line.steps, "guidance_scale": line.guidance, "generator": generator}
        return self.pipe(**words, **how, **size).images[0]

    def speed(self, requests: Sequence[PictureRequest], *, ready: bool) -> float:
        """Pictures a second. `ready`: their embeddings were made before the clock was looked at."""
        return self._thread.submit(self._speed, requests, ready).result()

    def _speed(self, requests: Sequence[PictureRequest], ready: bool) -> float:
        known = {request.seed: self.words(request) for request in requests} if ready else {}
        began = time.perf_counter()
        for request in requests:
            self.picture(request, known.get(request.seed) or self.words(request))
        return len(requests) / (time.perf_counter() - began)

    def close(self) -> None:
        self._thread.shutdown()


@dataclass
class House:
    """An engine that works, whose line is filled at once and then looked at until it is empty."""

    engine: Engine
    asker: Asker
    line: Line
    #: How many pictures went through the model in company of so many.
    passes: Counter[int]

    async def requests(self, number: int, many: int) -> list[PictureRequest]:
        line = self.line
        wish = Wish("by the sea", width=line.side, height=line.side, steps=line.steps, guidance=line.guidance)
        return [
            await composed(
                self.engine,
                self.asker,
                replace(wish, seed=1_000 * number + place),
                prompt(f"{number} {place}", LONG),
            )
            for place in range(many)
        ]

    async def speed(self, requests: Sequence[PictureRequest]) -> float:
        """Pictures a second, from when all of them are in line until the last one is a row."""
        async with ending(self.engine) as ends:
            began = time.perf_counter()
            asked = await ask(self.engine, [(self.asker, request) for request in requests])
            took = await ends.all_of(job.id for job in asked) - began
        self.passes.update(picture.batch_size for picture in await made(self.engine, asked))
        return len(requests) / took


def take_queue(
    bench: Bench, line: Line, target: str = "≥ 0.9", *, renderer: Renderer | None = None
) -> tuple[list[Figure], str]:
    """`renderer`: one that is warm already; it is closed at the end."""
    numbers = count(1)
    with asyncio.Runner() as runner:
        bare = Bare(bench, line)
        stack = AsyncExitStack()
        house = runner.run(_opened(bench, line, renderer or sdxl(bench), stack))

        def requests(many: int = line.pictures) -> list[PictureRequest]:
            return runner.run(house.requests(next(numbers), many))

        try:
            # Whatever is done once is done before: weights are loaded, threads begun, the atelier's child born.
            runner.run(house.speed(requests(5)))
            bare.speed(requests(1), ready=False)
            house.passes.clear()
            sides: dict[str, Callable[[], float]] = {
                "ours": lambda: runner.run(house.speed(requests())),
                "bare": lambda: bare.speed(requests(), ready=False),
                "ready": lambda: bare.speed(requests(), ready=True),
            }
            taken = interleaved(sides, bench.rounds)
        finally:
            bare.close()
            runner.run(stack.aclose())
    figures = [
        Figure(
            "pictures/s with a full queue ÷ the bare diffusers call in a loop, its embeddings by compel",
            ratio(taken, "ours", "bare"),
            target,
            "higher",
            "1: the bare call, one picture after another",
        ),
        Figure(
            "the same ÷ that call alone, its embeddings made beforehand",
            ratio(taken, "ours", "ready"),
            target,
            "higher",
            "1, less what ours takes to read the words",
        ),
    ]
    each = ", ".join(f"{name} {1 / median(values):.2f} s" for name, values in taken.items())
    passes = ", ".join(f"{many} by {size}" for size, many in sorted(house.passes.items()))
    notes = (
        f"{line.told()}; prompts of {LONG} words; the bare side calls CompelForSDXL for each picture, keeps the PIL "
        f"image and writes no file; ours ends with files and rows\na picture: {each}; pictures by the size of their "
        f"pass: {passes}"
    )
    return figures, notes


async def _opened(bench: Bench, line: Line, renderer: Renderer, stack: AsyncExitStack) -> House:
    settings = settings_of(bench.home("queue"), width=line.side, height=line.side, steps=line.steps)
    engine = await stack.enter_async_context(Engine.open(settings, renderer=renderer))
    await stack.enter_async_context(working(engine))
    [asker] = await askers(engine, 1)
    return House(engine, asker, line, Counter())


# The last word


def wanted(
    words: str, *, seed: int = 7, side: int = 64, steps: int = 2, guidance: float = 7.5
) -> PictureWanted:
    scene = Scene(Persona(slug="ada", name="Ada Quill", age=40), "by the sea", Ledger(), seed)
    return PictureWanted(
        scene, words, NEGATIVE, seed, width=side, height=side, steps=steps, guidance=guidance
    )


def difference(first: Any, second: Any) -> float:
    """By how much two pictures differ in the mean, of 255."""
    import numpy as np

    return float(np.abs(np.asarray(first, dtype=np.int16) - np.asarray(second, dtype=np.int16)).mean())


def take_last_word(bench: Bench, side: int, steps: int) -> tuple[list[Figure], str]:
    """Of 180 words the last is another one; each picture is made alone, as is a third by the first words again."""
    beginning = prompt("the same", 179)
    renderer = sdxl(bench)
    try:
        first, other, again = (
            renderer.render([wanted(f"{beginning} {last}", side=side, steps=steps)], lambda *_step: None)[0]
            for last in ("red", "river", "red")
        )
    finally:
        renderer.close()
    receipts = [one.facts["receipt"] for one in (first, other)]
    reached = all(receipt["words"] == 180 and receipt["whole"] for receipt in receipts)
    changed = difference(first.image, other.image)
    figures = [
        Figure(
            "the last of 180 words is another: mean difference of the pictures' pixels, of 255",
            changed if reached else 0.0,
            "> 0",
            "higher",
            f"{difference(first.image, again.image):g}: the same words again",
        )
    ]
    notes = "\n".join(
        f"“… {last}”: tokens read by each encoder {receipt['tokens']}, dropped {receipt['tokens_dropped']}, "
        f"{receipt['chunks']} chunks; the pooled vector saw {receipt['pooled_tokens']} tokens"
        for last, receipt in zip(("red", "river"), receipts, strict=True)
    )
    return figures, notes + f"\n{side}² in {steps} steps"

"""How quick SDXL is at its full size on this GPU: ours beside plain diffusers, in batches, and with a full queue.

Speed depends on the shapes alone, so the weights are random ones and nothing has to be fetched. What a picture looks
like it does not know.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.bench.harness import Figure, interleaved, median, ratio
from tests.bench.pictures_encoding import USUAL, Taken, figures_of, measured, notes_of
from tests.bench.pictures_house import Bench, prompt, sdxl
from tests.bench.pictures_speed import Line, difference, take_queue, wanted
from tests.gpu.full_weights import write_full_size

#: What the widest cards of its kind do with 16-bit numbers, in TFLOP/s.
CARD = 790.0
#: TFLOP of one step with guidance and of one decoding, at 1024².
STEP, DECODING = 13.5, 10.5
#: MLPerf v4.1: 20 steps in FP8 with TensorRT on an H200.
MLPERF = 2.18
NAMES = {
    "tuned": "30 steps at 1024², tuned ÷ stock diffusers in 16 bit",
    "apart": "mean difference of these two pictures, of 255",
    "share": "best-batch pictures/s at 20 steps ÷ the limit at 790 TFLOP/s",
    "best": "best-batch pictures/s at 20 steps",
    "queue": "pictures/s with a full queue ÷ the bare diffusers call in a loop, its embeddings by compel",
    "ready": "the same ÷ that call alone, its embeddings made beforehand",
    "company": "largest difference of a picture in company and alone, of 255",
    "encoding": "encoding 200 words with 4 weights ÷ compel's own parser path, on the GPU",
}


@dataclass(frozen=True)
class Size:
    """How much is measured: at full size, or just enough to see that it runs."""

    side: int = 1024
    steps: int = 30
    batch_steps: int = 20
    batches: tuple[int, ...] = (1, 4, 8)
    #: In the queue, a round.
    pictures: int = 12
    rounds: int = 3


SMALL = Size(side=256, steps=4, batch_steps=4, batches=(1, 2), pictures=3, rounds=1)


@dataclass(frozen=True)
class Measured:
    card: str
    #: Seconds a picture, round by round.
    tuned: list[float]
    stock: list[float]
    apart: float
    #: Pictures a second, by how many went through together.
    batches: dict[int, float]
    #: The largest and the mean difference of a picture in company and alone.
    company: tuple[float, float]
    queue: list[Figure]
    queue_notes: str
    encoding: list[Taken]
    gigabytes: float


# What it takes


def take_cuda(folder: Path, *, rounds: int, threads: int, quick: bool) -> tuple[list[Figure], str]:
    if not import_module("torch").cuda.is_available():
        return figures(None, "no CUDA machine here"), ""
    model = write_full_size(folder / "full size")
    bench = Bench(folder, model, rounds, threads, quick, device="cuda", numbers="float16")
    found = measure(bench, SMALL if quick else Size(rounds=rounds))
    return figures(found), notes_on(found)


def measure(bench: Bench, size: Size) -> Measured:
    torch = import_module("torch")
    peaks: list[int] = []
    renderer: Any = sdxl(bench, at_once=max(size.batches))
    words = prompt("full size", 120)

    def paint(many: int, steps: int, *, first: int = 0) -> list[Any]:
        asked = [wanted(words, seed=first + one, side=size.side, steps=steps) for one in range(many)]
        made = renderer.render(asked, lambda *_step: None)
        # Each pass counts anew.
        peaks.append(made[0].facts["memory"]["peak"])
        return [one.image for one in made]

    def warmed(many: int, steps: int) -> None:
        """Twice as it is asked for first, then compiled for it, then once more."""
        paint(many, steps)
        paint(many, steps)
        while renderer.warm():
            pass
        paint(many, steps)

    stock = _Stock(bench, size, words)
    warmed(1, size.steps)
    stock.picture(0)
    taken = interleaved(
        {
            "tuned": lambda: _seconds(lambda: paint(1, size.steps)),
            "stock": lambda: _seconds(lambda: stock.picture(0)),
        },
        size.rounds,
    )
    apart = difference(paint(1, size.steps)[0], stock.picture(0))
    encoding = measured(stock.pipe, size.rounds, (0, USUAL))
    stock.close()
    batches = {}
    for many in size.batches:
        warmed(many, size.batch_steps)
        seconds = median([_seconds(lambda: paint(many, size.batch_steps)) for _ in range(size.rounds)])  # noqa: B023 - called at once
        batches[many] = many / seconds
    company = paint(max(size.batches), size.batch_steps)[-1]
    [alone] = paint(1, size.batch_steps, first=max(size.batches) - 1)
    gigabytes = max(peaks) / 1e9
    line = Line(size.side, size.batch_steps, 7.5, size.pictures)
    queue, queue_notes = take_queue(bench, line, "≥ 0.97", renderer=renderer)
    return Measured(
        torch.cuda.get_device_name(),
        taken["tuned"],
        taken["stock"],
        apart,
        batches,
        (_largest(company, alone), difference(company, alone)),
        queue,
        queue_notes,
        encoding,
        gigabytes,
    )


class _Stock:
    """Plain diffusers in 16 bit, as it comes: given the same words and the same noise."""

    def __init__(self, bench: Bench, size: Size, words: str) -> None:
        from engine.pictures.sdxl.longprompt import Encoder, together

        self._torch = import_module("torch")
        kind = import_module("diffusers").StableDiffusionXLPipeline
        self._numbers = getattr(self._torch, bench.numbers)
        self.pipe = kind.from_pretrained(bench.model, dtype=self._numbers, local_files_only=True)
        self.pipe.to(bench.device)
        self.pipe.set_progress_bar_config(disable=True)
        self._size = size
        encoder, asked = Encoder(self.pipe), wanted(words)
        embeds, pooled = together([encoder.encode(asked.prompt), encoder.encode(asked.negative)])
        assert pooled is not None
        self._words = {
            "prompt_embeds": embeds[:1],
            "pooled_prompt_embeds": pooled[:1],
            "negative_prompt_embeds": embeds[1:],
            "negative_pooled_prompt_embeds": pooled[1:],
        }

    def picture(self, seed: int) -> Any:
        side = self._size.side
        drawn = self._torch.Generator("cpu").manual_seed(seed)
        noise = self._torch.randn((1, 4, side // 8, side // 8), generator=drawn)
        return self.pipe(
            **self._words,
            latents=noise.to(self.pipe.device, self._numbers),
            width=side,
            height=side,
            num_inference_steps=self._size.steps,
            guidance_scale=7.5,
        ).images[0]

    def close(self) -> None:
        del self.pipe, self._words
        self._torch.cuda.empty_cache()


def _seconds(do: Callable[[], object]) -> float:
    """Of work that ends with a picture in the machine's own memory, so that nothing is under way any more."""
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def _largest(first: Any, second: Any) -> float:
    import numpy as np

    return float(np.abs(np.asarray(first, dtype=np.int16) - np.asarray(second, dtype=np.int16)).max())


# What is told of it


def figures(found: Measured | None, why: str = "") -> list[Figure]:
    """All of them are open where nothing could be measured."""
    limit = CARD / (20 * STEP + DECODING)
    best = max(found.batches.values()) if found else None
    queue, ready = (one.value for one in found.queue) if found else (None, None)
    encoding = figures_of(found.encoding, "on the GPU")[0].value if found else None
    floor = f"{(30 * STEP + DECODING) / CARD:.2f} s at {CARD:.0f} TFLOP/s"
    return [
        Figure(NAMES["tuned"], _over(found), "≤ 0.80", "lower", floor, why or None),
        Figure(NAMES["apart"], found.apart if found else None, "told", "lower", "0", why or None),
        Figure(
            NAMES["share"],
            best / limit if best else None,
            "≥ 0.45",
            "higher",
            f"1: {limit:.2f} a second",
            why or None,
        ),
        Figure(
            NAMES["best"],
            best,
            "told",
            "higher",
            f"{limit:.2f}; MLPerf has {MLPERF} on an H200, in FP8",
            why or None,
        ),
        Figure(NAMES["queue"], queue, "≥ 0.97", "higher", "1: the bare call", why or None),
        Figure(
            NAMES["ready"],
            ready,
            "≥ 0.97",
            "higher",
            "1, less what ours takes to read the words",
            why or None,
        ),
        Figure(NAMES["company"], found.company[0] if found else None, "told", "lower", "0", why or None),
        Figure(NAMES["encoding"], encoding, "≤ 0.1", "lower", "the encoders alone", why or None),
    ]


def _over(found: Measured | None) -> float | None:
    if found is None:
        return None
    return ratio({"tuned": found.tuned, "stock": found.stock}, "tuned", "stock")


def notes_on(found: Measured) -> str:
    batches = ", ".join(f"{many}: {speed:.2f}/s" for many, speed in found.batches.items())
    return "\n".join(
        [
            f"{found.card}; {found.gigabytes:.1f} GB at the most, the stock pipeline beside ours for a part of it",
            f"a picture: tuned {_told(found.tuned)}, stock {_told(found.stock)}; by batch, {batches}",
            f"in company of {max(found.batches)} and alone: {found.company[0]:g} of 255 at the most, "
            f"{found.company[1]:.3f} in the mean",
            notes_of(found.encoding, "on the GPU"),
            found.queue_notes,
        ]
    )


def _told(seconds: Sequence[float]) -> str:
    return " ".join(f"{one:.2f}" for one in seconds) + " s"

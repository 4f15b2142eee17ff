"""Where diffusers runs: takes noise or a picture to latents step by step, makes pixels of those, and moves weights
where they are needed.

It is given embeddings, never text, and knows neither persons nor jobs. Nothing here asks the network.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.errors import RenderFailed
from engine.locales import say
from engine.pictures import Looks, Preview
from engine.pictures.sdxl.recipes import HANDOVER, Recipe, gone_over
from engine.pictures.sdxl.resting import Resting
from engine.pictures.sdxl.seeing import SD_COLOURS, SDXL_COLOURS, as_pixels, developed, glimpse, read
from engine.pictures.sdxl.starting import filled_up
from engine.pictures.sdxl.tuning import UNTUNED, Blocks, Tuning

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

#: Told after each step: which, of how many, and how to have a look. Whatever it raises ends the pass.
Told = Callable[[int, int, Preview], None]
#: The side of the square that a model was taught on, where its settings do not say.
NATIVE = {"sdxl": 1024, "sd": 512}
#: As torch's parts say it where they have no error of their own for it.
_NO_MEMORY = ("out of memory", "can't allocate memory", "alloc_failed")


@dataclass(frozen=True)
class Begun:
    """The pictures that a pass begins from, one for each that it makes, and how far it goes from them."""

    images: tuple[Image, ...]
    strength: float


@dataclass(frozen=True)
class Words:
    """What a pass is told of its pictures, as tensors: one row a picture. No negatives where nothing guides."""

    embeds: Tensor
    pooled: Tensor | None
    negative: Tensor | None = None
    negative_pooled: Tensor | None = None

    def as_arguments(self) -> dict[str, Any]:
        told = {"prompt_embeds": self.embeds, "negative_prompt_embeds": self.negative}
        if self.pooled is not None:
            told |= {
                "pooled_prompt_embeds": self.pooled,
                "negative_pooled_prompt_embeds": self.negative_pooled,
            }
        return told


@dataclass(frozen=True)
class Plan:
    """How many steps each of the two takes; without a refiner the first takes them all."""

    steps: int
    refined: int = 0

    @property
    def total(self) -> int:
        return self.steps + self.refined


class Pipelines:
    """The loaded model, and its refiner if it has one. One thread may use it."""

    def __init__(self, pipe: Any, refiner: Any, device: str, dtype: Any, tuning: Tuning = UNTUNED) -> None:
        self.pipe = pipe
        self.refiner = refiner
        #: Whether the last pass ran compiled.
        self.ran_compiled = False
        self._dressed = False
        self._device = device
        self._dtype = dtype
        #: The same model, beginning from pictures; made when one is wanted.
        self._over: Any = None
        #: As the model came: a scheduler made from another's settings would inherit what that was set to.
        self._scheduling = dict(pipe.scheduler.config)
        self._colours = SDXL_COLOURS if hasattr(pipe, "text_encoder_2") else SD_COLOURS
        self.resting = Resting(self._parts(), device)
        self._blocks = Blocks(pipe.unet, tuning.compiler if tuning.compiled else "")

    @property
    def device(self) -> str:
        import torch

        return f"cuda ({torch.cuda.get_device_name()})" if self._device == "cuda" else self._device

    @property
    def on_gpu(self) -> bool:
        return self._device != "cpu"

    @property
    def dressed(self) -> bool:
        """It wears a LoRA. Nothing is compiled for that: layers that came in between ask for a compiler each time."""
        return self._dressed

    @dressed.setter
    def dressed(self, dressed: bool) -> None:
        self._dressed = dressed
        if dressed:
            self._blocks.chill()

    @property
    def native(self) -> int:
        """The side of the square that the model was taught on."""
        side = self.pipe.unet.config.sample_size
        if isinstance(side, int) and side > 0:
            return side * int(self.pipe.vae_scale_factor)
        return NATIVE["sdxl" if hasattr(self.pipe, "text_encoder_2") else "sd"]

    def plan(self, recipe: Recipe, strength: float | None = None) -> Plan:
        """Counted on the scheduler itself: some take a step in two halves, and each half is told.

        With a `strength` it is the part of the way that is gone from a picture, and the base goes it alone.
        """
        scheduler = self._scheduler(recipe)
        steps, gone = (recipe.steps, 0) if strength is None else gone_over(recipe.steps, strength)
        try:
            scheduler.set_timesteps(steps)
        except ValueError as error:
            scheduler, why = recipe.scheduler.name, first_line(error)
            told = say("pictures.not_so_many_steps", scheduler=scheduler, n=steps, why=why)
            raise RenderFailed(told) from error
        times = scheduler.timesteps
        if strength is not None:
            return Plan(len(times[(steps - gone) * scheduler.order :]))
        if self.refiner is None:
            return Plan(len(times))
        trained = scheduler.config.num_train_timesteps
        cut = round(trained - HANDOVER * trained)
        first, rest = int((times >= cut).sum()), int((times < cut).sum())
        if scheduler.order == 2 and rest % 2 == 0:
            rest += 1  # the refiner begins with a whole step
        return Plan(first, rest) if first and rest > scheduler.order - 1 else Plan(len(times))

    def denoise(
        self,
        recipe: Recipe,
        words: Words,
        refined: Words | None,
        size: tuple[int, int],
        seeds: Sequence[int],
        told: Told,
        begun: Begun | None = None,
    ) -> Tensor:
        """One forward pass for all these pictures. `size` is width and height; each has a seed of its own."""
        import torch

        shape = (len(seeds), recipe.guided, size, int(words.embeds.shape[1]))
        if not self._dressed:
            self._blocks.asked(shape, (recipe, words))
        self.ran_compiled = self._blocks.is_warm(shape)
        plan = self.plan(recipe, None if begun is None else begun.strength)
        # On the processor whatever the device: the same seed is the same noise everywhere, and in any company.
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        asked: dict[str, Any] = {
            "guidance_scale": recipe.guidance,
            "generator": generators,
            "output_type": "latent",
            "callback_on_step_end_tensor_inputs": ["latents"],
        }
        self.resting.rest()
        with self._computing(), self._blocks.running(shape):
            first = self._after(0, plan.total, told)
            if begun is not None:
                latents = self._from_pictures(recipe, begun, size, words.as_arguments() | asked, first)
            else:
                asked["num_inference_steps"] = recipe.steps
                latents = self._from_noise(recipe, plan, size, words.as_arguments() | asked, first)
            if begun is None and plan.refined and refined is not None:
                self.resting.rest()
                self.refiner.scheduler = self._scheduler(recipe)
                latents = self.refiner(
                    image=latents,
                    denoising_start=HANDOVER,
                    callback_on_step_end=self._after(plan.steps, plan.total, told),
                    **refined.as_arguments(),
                    **asked,
                ).images
            self.resting.rest()
        finished: Tensor = latents
        return finished

    def _from_noise(
        self, recipe: Recipe, plan: Plan, size: tuple[int, int], asked: dict[str, Any], after: Any
    ) -> Tensor:
        import torch

        width, height = size
        grain = self.pipe.vae_scale_factor
        shape = (self.pipe.unet.config.in_channels, height // grain, width // grain)
        noise = torch.stack([torch.randn(shape, generator=one) for one in asked["generator"]])
        self.pipe.scheduler = self._scheduler(recipe)
        latents: Tensor = self.pipe(
            latents=noise.to(self._device, self._dtype),
            width=width,
            height=height,
            callback_on_step_end=after,
            **asked,
            **({"denoising_end": HANDOVER} if plan.refined else {}),
        ).images
        return latents

    def _from_pictures(
        self, recipe: Recipe, begun: Begun, size: tuple[int, int], asked: dict[str, Any], after: Any
    ) -> Tensor:
        """The pipeline adds the noise, each picture's by its own generator."""
        import torch

        vae = self.pipe.vae
        pictures = [as_pixels(filled_up(image, size)).to(self._device, vae.dtype) for image in begun.images]
        start = torch.cat([read(vae, one) for one in pictures])
        self.resting.rest()
        if self._over is None:
            self._over = _from_pictures(self.pipe)
        self._over.scheduler = self._scheduler(recipe)
        steps, gone = gone_over(recipe.steps, begun.strength)
        latents: Tensor = self._over(
            image=start.to(self._dtype),
            num_inference_steps=steps,
            # It rounds down: in the middle between two steps nothing can go wrong.
            strength=min(1.0, (gone + 0.5) / steps),
            callback_on_step_end=after,
            **asked,
        ).images
        return latents

    def develop(self, latents: Tensor) -> Tensor:
        """The pixels of one picture's latents, from 0 to 1, rows of red, green and blue."""
        with self._computing():
            return developed(self.pipe.vae, latents[None].to(self._device, self.pipe.vae.dtype))

    def develop_wide(self) -> None:
        """From now on the VAE computes in 32 bit: it is the first to overflow in 16."""
        self.pipe.vae.float()

    def widen(self) -> bool:
        """From now on everything computes in numbers that do not overflow; False if it did already."""
        import torch

        self.develop_wide()
        if self._dtype is not torch.float16:
            return False
        self._dtype = torch.bfloat16
        for part in self._parts():
            part.to(torch.bfloat16)
        self.develop_wide()
        self.cool()
        return True

    @property
    def spares(self) -> bool:
        """The VAE works on a tile at a time."""
        return bool(self.pipe.vae.use_tiling)

    def spare(self) -> None:
        self.pipe.vae.enable_slicing()
        self.pipe.vae.enable_tiling()

    def offload(self) -> None:
        """From now on each part of the model is on the GPU only while it works."""
        self.cool()
        self.resting.begin()
        self.let_go()

    def warm(self) -> bool:
        """Compiles for the shape that was wanted most and is not compiled yet; False if there is nothing to do.

        It takes a while, and is for when nobody waits.
        """
        cold = self._blocks.coldest()
        if cold is None or self._dressed:
            return False
        shape, (recipe, words) = cold
        pictures, _, size, _ = shape
        self._blocks.warm(shape)
        self.denoise(replace(recipe, steps=1), words, None, size, [0] * pictures, lambda *_: None)
        return True

    def cool(self) -> bool:
        """From now on nothing runs compiled; False if nothing did."""
        return self._blocks.cool()

    def let_go(self) -> None:
        """Gives back memory that nobody uses."""
        import torch

        self.resting.rest()
        gc.collect()
        if self._device == "cuda":
            torch.cuda.empty_cache()
        elif self._device == "mps":
            torch.mps.empty_cache()

    def close(self) -> None:
        self.resting.end()
        self._over = None
        del self.pipe, self.refiner, self._blocks
        self.let_go()

    def _pipes(self) -> list[Any]:
        return [self.pipe] if self.refiner is None else [self.pipe, self.refiner]

    def _parts(self) -> list[Any]:
        """All that has weights, each once."""
        names = ("text_encoder", "text_encoder_2", "unet", "vae")
        parts = [getattr(pipe, name, None) for pipe in self._pipes() for name in names]
        return list({id(part): part for part in parts if part is not None}.values())

    @contextmanager
    def _computing(self) -> Iterator[None]:
        import torch

        # Weights that are moved in inference mode could not be changed outside it any more.
        with torch.no_grad() if self.resting else torch.inference_mode():
            yield

    def _scheduler(self, recipe: Recipe) -> Any:
        import diffusers

        kind = getattr(diffusers, recipe.scheduler.kind)
        return kind.from_config(self._scheduling, **recipe.scheduler.options)

    def _after(self, begun: int, total: int, told: Told) -> Callable[..., dict[str, Any]]:
        before: Tensor | None = None

        def after(pipe: Any, index: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            nonlocal before
            latents = tensors["latents"]
            at = partial(glimpse, pipe.scheduler, latents, before, self._colours)
            told(
                begun + index + 1,
                total,
                Looks({number: partial(at, number) for number in range(len(latents))}),
            )
            before = latents
            return {}

        return after


def out_of_memory(error: BaseException) -> bool:
    """Each device says it in its own way."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    words = str(error).casefold()
    return isinstance(error, RuntimeError) and any(mark in words for mark in _NO_MEMORY)


def first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    line = lines[0].strip().rstrip(":")
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _from_pictures(pipe: Any) -> Any:
    """The same model as one that begins from pictures: not a weight is held twice."""
    import diffusers

    if hasattr(pipe, "text_encoder_2"):
        name, others = "StableDiffusionXLImg2ImgPipeline", {"add_watermarker": False}
    else:
        name, others = "StableDiffusionImg2ImgPipeline", {"requires_safety_checker": False}
    over = getattr(diffusers, name)(**pipe.components, **others)
    over.set_progress_bar_config(disable=True)
    return over

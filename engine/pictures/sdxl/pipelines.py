"""Where diffusers runs: opens weights on a device, takes noise to latents step by step, and makes those pixels.

It is given embeddings, never text, and knows neither persons nor jobs. Nothing here asks the network.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import GreenroomError, RenderFailed
from engine.pictures import Preview
from engine.pictures.sdxl.finding import CALLED, Found
from engine.pictures.sdxl.recipes import HANDOVER, Recipe
from engine.pictures.sdxl.seeing import SD_COLOURS, SDXL_COLOURS, glimpse

if TYPE_CHECKING:
    from torch import Tensor

#: Told after each step: which, of how many, and how to have a look. Whatever it raises ends the pass.
Told = Callable[[int, int, Preview], None]


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

    def __init__(self, pipe: Any, refiner: Any, device: str, dtype: Any) -> None:
        self.pipe = pipe
        self.refiner = refiner
        self._device = device
        self._dtype = dtype
        #: As the model came: a scheduler made from another's settings would inherit what that was set to.
        self._scheduling = dict(pipe.scheduler.config)
        self._colours = SDXL_COLOURS if hasattr(pipe, "text_encoder_2") else SD_COLOURS

    @property
    def device(self) -> str:
        import torch

        return f"cuda ({torch.cuda.get_device_name()})" if self._device == "cuda" else self._device

    def plan(self, recipe: Recipe) -> Plan:
        """Counted on the scheduler itself: some take a step in two halves, and each half is told."""
        scheduler = self._scheduler(recipe)
        try:
            scheduler.set_timesteps(recipe.steps)
        except ValueError as error:
            raise RenderFailed(
                f"{recipe.scheduler.name} cannot go {recipe.steps} steps: {_first_line(error)} "
                "Ask for another number of steps, or set another scheduler."
            ) from error
        times = scheduler.timesteps
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
    ) -> Tensor:
        """One forward pass for all these pictures. `size` is width and height; each has a seed of its own."""
        import torch

        plan = self.plan(recipe)
        width, height = size
        # On the processor whatever the device: the same seed is the same noise everywhere, and in any company.
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        shape = (
            self.pipe.unet.config.in_channels,
            height // self.pipe.vae_scale_factor,
            width // self.pipe.vae_scale_factor,
        )
        noise = torch.stack([torch.randn(shape, generator=one) for one in generators])
        asked = {
            "num_inference_steps": recipe.steps,
            "guidance_scale": recipe.guidance,
            "generator": generators,
            "output_type": "latent",
            "callback_on_step_end_tensor_inputs": ["latents"],
        }
        handed_over = {"denoising_end": HANDOVER} if plan.refined else {}
        with torch.inference_mode():
            self.pipe.scheduler = self._scheduler(recipe)
            latents = self.pipe(
                latents=noise.to(self._device, self._dtype),
                width=width,
                height=height,
                callback_on_step_end=self._after(0, plan.total, told),
                **words.as_arguments(),
                **asked,
                **handed_over,
            ).images
            if plan.refined and refined is not None:
                self.refiner.scheduler = self._scheduler(recipe)
                latents = self.refiner(
                    image=latents,
                    denoising_start=HANDOVER,
                    callback_on_step_end=self._after(plan.steps, plan.total, told),
                    **refined.as_arguments(),
                    **asked,
                ).images
        finished: Tensor = latents
        return finished

    def develop(self, latents: Tensor) -> Tensor:
        """The pixels of one picture's latents, from 0 to 1, rows of red, green and blue."""
        import torch

        vae = self.pipe.vae
        settings = vae.config
        latents = latents[None].to(self._device, vae.dtype)
        mean, spread = getattr(settings, "latents_mean", None), getattr(settings, "latents_std", None)
        with torch.inference_mode():
            if mean is not None and spread is not None:
                middle, width = (torch.tensor(one).view(1, -1, 1, 1).to(latents) for one in (mean, spread))
                plain = latents * width / settings.scaling_factor + middle
            else:
                plain = latents / settings.scaling_factor
            pixels: Tensor = vae.decode(plain, return_dict=False)[0][0]
            return (pixels.float() / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).cpu()

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
        for pipe in self._pipes():
            pipe.to(torch.bfloat16)
        self.develop_wide()
        return True

    def spare(self) -> bool:
        """From now on the VAE works on a tile at a time; False if it did already."""
        vae = self.pipe.vae
        if vae.use_tiling:
            return False
        vae.enable_slicing()
        vae.enable_tiling()
        return True

    def let_go(self) -> None:
        """Gives back memory that nobody uses."""
        import torch

        gc.collect()
        if self._device == "cuda":
            torch.cuda.empty_cache()
        elif self._device == "mps":
            torch.mps.empty_cache()

    def _pipes(self) -> list[Any]:
        return [self.pipe] if self.refiner is None else [self.pipe, self.refiner]

    def _scheduler(self, recipe: Recipe) -> Any:
        import diffusers

        kind = getattr(diffusers, recipe.scheduler.kind)
        return kind.from_config(self._scheduling, **recipe.scheduler.options)

    def _after(self, begun: int, total: int, told: Told) -> Callable[..., dict[str, Any]]:
        before: Tensor | None = None

        def after(pipe: Any, index: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            nonlocal before
            latents = tensors["latents"]
            told(begun + index + 1, total, partial(glimpse, pipe.scheduler, latents, before, self._colours))
            before = latents
            return {}

        return after


def open_pipelines(found: Found, refiner: Found | None, device: str = "auto", bits: int = 0) -> Pipelines:
    """Loads the weights. `device` is `auto`, `cuda`, `mps` or `cpu`; the refiner shares what it has in common.

    `bits` are 16 or 32; 0: 16, but 32 on the processor.
    """
    import torch

    there = _device(device)
    dtype = torch.float16 if (bits or (32 if there == "cpu" else 16)) == 16 else torch.float32
    pipe = _opened(found, there, dtype, {})
    second = None
    if refiner is not None:
        shared = {part: getattr(pipe, part) for part in ("vae", "text_encoder_2", "tokenizer_2")}
        second = _opened(refiner, there, dtype, shared)
    if dtype is torch.float16 and getattr(pipe.vae.config, "force_upcast", True):
        pipe.vae.float()
    return Pipelines(pipe, second, there, dtype)


def out_of_memory(error: BaseException) -> bool:
    """Each device says it in its own way."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    words = str(error).casefold()
    return isinstance(error, RuntimeError) and ("out of memory" in words or "can't allocate memory" in words)


def _device(wanted: str) -> str:
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(device for device, is_there in there.items() if is_there)
    if not there.get(wanted, False):
        raise RenderFailed(f"There is no device “{wanted}” for pictures here. Set `device` to “auto”.")
    return wanted


def _opened(found: Found, device: str, dtype: Any, shared: dict[str, Any]) -> Any:
    import diffusers
    from diffusers.utils import logging as told_by_diffusers
    from transformers.utils import logging as told_by_transformers

    # Their bars are for a person who waits at a terminal; the log is not one.
    quiet: list[Any] = [told_by_diffusers, told_by_transformers]
    for library in quiet:
        library.disable_progress_bar()
    kinds = {"sdxl": "StableDiffusionXLPipeline", "refiner": "StableDiffusionXLImg2ImgPipeline"}
    kind = getattr(diffusers, kinds.get(found.kind, "StableDiffusionPipeline"))
    arguments: dict[str, Any] = {"dtype": dtype, "local_files_only": True} | shared
    if found.kind in kinds:
        arguments["add_watermarker"] = False
    else:
        arguments |= {"safety_checker": None, "requires_safety_checker": False}
    if found.single and found.config is None:
        raise RenderFailed(
            f"{found.path} is a single file, which holds no settings and no tokenizer. Put a diffusers folder of "
            f"{CALLED[found.kind]} beside it; it needs no weights in it."
        )
    try:
        if found.single:
            pipe = kind.from_single_file(str(found.path), config=str(found.config), **arguments)
        else:
            variant = _variant(found.path)
            pipe = kind.from_pretrained(str(found.path), use_safetensors=True, variant=variant, **arguments)
        pipe.to(device)
    except GreenroomError:
        raise
    except Exception as error:  # each of their libraries has errors of its own
        if out_of_memory(error):
            raise RenderFailed(
                f"{found.name} does not fit in memory. Stop what else uses it, or name a smaller model."
            ) from error
        raise RenderFailed(
            f"{found.name} cannot be loaded: {_first_line(error)} Fetch it again, or name another model."
        ) from error
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _variant(folder: Path) -> str | None:
    """Some folders hold the weights in 16 bit only, and call them so."""
    names = [one.name for one in (folder / "unet").glob("*.safetensors")]
    return "fp16" if names and all(".fp16." in name for name in names) else None


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    line = lines[0].strip().rstrip(":")
    return line if line.endswith((".", "!", "?")) else f"{line}."

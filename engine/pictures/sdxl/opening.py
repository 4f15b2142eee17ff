"""Weights from the disk: which device there is, and a model opened on it.

Nothing here asks the network. What is made with a model it does not know.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.errors import BadRequest, GreenroomError, RenderFailed
from engine.locales import say
from engine.pictures.sdxl import unpickling
from engine.pictures.sdxl.finding import CALLED, Found, pickles_of
from engine.pictures.sdxl.pipelines import Pipelines, first_line, out_of_memory
from engine.pictures.sdxl.sparing import share_of
from engine.pictures.sdxl.tuning import Tuning, tune, tuning_for


def device_for(wanted: str) -> str:
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(device for device, is_there in there.items() if is_there)
    if not there.get(wanted, False):
        raise RenderFailed(say("pictures.no_device", device=wanted))
    return wanted


def open_pipelines(
    found: Found,
    refiner: Found | None,
    device: str = "auto",
    bits: int = 0,
    tuning: Tuning | None = None,
    *,
    offload: bool = False,
) -> Pipelines:
    """Loads the weights. `device` is `auto`, `cuda`, `mps` or `cpu`; the refiner shares what it has in common.

    `bits` are 16 or 32; 0: 16, but 32 on the processor. `tuning`: None is what suits the device. With
    `offload`, parts go to the GPU only to work there.
    """
    import torch

    there = device_for(device)
    dtype = torch.float16 if (bits or (32 if there == "cpu" else 16)) == 16 else torch.float32
    rests = "cpu" if offload else there
    tuning = tuning_for(there) if tuning is None else tuning
    pipe = _opened(found, rests, dtype, {})
    second = None
    if refiner is not None:
        shared = {part: getattr(pipe, part) for part in ("vae", "text_encoder_2", "tokenizer_2")}
        second = _opened(refiner, rests, dtype, shared)
    if dtype is torch.float16 and getattr(pipe.vae.config, "force_upcast", True):
        pipe.vae.float()
    pipelines = Pipelines(pipe, second, there, dtype, tuning)
    for one in (pipe, second):
        if one is not None:
            tune(one, tuning)
    if offload:
        pipelines.offload()
    return pipelines


def bound_threads(count: int) -> None:
    """Of the processor torch takes so many threads: with all of them, a busy core holds up every step."""
    import torch

    torch.set_num_threads(count)


def _opened(found: Found, device: str, dtype: Any, shared: dict[str, Any]) -> Any:
    """The pipeline of that model. Where it does not fit in memory, the libraries' own error says so."""
    import diffusers
    from diffusers.utils import logging as told_by_diffusers
    from transformers.utils import logging as told_by_transformers

    # Their bars are for a person who waits at a terminal; the log is not one.
    quiet: list[Any] = [told_by_diffusers, told_by_transformers]
    for library in quiet:
        library.disable_progress_bar()
        # What they would like to have installed besides is no concern of whoever waits for a picture.
        library.set_verbosity_error()
    kinds = {"sdxl": "StableDiffusionXLPipeline", "refiner": "StableDiffusionXLImg2ImgPipeline"}
    kind = getattr(diffusers, kinds.get(found.kind, "StableDiffusionPipeline"))
    arguments: dict[str, Any] = {"dtype": dtype, "local_files_only": True} | shared
    if found.kind in kinds:
        arguments["add_watermarker"] = False
    else:
        arguments |= {"safety_checker": None, "requires_safety_checker": False}
    if found.single and found.config is None:
        file, model = str(found.path), CALLED[found.kind]
        raise RenderFailed(say("pictures.lacks_settings", file=file, kind=model))
    for pickle in pickles_of(found):
        # Whoever opens it next runs nothing either, as it is; this here is ours, and stays so.
        try:
            unpickling.check(pickle)
        except BadRequest as error:
            raise RenderFailed(error.args[0]) from error
    try:
        if found.single:
            pipe = kind.from_single_file(str(found.path), config=str(found.config), **arguments)
        else:
            variant = _variant(found.path)
            safe = None if found.pickled else True
            pipe = kind.from_pretrained(str(found.path), use_safetensors=safe, variant=variant, **arguments)
        pipe.to(device)
    except GreenroomError:
        raise
    except Exception as error:  # each of their libraries has errors of its own
        if out_of_memory(error):
            raise
        raise RenderFailed(say("pictures.not_loaded", model=found.name, why=first_line(error))) from error
    pipe.set_progress_bar_config(disable=True)
    return pipe


def bound_memory(vram: float) -> None:
    """From now on torch takes no more of the GPU than so many GiB, whatever is free there."""
    import torch

    card = torch.cuda.get_device_properties(torch.cuda.current_device())
    torch.cuda.set_per_process_memory_fraction(share_of(vram, card.total_memory))


def _variant(folder: Path) -> str | None:
    """Some folders hold the weights in 16 bit only, and call them so."""
    names = [one.name for one in (folder / "unet").glob("*.safetensors")]
    return "fp16" if names and all(".fp16." in name for name in names) else None

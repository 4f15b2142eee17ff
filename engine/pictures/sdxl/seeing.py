"""What is to be seen: a quick look at latents in the making, the pixels and the image of finished ones, and what is
wrong with it; and the way back, from a picture to latents.

It is arithmetic on tensors. Of a model it is given the VAE, and where that is it does not ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

#: What each number of a latent adds to red, green and blue, and where these begin.
Colours: TypeAlias = tuple[tuple[tuple[float, float, float], ...], tuple[float, float, float]]

#: A latent stands for a square of so many pixels.
GRAIN = 8
#: The longer side of a look, in pixels.
GLIMPSE = 384
#: Below this likeness of neighbours it is noise: that of pure noise is 0, give or take a hundredth.
LEAST_LIKENESS = 0.1
#: The flaw of a picture that never left its beginning.
NOISE = "nothing but noise"
#: Of so few in a row nothing can be told.
FEWEST = 32
#: All pixels this close to each other are one colour, whatever it was to be.
LEAST_SPREAD = 1.5 / 255
# What the four numbers of a latent look like as red, green and blue, and what to add. Measured by others on many
# pictures; of SDXL's latents, and of those of the models before it.
SDXL_COLOURS: Colours = (
    (
        (0.3651, 0.4232, 0.4341),
        (-0.2533, -0.0042, 0.1068),
        (0.1076, 0.1111, -0.0362),
        (-0.3165, -0.2492, -0.2188),
    ),
    (0.1084, -0.0175, -0.0011),
)
SD_COLOURS: Colours = (
    (
        (0.3512, 0.2297, 0.3227),
        (0.3250, 0.4974, 0.2350),
        (-0.2829, 0.1762, 0.2721),
        (-0.2120, -0.2616, -0.7177),
    ),
    (0.0, 0.0, 0.0),
)


def glimpse(
    scheduler: Any, latents: Tensor, before: Tensor | None, colours: Colours, number: int = 0
) -> Image:
    """One of these pictures as it would become if all went straight on from here; `before` is a step ago."""
    import torch
    from PIL import Image

    with torch.inference_mode():
        factors, base = (torch.tensor(one) for one in colours)
        guess = _guess(scheduler, latents, before)[number].float().cpu()
        seen = torch.einsum("chw,cr->hwr", guess, factors) + base
        pixels = ((seen + 1) * 127.5).nan_to_num().clamp(0, 255).to(torch.uint8)
    image = Image.fromarray(pixels.numpy())
    scale = min(GRAIN, GLIMPSE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC)


def flaw(latents: Tensor, pixels: Tensor, least_likeness: float = LEAST_LIKENESS) -> str:
    """What makes this no picture: it is broken, of one colour, or nothing but noise. Empty: nothing does."""
    import torch

    if not bool(torch.isfinite(pixels).all()):
        return "broken numbers"
    if float(pixels.amax((0, 1)).sub(pixels.amin((0, 1))).max()) < LEAST_SPREAD:
        return "a single colour"
    return NOISE if likeness(latents) < least_likeness else ""


def likeness(latents: Tensor) -> float:
    """How alike neighbours are, from 0, strangers, to 1, the same; 1 as well where there are too few to tell.

    Asked of latents: a VAE makes even of noise something that is smooth from one pixel to the next.
    """
    if min(latents.shape[-2:]) < FEWEST:
        return 1.0
    wide = latents.float()
    wide = wide - wide.mean((-2, -1), keepdim=True)
    spread = float((wide * wide).mean())
    across = float((wide[..., 1:] * wide[..., :-1]).mean())
    down = float((wide[..., 1:, :] * wide[..., :-1, :]).mean())
    return (across + down) / 2 / spread if spread else 1.0


def developed(vae: Any, latents: Tensor) -> Tensor:
    """The pixels of one picture's latents, from 0 to 1, rows of red, green and blue, on the processor."""
    scaling, spread = _spread(vae, latents)
    plain = latents / scaling if spread is None else latents * spread[1] / scaling + spread[0]
    pixels: Tensor = vae.decode(plain, return_dict=False)[0][0]
    return (pixels.float() / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).cpu()


def read(vae: Any, pixels: Tensor) -> Tensor:
    """The latents of a picture: the likeliest of those that it may have, so that no chance is in it."""
    latents: Tensor = vae.encode(pixels).latent_dist.mode()
    scaling, spread = _spread(vae, latents)
    return latents * scaling if spread is None else (latents - spread[0]) * scaling / spread[1]


def _spread(vae: Any, latents: Tensor) -> tuple[float, tuple[Tensor, Tensor] | None]:
    """How what a VAE makes becomes what a UNet is shown, numbers around 0: by a factor, and for some models from
    where they lie and how far they are apart.
    """
    settings = vae.config
    mean, spread = getattr(settings, "latents_mean", None), getattr(settings, "latents_std", None)
    if mean is None or spread is None:
        return settings.scaling_factor, None
    middle, width = (latents.new_tensor(one).view(1, -1, 1, 1) for one in (mean, spread))
    return settings.scaling_factor, (middle, width)


def as_image(pixels: Tensor) -> Image:
    import torch
    from PIL import Image

    return Image.fromarray((pixels * 255).round().to(torch.uint8).numpy())


def as_pixels(image: Image) -> Tensor:
    """One picture as a VAE reads it: red, green and blue, from -1 to 1."""
    import torch

    rows = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return rows.view(1, image.height, image.width, 3).permute(0, 3, 1, 2).float() / 127.5 - 1


def _guess(scheduler: Any, latents: Tensor, before: Tensor | None) -> Tensor:
    """What the scheduler is heading for: what it says itself, or the line through the last two steps drawn on."""
    settings = scheduler.config
    said = getattr(scheduler, "model_outputs", None) or [None]
    foresees = str(settings.get("algorithm_type", "")).endswith("dpmsolver++") or settings.get("predict_x0")
    if foresees and said[-1] is not None:
        outcome: Tensor = said[-1]
        return outcome
    sigmas, index = getattr(scheduler, "sigmas", None), getattr(scheduler, "step_index", None)
    if sigmas is None or index is None or float(scheduler.init_noise_sigma) <= 1:
        return latents
    at = float(sigmas[min(index, len(sigmas) - 1)])
    was = float(sigmas[max(index - 1, 0)])
    if before is not None and was != at and "Ancestral" not in type(scheduler).__name__:
        drawn_on: Tensor = latents + (latents - before) * (at / (was - at))
        return drawn_on
    unscaled: Tensor = latents * (1 + at * at) ** -0.5
    return unscaled

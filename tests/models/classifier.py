"""Makes picture classifiers that transformers loads: whole and real, tiny, and of the opinion that a test needs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

#: The side of what it looks at, and of its patches.
SIDE, PATCH = 16, 8
#: How far apart the two sides of an opinion are, before they become likelihoods.
CERTAINTY = 12.0


def write_classifier(
    folder: Path,
    labels: Sequence[str] = ("normal", "nsfw"),
    *,
    says: str = "",
    apart: tuple[Image, Image] | None = None,
    **settings: Any,
) -> Path:
    """A vision transformer as transformers saves it.

    It calls every picture what it `says`; or, given two pictures to tell `apart`, what is rather like the first one
    by the first label, and what is rather like the second by the second.
    """
    import torch
    from transformers import ViTConfig

    untyped: Any = import_module("transformers")
    config = ViTConfig(
        **_shape(),
        image_size=SIDE,
        patch_size=PATCH,
        initializer_range=0.5,
        id2label=dict(enumerate(labels)),
        label2id={label: place for place, label in enumerate(labels)},
        **settings,
    )
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(0)
        model = untyped.ViTForImageClassification(config).eval()
        processor = untyped.ViTImageProcessorPil(size={"height": SIDE, "width": SIDE})
        head = model.classifier
        head.weight.zero_()
        head.bias.zero_()
        if says:
            head.bias[list(labels).index(says)] = CERTAINTY
        if apart is not None:
            pixels = processor(images=[one.convert("RGB") for one in apart], return_tensors="pt")
            first, second = model.vit(**pixels).last_hidden_state[:, 0]
            way = (second - first) * CERTAINTY / (second - first).square().sum()
            head.weight[1] = way
            head.bias[1] = -(way @ (first + second)) / 2
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def write_safety_checker(folder: Path, *, concern: float) -> Path:
    """The checker of the first Stable Diffusion, as diffusers saves it: from this likeness on it objects."""
    import torch
    from transformers import CLIPConfig

    untyped: Any = import_module("diffusers.pipelines.stable_diffusion.safety_checker")
    words = {"vocab_size": 10, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    config = CLIPConfig(
        vision_config=_shape() | {"image_size": SIDE, "patch_size": PATCH, "projection_dim": 4},
        text_config=_shape() | words | {"projection_dim": 4},
        projection_dim=4,
    )
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(0)
        model = untyped.StableDiffusionSafetyChecker(config)
        model.concept_embeds.normal_()
        model.special_care_embeds.normal_()
        model.concept_embeds_weights.fill_(concern)
        model.special_care_embeds_weights.fill_(0.2)
    model.save_pretrained(folder)
    return folder


def _shape() -> dict[str, Any]:
    return {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}


def cut_short(folder: Path) -> None:
    """As a download that broke off leaves it."""
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])

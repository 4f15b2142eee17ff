"""Makes diffusion models that diffusers loads: SDXL, its refiner and SD 1.5, whole and real, with random weights.

Nothing can be made out in their pictures. All parts are there, and each answers to words, seeds and steps.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

Kind = Literal["base", "refiner", "sd15"]
KINDS: tuple[Kind, ...] = ("base", "refiner", "sd15")

WORDS = """
the and with his her from this that woman man girl boy face eyes hair smile red coat blue green dress soft light
morning evening night window street city garden forest river mountain sea sky cloud rain snow fog mist sun moon
portrait photograph photo painting detailed sharp focus background standing sitting walking looking holding cup
coffee hat book cat dog fox horse old young long short dark bright warm cold gold silver wood stone water hand
"""
#: Bytes, bytes that end a word, pieces of the words above, and two tokens of its own.
VOCABULARY = 900
BEGIN, END = "<|startoftext|>", "<|endoftext|>"
#: Numbers for each token of an encoder, and for each number that SDXL is told of a picture's size.
WIDTH, SIZE_WIDTH = 32, 8


def write_sdxl(folder: Path, *, kind: Kind = "base", seed: int = 0) -> Path:
    """A model in diffusers' layout, for pictures of 64 by 64; the same seed, the same weights."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = {"base": _base, "refiner": _refiner, "sd15": _sd15}[kind]()
    pipeline.save_pretrained(folder)
    return folder


LoraStyle = Literal["kohya", "diffusers", "old", "peft", "plain"]
LORA_STYLES: tuple[LoraStyle, ...] = ("kohya", "diffusers", "old", "peft", "plain")
ADAPTED = {"unet": ("to_q", "to_k", "to_v", "to_out.0"), "text": ("q_proj", "k_proj", "v_proj", "out_proj")}


def write_lora(
    path: Path,
    *,
    kind: Kind = "base",
    style: LoraStyle = "kohya",
    parts: Sequence[str] = ("unet", "text_encoder", "text_encoder_2"),
    rank: int = 2,
    alpha: float | None = None,
    size: float = 0.5,
    seed: int = 0,
    metadata: dict[str, str] | None = None,
) -> Path:
    """A LoRA for such a model, its tensors called as one of the trainers calls them; what they hold depends on the
    seed alone. `alpha` is for kohya's style, the only one that keeps it with the tensors.
    """
    import torch
    from safetensors.torch import save_file

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = {"base": _base, "refiner": _refiner, "sd15": _sd15}[kind]()
    noise = torch.Generator().manual_seed(seed)
    tensors: dict[str, Any] = {}
    for part in parts:
        model = getattr(pipeline, part, None)
        if model is None:
            continue
        ends = ADAPTED["unet" if part == "unet" else "text"]
        for name, layer in sorted(model.named_modules()):
            if not name.endswith(ends):
                continue
            into, out = layer.weight.shape[1], layer.weight.shape[0]
            down, up = _called(kind, style, part, name)
            tensors[down] = torch.randn(rank, into, generator=noise)
            tensors[up] = torch.randn(out, rank, generator=noise) * size / rank
            if style == "kohya":
                tensors[down.replace("lora_down.weight", "alpha")] = torch.tensor(float(alpha or rank))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata={"format": "pt"} | (metadata or {}))
    return path


def _called(kind: Kind, style: LoraStyle, part: str, layer: str) -> tuple[str, str]:
    """What the halves of a pair are called in a file."""
    if part != "unet" and not layer.startswith("text_model."):
        layer = f"text_model.{layer}"  # as it was called when most of these files were made
    if style == "kohya":
        first = "lora_te1" if kind == "base" else "lora_te"
        begins = {"unet": "lora_unet", "text_encoder": first, "text_encoder_2": "lora_te2"}[part]
        if part == "unet" and kind == "base":
            layer = _as_its_makers(layer)
        stem = f"{begins}_{layer.replace('.', '_')}"
        return f"{stem}.lora_down.weight", f"{stem}.lora_up.weight"
    if style in ("peft", "plain"):
        stem = layer if style == "plain" else f"{part}.{layer}"
        return f"{stem}.lora_A.weight", f"{stem}.lora_B.weight"
    if style == "diffusers":
        stem = f"{part}.{layer}.{'lora' if part == 'unet' else 'lora_linear_layer'}"
        return f"{stem}.down.weight", f"{stem}.up.weight"
    head, _, end = layer.removesuffix(".0").rpartition(".")
    if part == "unet":
        head += ".processor"
    else:
        end = f"to_{end.removesuffix('_proj')}"
    return f"{part}.{head}.{end}_lora.down.weight", f"{part}.{head}.{end}_lora.up.weight"


def _as_its_makers(layer: str) -> str:
    """Kohya trains SDXL's UNet under the names that its makers gave it."""
    layer = layer.replace("mid_block.attentions.0.", "middle_block.1.")
    layer = re.sub(
        r"^down_blocks\.(\d)\.attentions\.(\d)\.",
        lambda found: f"input_blocks.{1 + 3 * int(found[1]) + int(found[2])}.1.",
        layer,
    )
    return re.sub(
        r"^up_blocks\.(\d)\.attentions\.(\d)\.",
        lambda found: f"output_blocks.{3 * int(found[1]) + int(found[2])}.1.",
        layer,
    )


def _base() -> Any:
    return _untyped("diffusers").StableDiffusionXLPipeline(
        vae=_vae(0.13025),
        text_encoder=_encoder(),
        text_encoder_2=_encoder_2(),
        tokenizer=_tokenizer(END),
        tokenizer_2=_tokenizer("!"),
        # Both encoders side by side, and six numbers: two sizes and where the picture was cropped.
        unet=_sdxl_unet(2 * WIDTH, 6),
        scheduler=_scheduler(),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )


def _refiner() -> Any:
    return _untyped("diffusers").StableDiffusionXLImg2ImgPipeline(
        vae=_vae(0.13025),
        text_encoder=None,
        text_encoder_2=_encoder_2(),
        tokenizer=None,
        tokenizer_2=_tokenizer("!"),
        # One size, where it was cropped, and how beautiful it is.
        unet=_sdxl_unet(WIDTH, 5),
        scheduler=_scheduler(),
        requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    )


def _sd15() -> Any:
    unet = _untyped("diffusers").UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16, 32),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=4,
        cross_attention_dim=WIDTH,
        layers_per_block=1,
        norm_num_groups=4,
    )
    return _untyped("diffusers").StableDiffusionPipeline(
        vae=_vae(0.18215),
        text_encoder=_encoder(),
        tokenizer=_tokenizer(END),
        unet=unet,
        scheduler=_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sdxl_unet(words: int, sizes: int) -> Any:
    return _untyped("diffusers").UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 2),
        attention_head_dim=(2, 4, 4),
        cross_attention_dim=words,
        layers_per_block=2,
        norm_num_groups=4,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=SIZE_WIDTH,
        projection_class_embeddings_input_dim=sizes * SIZE_WIDTH + WIDTH,
    )


def _vae(scaling: float) -> Any:
    return _untyped("diffusers").AutoencoderKL(
        block_out_channels=(4, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=64,
        scaling_factor=scaling,
    )


def _scheduler() -> Any:
    return _untyped("diffusers").EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        timestep_spacing="leading",
    )


def _encoder() -> CLIPTextModel:
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(CLIPTextConfig(**_shape(), hidden_act="quick_gelu"))


def _encoder_2() -> CLIPTextModelWithProjection:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    return CLIPTextModelWithProjection(CLIPTextConfig(**_shape(), hidden_act="gelu"))


def _shape() -> dict[str, Any]:
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "projection_dim": WIDTH,
        "max_position_embeddings": 77,
        # As the real ones have them: not the tokens' true numbers, and transformers knows.
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 1,
    }


def _tokenizer(padding: str) -> Any:
    written = _untyped("transformers.convert_slow_tokenizer").bytes_to_unicode()
    letters: list[str] = list(written.values())  # begins with "!", so that is token 0, as it should be
    tokens = dict.fromkeys([*letters, *(f"{letter}</w>" for letter in letters)])
    merges: list[tuple[str, str]] = []
    for left, right in _merges():
        if len(tokens) == VOCABULARY - 2:
            break
        if left + right not in tokens:
            tokens[left + right] = None
            merges.append((left, right))
    vocabulary = {token: number for number, token in enumerate([*tokens, BEGIN, END])}
    return _untyped("transformers").CLIPTokenizer(
        vocab=vocabulary, merges=merges, pad_token=padding, model_max_length=77
    )


def _merges() -> Iterator[tuple[str, str]]:
    """Which two pieces become one: the words letter by letter, then whatever letters follow each other."""
    for word in WORDS.split():
        piece = word[0]
        for letter in (*word[1:-1], f"{word[-1]}</w>"):
            yield piece, letter
            piece += letter
    yield from product(string.ascii_lowercase, string.ascii_lowercase)


def _untyped(module: str) -> Any:
    """Most of what is called here says nothing of its types."""
    return import_module(module)

"""SDXL at its full size with random weights, made where it is measured: it takes the time that a real one takes.

What it is measured with is `full_size`. Nothing can be made out in its pictures.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from tests.models.sdxl import write_sdxl


def full_unet() -> Any:
    """SDXL's base: 2.57 billion parameters."""
    return _diffusers().UNet2DConditionModel(
        sample_size=128,
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048,
        layers_per_block=2,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )


def full_vae() -> Any:
    return _diffusers().AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        layers_per_block=2,
        sample_size=1024,
        scaling_factor=0.13025,
        force_upcast=True,
    )


def full_encoders(device: str) -> tuple[Any, Any]:
    """CLIP-L and bigG, as SDXL has them."""
    torch, transformers = import_module("torch"), import_module("transformers")
    # As the real ones have it: not the tokens' true numbers, and transformers knows.
    tokens = {"vocab_size": 49_408, "max_position_embeddings": 77, "bos_token_id": 0, "eos_token_id": 2}
    small = transformers.CLIPTextConfig(
        **tokens,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        projection_dim=768,
        pad_token_id=1,
        hidden_act="quick_gelu",
    )
    large = transformers.CLIPTextConfig(
        **tokens,
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=32,
        num_attention_heads=20,
        projection_dim=1280,
        pad_token_id=1,
        hidden_act="gelu",
    )
    with torch.device(device):
        return (
            transformers.CLIPTextModel(small).eval(),
            transformers.CLIPTextModelWithProjection(large).eval(),
        )


def write_full_size(folder: Path, *, device: str = "cuda", seed: int = 0) -> Path:
    """The whole model in 16 bit, seven gigabytes, in diffusers' layout; it knows the tiny model's few tokens."""
    torch, diffusers = import_module("torch"), _diffusers()
    tokens = import_module("transformers").CLIPTokenizer
    tiny = write_sdxl(folder.with_name(f"{folder.name} tiny"))
    torch.manual_seed(seed)
    with torch.device(device):
        unet, vae = full_unet().half(), full_vae().half()
    first, second = (encoder.half() for encoder in full_encoders(device))
    pipeline = diffusers.StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=first,
        text_encoder_2=second,
        tokenizer=tokens.from_pretrained(tiny / "tokenizer"),
        tokenizer_2=tokens.from_pretrained(tiny / "tokenizer_2"),
        unet=unet,
        scheduler=diffusers.EulerDiscreteScheduler.from_pretrained(tiny / "scheduler"),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )
    pipeline.save_pretrained(folder)
    return folder


def _diffusers() -> Any:
    return import_module("diffusers")

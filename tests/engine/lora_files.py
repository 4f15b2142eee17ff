"""Files of LoRAs: headers that tell of tensors, settings that peft writes down, and a file that is cut short."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.models.sdxl import write_lora


def listed(path: Path, shapes: dict[str, list[int]], metadata: dict[str, str] | None = None) -> Path:
    """A file whose header tells of such tensors, with no more than that in it."""
    one = {"dtype": "F16", "data_offsets": [0, 2]}
    told: dict[str, Any] = {name: one | {"shape": shape} for name, shape in shapes.items()}
    head = json.dumps({"__metadata__": metadata or {}} | told).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(head).to_bytes(8, "little") + head + b"\0\0")
    return path


def pair(
    stem: str, width: int, rank: int = 16, down: str = "lora_down", up: str = "lora_up"
) -> dict[str, list[int]]:
    return {f"{stem}.{down}.weight": [rank, width], f"{stem}.{up}.weight": [320, rank]}


KOHYA = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
PEFT = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
ALIKE = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_k"


def cut(path: Path) -> None:
    path.write_bytes(write_lora(path).read_bytes()[:-1])


def settings(**told: Any) -> dict[str, str]:
    return {"lora_adapter_metadata": json.dumps({f"unet.{name}": value for name, value in told.items()})}

"""Published checkpoints with random weights, and reference networks that load them."""

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor

LAYOUTS = Path(__file__).parents[1] / "goldens" / "official_state_dicts.json"
BACKBONES = ("Googlenet", "Resnet50", "DINO")


@lru_cache
def layouts() -> dict[str, dict[str, tuple[list[int], str]]]:
    return json.loads(LAYOUTS.read_text(encoding="utf-8"))


def synthetic_state(backbone: str, layers: int = 2) -> dict[str, Tensor]:
    """Every key of a published layout with random values that keep activations in range."""
    generator = torch.Generator().manual_seed(BACKBONES.index(backbone))
    state = {}
    for key, (shape, dtype) in layouts()[backbone].items():
        if dtype == "int64":
            value = torch.tensor(7)
        elif key.endswith("running_var"):
            value = 0.5 + torch.rand(shape, generator=generator)
        elif len(shape) >= 2:
            scale = (2 / torch.tensor(shape[1:]).prod()) ** 0.5
            value = scale * torch.randn(shape, generator=generator)
        else:
            centre = 1.0 if key.endswith("weight") else 0.0
            value = centre + 0.1 * torch.randn(shape, generator=generator)
        if not any(f"gnn.gnn.{n}." in key for n in range(layers, 9)):
            state[key] = value
    return state


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _googlenet(state: dict[str, Tensor]) -> Callable[[Tensor], Tensor]:
    net = torchvision.models.GoogLeNet(aux_logits=False, init_weights=False)
    net.load_state_dict(state)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    pooled: list[Tensor] = []
    net.avgpool.register_forward_hook(lambda _, __, out: pooled.append(out.flatten(1)))

    def features(images: Tensor) -> Tensor:
        net.eval()(((images * std + mean) - 0.5) / 0.5)
        return pooled.pop()

    return features


def _resnet50(state: dict[str, Tensor]) -> Callable[[Tensor], Tensor]:
    net = torchvision.models.resnet50()
    net.load_state_dict(_below(state, "model."))
    maps: list[Tensor] = []
    net.layer4.register_forward_hook(lambda _, __, out: maps.append(out))

    def features(images: Tensor) -> Tensor:
        net.eval()(images)
        flat = maps.pop().flatten(2)
        return flat.mean(2) + flat.max(2).values

    return features


def _dino(state: dict[str, Tensor]) -> Callable[[Tensor], Tensor]:
    net = timm.create_model("vit_small_patch16_224", pretrained=False)
    head = {"head.weight": torch.zeros(1000, 384), "head.bias": torch.zeros(1000)}
    net.load_state_dict(state | head)
    return lambda images: net.eval().forward_features(images)[:, 0]


REFERENCES: dict[str, Any] = {"Googlenet": _googlenet, "Resnet50": _resnet50, "DINO": _dino}


def reference_embeddings(backbone: str, state: dict[str, Tensor], images: Tensor) -> Tensor:
    """Embeddings of the published model, computed with torchvision's and timm's networks."""
    parts = _below(state, "feature_extractor.")
    with torch.no_grad():
        features = REFERENCES[backbone](_below(parts, "backbone."))(images)
        scale = parts["fc.0.weight"] / (parts["fc.0.running_var"] + 1e-5).sqrt()
        normed = (features - parts["fc.0.running_mean"]) * scale + parts["fc.0.bias"]
        return normed @ parts["fc.1.weight"].T + parts["fc.1.bias"]

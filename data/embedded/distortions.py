"""Distort clean bitmaps: a random affine map, grey levels, a background texture and noise."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

IMAGE_SIZE = 36
ROTATION = np.deg2rad(10)
SCALE = (0.9, 1.1)
STRETCH = 0.1  # maximum change of the log width
SHEAR = 0.1
SHIFT = 0.04  # fraction of the canvas width
FOREGROUND = (0.6, 1.0)
BACKGROUND = (0.0, 0.3)
TEXTURE_GRID = 5
TEXTURE = (0.0, 0.15)
NOISE = (0.02, 0.1)

CHUNK = 1024  # images processed at a time, to bound memory


def distort(bitmaps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Distort each bitmap once.

    Args:
        bitmaps: `[N, H, W]` uint8, ink 255 on 0, H = W.
        rng: The only source of randomness.

    Returns:
        `[N, IMAGE_SIZE, IMAGE_SIZE]` uint8.
    """
    chunks = [bitmaps[i : i + CHUNK] for i in range(0, len(bitmaps), CHUNK)]
    return np.concatenate([_paint(_warp(chunk, rng), rng) for chunk in chunks])


def _warp(bitmaps: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Apply a random affine map: `[N, 1, IMAGE_SIZE, IMAGE_SIZE]` in [0, 1]."""
    n = len(bitmaps)
    angle = rng.uniform(-ROTATION, ROTATION, n)
    shear = rng.uniform(-SHEAR, SHEAR, n)
    height = rng.uniform(*SCALE, n)
    width = height * np.exp(rng.uniform(-STRETCH, STRETCH, n))
    # `affine_grid` expects the inverse map, from output to input, in coordinates -1 to 1.
    shift = rng.uniform(-2 * SHIFT, 2 * SHIFT, (n, 2))
    cos, sin = np.cos(angle), np.sin(angle)
    across = [cos / width, (shear * cos - sin) / width, shift[:, 0]]
    down = [sin / height, (shear * sin + cos) / height, shift[:, 1]]
    theta = torch.from_numpy(np.stack([np.stack(across, 1), np.stack(down, 1)], 1)).float()
    grid = F.affine_grid(theta, [n, 1, IMAGE_SIZE, IMAGE_SIZE], align_corners=False)
    ink = torch.from_numpy(bitmaps)[:, None].float() / 255
    return F.grid_sample(ink, grid, align_corners=False)


def _paint(ink: Tensor, rng: np.random.Generator) -> np.ndarray:
    """Add grey levels, background texture and noise: `[N, IMAGE_SIZE, IMAGE_SIZE]` uint8."""
    n, size = len(ink), IMAGE_SIZE
    foreground, background = (_tone(rng, span, n) for span in (FOREGROUND, BACKGROUND))
    coarse = torch.from_numpy(rng.uniform(-1, 1, (n, 1, TEXTURE_GRID, TEXTURE_GRID))).float()
    smooth = F.interpolate(coarse, (size, size), mode="bicubic", align_corners=False)
    grain = torch.from_numpy(rng.standard_normal((n, 1, size, size), dtype=np.float32))
    background = background + _tone(rng, TEXTURE, n) * smooth
    image = background + ink * (foreground - background) + _tone(rng, NOISE, n) * grain
    return (image.clamp(0, 1) * 255).round().to(torch.uint8).squeeze(1).numpy()


def _tone(rng: np.random.Generator, span: tuple[float, float], n: int) -> Tensor:
    return torch.from_numpy(rng.uniform(*span, (n, 1, 1, 1))).float()

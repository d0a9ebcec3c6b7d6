"""Files of weights: damaged ones are noticed."""

from pathlib import Path

import pytest
import torch

from gcahng.models.weights import read_torch


@pytest.mark.parametrize("where", [0.2, 0.5, 0.8])
def test_flipped_bytes_are_noticed(tmp_path: Path, where: float) -> None:
    path = tmp_path / "x.pt"
    torch.save({"weight": torch.randn(100, 100)}, path)
    assert read_torch(path)["weight"].shape == (100, 100)
    content = bytearray(path.read_bytes())
    start = int(where * len(content))
    content[start : start + 2000] = bytes(byte ^ 0xFF for byte in content[start : start + 2000])
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.pt' cannot be read as a checkpoint: it is damaged"):
        read_torch(path)

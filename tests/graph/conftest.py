import pytest
import torch

from gcahng.graph.dense import pairs


@pytest.fixture(params=[7, 256, None], ids=["chunks of 7", "one chunk", "compiled"])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Pairs worked on at a time, fewer than a small batch has and more; or what is compiled."""
    if request.param is None:
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    size: int = request.param or 256
    monkeypatch.setattr(pairs, "CPU_CHUNK", size)
    return size

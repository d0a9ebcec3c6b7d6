import pytest

from gcahng.graph.dense import pairs


@pytest.fixture(params=[7, 256], ids=["chunks of 7", "one chunk"])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Pairs worked on at a time, fewer than a small batch has and more."""
    monkeypatch.setattr(pairs, "CPU_CHUNK", request.param)
    return request.param

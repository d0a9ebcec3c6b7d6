from functools import partial

import pytest
import timm

from tests.experiments.setups import IMAGE_SIZE


@pytest.fixture(autouse=True)
def small_vit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let timm build ViTs for small images; everything but the positional embedding is the same."""
    monkeypatch.setattr(timm, "create_model", partial(timm.create_model, img_size=IMAGE_SIZE))

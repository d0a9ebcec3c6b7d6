import copy

import pytest
import torch
from torch import nn

from gcahng.models import Embedder, SmallConv


def small() -> SmallConv:
    return SmallConv(1, (4, 6), (2, 2))


def test_embeddings_are_the_linear_map_of_normalised_features() -> None:
    torch.manual_seed(0)
    embedder = Embedder(small(), 5).eval()
    images = torch.rand(3, 1, 16, 16)
    norm, linear = embedder.fc
    features = embedder.backbone(images) / (1 + norm.eps) ** 0.5
    torch.testing.assert_close(embedder(images), features @ linear.weight.T + linear.bias)


def test_normalize_gives_unit_length_in_the_same_direction() -> None:
    torch.manual_seed(0)
    plain = Embedder(small(), 5).eval()
    unit = Embedder(plain.backbone, 5, normalize=True).eval()
    unit.load_state_dict(plain.state_dict())
    images = torch.rand(3, 1, 16, 16)
    torch.testing.assert_close(unit(images).norm(dim=1), torch.ones(3))
    torch.testing.assert_close(unit(images) * plain(images).norm(dim=1)[:, None], plain(images))
    assert "normalize=True" in repr(unit)


def test_refuses_a_backbone_without_width_and_empty_embeddings() -> None:
    with pytest.raises(AttributeError, match="'Flatten' object has no attribute 'out_channels'"):
        Embedder(nn.Flatten(), 8)
    with pytest.raises(ValueError, match="'embedding_dim' as an integer of at least 1"):
        Embedder(small(), 0)


class PartlyFrozen(SmallConv):
    """Its first block is not trained."""

    def __init__(self) -> None:
        super().__init__(1, (4, 6), (2, 2))
        self.blocks[0].requires_grad_(False)


@pytest.mark.parametrize("freeze", [(), ("bn",), ("bn", "bn_affine"), ("backbone",)])
def test_what_a_backbone_froze_stays_frozen(freeze: tuple[str, ...]) -> None:
    embedder = copy.deepcopy(Embedder(PartlyFrozen(), 3, freeze=freeze))

    def trained() -> set[str]:
        named = embedder.backbone.named_parameters()
        return {name for name, value in named if value.requires_grad}

    second = {"blocks.1.0.weight", "blocks.1.1.weight", "blocks.1.1.bias"}
    kept = second - {"blocks.1.1.weight", "blocks.1.1.bias"} if "bn_affine" in freeze else second
    kept = set() if "backbone" in freeze else kept
    assert trained() == kept
    embedder.train_backbone(False)
    assert trained() == set()
    embedder.train_backbone(True)
    assert trained() == kept
    embedder.train_backbone(True, thaw=True)
    assert trained() == (kept if "backbone" in freeze else second)
    # For a warm start, also of a backbone that is frozen afterwards.
    embedder.thaw_backbone()
    assert trained() == second
    embedder.train_backbone(True)
    assert trained() == kept

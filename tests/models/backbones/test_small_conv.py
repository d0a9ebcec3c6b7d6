import pytest
import torch

from gcahng.models import SmallConv
from gcahng.models.backbones.small_conv import standardize


@pytest.mark.parametrize(("channels", "size"), [(1, 32), (3, 8)])
def test_shapes_and_finite_gradients(channels: int, size: int) -> None:
    torch.manual_seed(0)
    backbone = SmallConv(channels, channels=(4, 8, 6), strides=(2, 1, 1))
    features = backbone(torch.rand(5, channels, size, size))
    assert features.shape == (5, backbone.out_channels) == (5, 6)
    features.square().sum().backward()
    for parameter in backbone.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any()


def test_features_are_the_average_plus_the_maximum() -> None:
    backbone = SmallConv(1, (4,), (1,)).eval()
    images = torch.rand(2, 1, 9, 9)
    maps = backbone.blocks(standardize(images)).flatten(2)
    torch.testing.assert_close(backbone(images), maps.mean(2) + maps.max(2).values)


def test_standardised_images_have_mean_zero_and_deviation_one() -> None:
    images = torch.rand(4, 3, 16, 16) * 5 + 2
    flat = standardize(images).flatten(1)
    torch.testing.assert_close(flat.mean(dim=1), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(flat.std(dim=1, unbiased=False), torch.ones(4), atol=1e-4, rtol=0)
    assert standardize(torch.full((1, 1, 4, 4), 0.5)).abs().max() == 0


def test_refuses_unequal_lengths() -> None:
    with pytest.raises(ValueError, match=r"of equal length, at least 1 \(got 2 and 3\)"):
        SmallConv(channels=(4, 8), strides=(1, 1, 1))

"""A small convolutional network for small grey images, trained from scratch in seconds."""

from collections.abc import Sequence

from torch import Tensor, nn

from gcahng.arguments import AtLeast1

EPSILON = 1e-5


class SmallConv(nn.Module):
    """Image standardisation, 3x3 convolutions, and average plus maximum pooling.

    Args:
        in_channels: Number of image channels.
        channels: Output channels of each convolution.
        strides: Stride of each convolution.

    Shapes:
        `[N, in_channels, H, W]` to `[N, out_channels]`.

    Example:
        >>> import torch
        >>> backbone = SmallConv(channels=[8, 16], strides=[2, 2])
        >>> backbone(torch.rand(3, 1, 32, 32)).shape, backbone.out_channels
        (torch.Size([3, 16]), 16)
    """

    def __init__(
        self,
        in_channels: AtLeast1 = 1,
        channels: Sequence[AtLeast1] = (32, 64, 128, 128),
        strides: Sequence[AtLeast1] = (2, 2, 2, 1),
    ) -> None:
        super().__init__()
        if len(channels) != len(strides) or not channels:
            raise ValueError(
                f"Expected 'channels' and 'strides' of equal length, at least 1 (got "
                f"{len(channels)} and {len(strides)})."
            )
        inputs = (in_channels, *channels[:-1])
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(width, out, 3, stride, padding=1, bias=False),
                    nn.BatchNorm2d(out),
                    nn.ReLU(),
                )
                for width, out, stride in zip(inputs, channels, strides, strict=True)
            )
        )
        self.out_channels = channels[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Map images `[N, in_channels, H, W]` to features `[N, out_channels]`."""
        features = self.blocks(standardize(images))
        return features.mean(dim=(2, 3)) + features.amax(dim=(2, 3))


def standardize(images: Tensor) -> Tensor:
    """Scale each image of `[N, C, H, W]` to mean 0 and deviation 1; a constant image becomes 0."""
    centred = images - images.mean(dim=(1, 2, 3), keepdim=True)
    variance = centred.square().mean(dim=(1, 2, 3), keepdim=True)
    return centred * (variance + EPSILON).rsqrt()

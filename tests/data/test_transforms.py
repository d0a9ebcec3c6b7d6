import pytest
import torch

from data import TRANSFORMS, build_transform
from data.transforms import Jitter


def picture(size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (1, size, size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize(("name", "size", "out"), [("glyphs", 36, 32), ("digits", 8, 8)])
def test_shape_range_and_randomness(name: str, size: int, out: int) -> None:
    raw = picture(size)
    train, test = build_transform(name, train=True), build_transform(name, train=False)
    assert test(raw).shape == train(raw).shape == (1, out, out)
    assert test(raw).dtype == train(raw).dtype == torch.float32
    margin = (size - out) // 2
    centre = raw[:, margin : margin + out, margin : margin + out] / 255
    torch.testing.assert_close(test(raw), centre)
    torch.manual_seed(1)
    first = [train(raw) for _ in range(8)]
    torch.manual_seed(1)
    assert all(torch.equal(image, train(raw)) for image in first)
    assert not all(torch.equal(image, first[0]) for image in first)
    assert min(map(torch.min, first)) > -0.2
    assert max(map(torch.max, first)) < 1.2


def test_digits_move_by_one_pixel_at_most() -> None:
    raw = torch.zeros(1, 8, 8, dtype=torch.uint8)
    raw[0, 3, 4] = 255
    train = build_transform("digits", train=True)
    spots = {tuple(train(raw).nonzero()[0].tolist()) for _ in range(200)}
    assert spots == {(0, row, column) for row in (2, 3, 4) for column in (3, 4, 5)}


def test_jitter_stays_within_its_strengths() -> None:
    image = torch.rand(1, 6, 6)
    outputs = torch.stack([Jitter(0.1, 0.05)(image) for _ in range(200)])
    shifts = outputs.mean(dim=(1, 2, 3)) - image.mean()
    gains = outputs.std(dim=(1, 2, 3)) / image.std()
    assert 0.04 < shifts.abs().max() < 0.0501
    assert 0.08 < (gains - 1).abs().max() < 0.1001
    torch.testing.assert_close(Jitter(0.0, 0.0)(image), image)


def test_unknown_names_and_arguments_list_the_choices() -> None:
    with pytest.raises(ValueError, match=r"Unknown transform 'x': choose one of digits, glyphs\."):
        build_transform("x", train=True)
    with pytest.raises(ValueError, match=r"'colour'; it takes train, size, contrast, brightness"):
        build_transform("glyphs", train=True, colour=1)
    assert set(TRANSFORMS) == {"digits", "glyphs"}

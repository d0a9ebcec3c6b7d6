import base64
import io
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from gcahng.evaluation.evaluate import Nearest
from gcahng.reports.gallery import picture, retrieval_gallery


def case(images, labels=(0, 0, 1, 1, 0, 1), names=("a", "b")):
    """Six images, of which the first neighbours of 1, 3 and 5 are wrong."""
    indices = torch.tensor([[1, 2], [2, 0], [3, 5], [0, 2], [1, 0], [4, 1]])
    found = Nearest(torch.arange(6), torch.linspace(0.9, 0.3, 12).view(6, 2), indices)
    load = images.__getitem__
    return SimpleNamespace(load=load, labels=torch.tensor(labels), classes=names), found


def test_gallery_marks_right_and_wrong_and_mixes_queries():
    images = [Image.new("RGB", (40, 30), (10 * i, 0, 0)) for i in range(6)]
    rows = retrieval_gallery(*case(images), count=4)
    # Two of the queries that fail at the first neighbour are shown, and two of the others.
    assert sorted(row[1].kind for row in rows) == ["right", "right", "wrong", "wrong"]
    shown = [(entry.kind, entry.name, entry.caption) for entry in rows[0]]
    assert shown == [("query", "a", "query"), ("right", "a", "✓ 0.900"), ("wrong", "b", "✗ 0.845")]
    query, neighbour, _ = retrieval_gallery(*case(images))[3]
    for entry, row in ((query, 3), (neighbour, 0)):
        content = base64.b64decode(entry.source.removeprefix("data:image/png;base64,"))
        with Image.open(io.BytesIO(content)) as image:
            assert image.getpixel((0, 0)) == (10 * row, 0, 0)


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (5, 5), (100, 6)])
def test_gallery_fills_up_with_what_there_is(count, rows):
    images = torch.rand(6, 3, 8, 8)
    assert len(retrieval_gallery(*case(images), count=count)) == rows
    found = retrieval_gallery(*case(images, labels=[0] * 6), count=count)
    assert len(found) == rows
    assert {entry.kind for row in found for entry in row} == {"query", "right"}


@pytest.mark.parametrize(
    ("image", "mode", "size"),
    [
        (torch.rand(1, 8, 8), "L", (96, 96)),
        (torch.rand(3, 28, 28), "RGB", (112, 112)),
        (torch.randint(256, (3, 224, 224), dtype=torch.uint8), "RGB", (160, 160)),
        (Image.new("RGBA", (300, 150)), "RGB", (160, 80)),
        (Image.new("1", (120, 120)), "L", (120, 120)),
    ],
)
def test_pictures_of_every_kind(image, mode, size):
    shown = picture(image)
    assert (shown.mode, shown.size) == (mode, size)
    shown.save(io.BytesIO(), format="PNG")


def test_picture_keeps_values_and_enlarges_without_blur():
    image = torch.tensor([[[0.0, 1.0], [0.5, 0.25]]])
    shown = picture(image)
    assert [shown.getpixel(p) for p in ((0, 0), (95, 0), (0, 95), (95, 95))] == [0, 255, 128, 64]
    assert sorted(value for _, value in shown.getcolors()) == [0, 64, 128, 255]

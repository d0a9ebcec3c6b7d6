import base64
import io
import math

import pytest
import torch
from PIL import Image

from gcahng.reports.gallery import picture, retrieval_gallery


def gallery_case():
    labels = torch.tensor([0, 0, 1, 1, 0, 1])
    indices = torch.tensor([[1, 2], [2, 0], [3, 5], [0, 2], [1, 0], [4, 1]])
    similarities = torch.linspace(0.9, 0.3, 12).view(6, 2)
    return labels, similarities, indices, torch.arange(6)


def test_gallery_marks_right_and_wrong_and_mixes_queries():
    labels, similarities, indices, queries = gallery_case()
    images = [Image.new("RGB", (40, 30), (10 * i, 0, 0)) for i in range(6)]
    rows = retrieval_gallery(images, labels, {0: "wren"}, similarities, indices, queries, count=4)
    assert len(rows) == 4
    # Queries 1, 3 and 5 fail at the first neighbour; two of them are shown, and two of the others.
    assert sorted(row[1].kind for row in rows) == ["right", "right", "wrong", "wrong"]
    shown = [(entry.kind, entry.name, entry.caption) for entry in rows[0]]
    assert shown == [
        ("query", "wren", "query"),
        ("right", "wren", "✓ 0.900"),
        ("wrong", "class 1", "✗ 0.845"),
    ]
    for row in rows:
        assert [entry.kind for entry in row[:1]] == ["query"]
        assert all((entry.kind == "right") == entry.caption.startswith("✓") for entry in row[1:])


def test_gallery_embeds_its_images():
    labels, similarities, indices, queries = gallery_case()
    images = [Image.new("RGB", (40, 30), (10 * i, 0, 0)) for i in range(6)]
    query, neighbour, _ = retrieval_gallery(
        images, labels, ["a", "b"], similarities, indices, queries
    )[3]
    for entry, row in ((query, 3), (neighbour, 0)):
        content = base64.b64decode(entry.source.removeprefix("data:image/png;base64,"))
        with Image.open(io.BytesIO(content)) as image:
            assert image.getpixel((0, 0)) == (10 * row, 0, 0)


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (5, 5), (100, 6)])
def test_gallery_fills_up_with_what_there_is(count, rows):
    labels, similarities, indices, queries = gallery_case()
    images = torch.rand(6, 3, 8, 8)
    found = retrieval_gallery(
        images, labels, ["a", "b"], similarities, indices, queries, count=count
    )
    assert len(found) == rows
    labels = torch.zeros(6, dtype=torch.int64)
    found = retrieval_gallery(
        images, labels, ["a", "b"], similarities, indices, queries, count=count
    )
    assert len(found) == rows
    assert {entry.kind for row in found for entry in row} == {"query", "right"}


@pytest.mark.parametrize(
    ("image", "mode", "size"),
    [
        (torch.rand(1, 8, 8), "L", (96, 96)),
        (torch.rand(3, 28, 28), "RGB", (112, 112)),
        (torch.randint(256, (3, 224, 224), dtype=torch.uint8), "RGB", (160, 160)),
        (torch.full((3, 96, 96), math.nan), "RGB", (96, 96)),
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
    normalised = picture(image * 4 - 2)
    assert [normalised.getpixel(p) for p in ((0, 0), (95, 0))] == [0, 255]

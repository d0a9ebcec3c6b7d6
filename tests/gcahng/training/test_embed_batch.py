"""Batches embedded in chunks: the same step in less memory."""

from copy import deepcopy
from itertools import pairwise, product

import pytest
import torch
from torch import Tensor, nn

from gcahng.models.embedder import Embedder
from gcahng.processes import bounds
from gcahng.training.embed_batch import _number_of_chunks, chunk_note, embed_batch
from tests.gcahng.training import steps
from tests.graph.oracle import assert_near


class Backbone(nn.Sequential):
    """Two linear maps without biases, whose gradient a BatchNorm after them would make zero."""

    def __init__(self, *between: nn.Module) -> None:
        super().__init__(
            nn.Linear(steps.INPUTS, 7, bias=False), *between, nn.Tanh(), nn.Linear(7, 6, bias=False)
        )
        self.out_channels = 6


def embedder(*between: nn.Module) -> Embedder:
    torch.manual_seed(0)
    return Embedder(Backbone(*between), steps.CHANNELS).double()


@pytest.mark.parametrize("chunk", [1, 4, 5, 6, 100])
def test_three_steps_in_chunks_are_those_of_the_whole_batch(chunk: int) -> None:
    trained = []
    for size in (None, chunk):
        net, made = embedder(), steps.generator()
        step = steps.make(net, made, chunk=size)
        for number in range(3):
            losses = step(*steps.batch(number))
        trained.append((net, made, losses))
    (net, made, losses), (chunked, chunked_made, chunked_losses) = trained
    steps.assert_same_state(chunked, net, 1e-12)
    steps.assert_same_state(chunked_made, made, 1e-11)
    for name, value in losses.items():
        assert_near(name, chunked_losses[name].double(), value.double(), 1e-12)


def test_dropout_agrees_in_both_passes_and_goes_on_as_in_the_first() -> None:
    seen: list[Tensor] = []
    net = embedder(nn.Dropout(0.5))
    net.backbone.register_forward_hook(lambda module, args, output: seen.append(output.detach()))
    images, _, _ = steps.batch()
    torch.manual_seed(3)
    embeddings, backward_rest = embed_batch(net, images, len(images), chunk=2)
    embeddings.sum().backward()
    torch.manual_seed(8)
    backward_rest()
    assert len(seen) == 6
    assert all(torch.equal(first, again) for first, again in zip(seen[:3], seen[3:], strict=True))
    torch.manual_seed(8)
    undisturbed = torch.rand(1)
    torch.manual_seed(8)
    backward_rest()
    assert torch.equal(torch.rand(1), undisturbed)


def test_running_statistics_are_updated_once_per_chunk() -> None:
    net = embedder(nn.BatchNorm1d(7))
    images, _, _ = steps.batch()
    expected = deepcopy(net)
    for part in images.tensor_split(2):
        expected.backbone(part)
    embeddings, backward_rest = embed_batch(net, images, len(images), chunk=3)
    embeddings.sum().backward()
    backward_rest()
    steps.assert_same_state(net.backbone, expected.backbone, 1e-12)
    assert int(net.backbone[1].num_batches_tracked) == 2


def test_a_frozen_backbone_runs_once() -> None:
    net, calls = embedder(nn.BatchNorm1d(7)), []
    net.train_backbone(False)
    net.backbone.register_forward_hook(lambda *_: calls.append(1))
    images, _, _ = steps.batch()
    embeddings, backward_rest = embed_batch(net, images, len(images), chunk=3)
    embeddings.sum().backward()
    assert backward_rest is None
    assert len(calls) == int(net.backbone[1].num_batches_tracked) == 2
    assert net.fc[1].weight.grad is not None


def test_trained_statistics_of_chunks_are_mentioned() -> None:
    assert chunk_note(embedder(nn.BatchNorm1d(7)), None) is None
    assert chunk_note(embedder(), 3) is None
    assert "at most 3 images" in str(chunk_note(embedder(nn.BatchNorm1d(7)).eval(), 3))


def test_every_chunk_of_every_process_has_images() -> None:
    for total, processes, chunk in product(range(2, 20), range(1, 6), range(1, 8)):
        if processes > total:
            continue
        count, edges = _number_of_chunks(total, chunk, processes), bounds(total, processes)
        for first, last in pairwise(edges):
            sizes = [len(part) for part in torch.arange(first, last).tensor_split(count)]
            assert min(sizes) > 0
            uneven = total % processes > 0
            assert max(sizes) <= (2 if chunk == 1 and uneven else chunk)

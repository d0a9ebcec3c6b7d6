"""The residual head: it starts at the similarity of the features, as close as it can."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gcahng.models import Embedder, ResidualHead
from tests.models.test_embedder import small


def features(count: int = 40, width: int = 9) -> Tensor:
    torch.manual_seed(0)
    return torch.rand(count, width) * torch.arange(1, width + 1) + 3


def fitted(dim: int, rows: Tensor) -> ResidualHead:
    head = ResidualHead(rows.size(1), dim)
    head.fit(rows)
    return head


def test_it_starts_at_the_best_products_of_this_rank() -> None:
    rows = features()
    directions = F.normalize(rows.double())
    products = directions @ directions.T
    errors = []
    for dim in (1, 3, 9):
        with torch.no_grad():
            start = fitted(dim, rows)(rows).double()
        errors.append(float((start @ start.T - products).norm()))
        # Of all matrices of this rank, none is closer than the singular values that are left out.
        left_out = torch.linalg.svdvals(products)[dim:]
        assert errors[-1] == pytest.approx(float(left_out.norm()), abs=1e-5)
    assert errors[0] > errors[1] > errors[2]


def test_the_trained_part_takes_centred_directions_of_one_scale() -> None:
    rows = features()
    head = fitted(4, rows)
    directions = F.normalize(rows)
    torch.testing.assert_close(head.mean, directions.mean(0))
    inputs = (directions - head.mean) / head.scale
    assert float(inputs.square().mean()) == pytest.approx(1, rel=1e-5)
    before = head(rows)
    torch.nn.init.normal_(head.linear.weight)
    torch.testing.assert_close(head(rows) - before, inputs @ head.linear.weight.T)


def test_a_checkpoint_holds_what_was_fitted() -> None:
    embedder = Embedder(small(), 3, head="residual")
    images = torch.rand(8, 1, 16, 16)
    embedder.fc.fit(embedder.backbone(images).detach())
    again = Embedder(small(), 3, head="residual")
    again.load_state_dict(embedder.state_dict())
    assert torch.equal(again.eval()(images), embedder.eval()(images))
    trained = [name for name, value in embedder.fc.named_parameters() if value.requires_grad]
    assert trained == ["linear.weight", "linear.bias"]


def test_mistakes() -> None:
    with pytest.raises(ValueError, match=r"dim' of at most 6, the width .* \(got 7\)"):
        Embedder(small(), 7, head="residual")
    with pytest.raises(ValueError, match=r"'head' as linear, none, .* \(got 'deep'\)"):
        Embedder(small(), 3, head="deep")
    with pytest.raises(ValueError, match=r"'embedding_dim' as 6, .* \(got 3\)"):
        Embedder(small(), 3, head="none")
    with pytest.raises(ValueError, match="are not all finite"):
        ResidualHead(2, 1).fit(torch.tensor([[1.0, torch.nan]]))


def test_a_frozen_backbone_stays_frozen() -> None:
    embedder = Embedder(small(), 3, freeze=["backbone"])
    for trains, thaw in ((True, False), (True, True), (False, True)):
        embedder.train()
        embedder.train_backbone(trains, thaw)
        assert not embedder.backbone.training
        assert embedder.fc.training
        assert not any(p.requires_grad for p in embedder.backbone.parameters())
        assert all(p.requires_grad for p in embedder.fc.parameters())

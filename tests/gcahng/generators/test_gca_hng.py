import pytest
import torch
from torch import Tensor

from gcahng import HardNegativeGenerator
from gcahng.generators import HardNegatives
from gcahng.losses import linear_cross_entropy
from tests.gcahng import oracle
from tests.gcahng.flat import grouped
from tests.graph.oracle import assert_near

SAMPLES, SAMPLED, CHANNELS, CLASSES = 3, 3, 8, 6
LABELS = torch.tensor([4, 0, 2]).repeat(SAMPLES)
both_paths = pytest.mark.parametrize("path", ["dense", "sparse"])


def make(metric: float = 3.0, generated: float = 15.0, **args: object) -> HardNegativeGenerator:
    """A generator whose running means are set, so that every term counts."""
    torch.manual_seed(0)
    args = {"heads": 2, "layers": 1, "edge_dropout": "off", **args}
    generator = HardNegativeGenerator(CHANNELS, CLASSES, **grouped(args)).double()
    generator.hardness.metric.fill_(metric)
    generator.hardness.generator.fill_(generated)
    return generator


def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    size = SAMPLES * SAMPLED
    z = torch.randn(size, CHANNELS, dtype=torch.float64, requires_grad=True)
    return z, torch.rand(SAMPLES, SAMPLES - 1, dtype=torch.float64)


def _gradients(loss: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """Gradients, zeros where there is none."""
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, found, strict=True)]


def _trainable(generator: HardNegativeGenerator) -> list[Tensor]:
    return [p for p in generator.graph.parameters() if p.requires_grad]


@both_paths
def test_forward_equals_the_loop(path: str) -> None:
    generator, (z, draws) = make(path=path), batch()
    leaves = [z, *_trainable(generator)]
    out = generator(z, LABELS, draws=draws)
    gradients = _gradients(out.total, leaves)
    expected = oracle.added_to_metric(generator, z, LABELS, draws)
    assert out.losses.keys() == expected.keys()
    for name, value in expected.items():
        assert_near(name, out.losses[name], value, 1e-12)
    for ours, loops in zip(gradients, _gradients(sum(expected.values()), leaves), strict=True):
        assert_near("gradient", ours, loops)


@both_paths
@pytest.mark.parametrize("published", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
def test_generator_losses_equal_the_loop(path: str, published: bool, normalize: bool) -> None:
    quirks = {"similarity_mask": published, "same_class_negatives": published}
    generator, (z, draws) = make(path=path, gamma=3.0, normalize=normalize, **quirks), batch()
    out = generator.generator_losses(z, LABELS, draws=draws)
    gradients = _gradients(out.total, _trainable(generator))
    expected = oracle.generator_loss(generator, z, LABELS, draws)
    assert_near("total", out.total, expected, 1e-12)
    for ours, loops in zip(gradients, _gradients(expected, _trainable(generator)), strict=True):
        assert_near("gradient", ours, loops)


def test_classifier_loss_equals_the_loop_and_trains_the_classifier_only() -> None:
    generator, (z, _) = make(), batch()
    loss = generator.classifier_loss(z, LABELS)
    assert_near("loss", loss, oracle.classifier_loss(generator.classifier, z, LABELS), 1e-13)
    loss.backward()
    assert z.grad is None
    assert [n for n, p in generator.named_parameters() if p.grad is not None] == [
        "classifier.weight",
        "classifier.bias",
    ]


def _by_class(out: HardNegatives) -> dict[tuple[int, int, int], Tensor]:
    """Negatives by anchor slot, anchor class and negative class."""
    classes = out.layout.classes.tolist()
    return {
        (p, a, b): out.negatives[p, i, j]
        for p in range(SAMPLES)
        for i, a in enumerate(classes)
        for j, b in enumerate(classes)
    }


@both_paths
@pytest.mark.parametrize("order", [[0, 3, 6, 1, 4, 7, 2, 5, 8], [2, 1, 5, 0, 4, 3, 8, 6, 7]])
@pytest.mark.parametrize("call", ["forward", "generator_losses"])
def test_shuffled_batch_gives_the_same_negatives(path: str, order: list[int], call: str) -> None:
    # Both orders keep that of the samples within each class, and so the slots.
    generator, (z, draws) = make(path=path), batch()
    expected = getattr(generator, call)(z, LABELS, draws=draws)
    shuffled = getattr(generator, call)(z[order], LABELS[order], draws=draws)
    for key, negative in _by_class(expected).items():
        assert_near(str(key), _by_class(shuffled)[key], negative, 1e-11)
    for name, loss in expected.losses.items():
        assert_near(name, shuffled.losses[name], loss, 1e-11)


@both_paths
def test_synthetic_term_trains_the_embedder_only(path: str) -> None:
    generator, (z, draws) = make(path=path), batch()
    out = generator(z, LABELS, draws=draws)
    out.losses["synthetic"].backward(retain_graph=True)
    assert z.grad.ne(0).any()
    assert all(p.grad is None for p in generator.parameters())
    assert not out.channel_coefficients.requires_grad
    z.grad = None
    out.losses["node_ce"].backward()
    assert z.grad.ne(0).any()
    assert generator.graph.layers[0].nodes.query.weight.grad.ne(0).any()
    assert generator.graph.coefficient_head.weight.grad is None
    assert generator.classifier.weight.grad is None


@both_paths
def test_generator_losses_train_the_graph_only(path: str) -> None:
    generator, (z, draws) = make(path=path), batch()
    generator.generator_losses(z, LABELS, draws=draws).total.backward()
    assert z.grad is None
    assert generator.classifier.weight.grad is None
    assert generator.classifier.bias.grad is None
    assert generator.graph.coefficient_head.weight.grad.ne(0).any()
    assert generator.graph.class_head.weight.grad is None


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("call", ["forward", "generator_losses"])
@pytest.mark.parametrize("memory", ["balanced", "low"])
def test_independent_dropout_is_the_same_on_both_paths(rate: float, call: str, memory: str) -> None:
    found = []
    settings = {"edge_dropout": "independent", "dropout": rate, "memory": memory, "layers": 2}
    for path in ("dense", "sparse"):
        generator, (z, draws) = make(path=path, **settings), batch()
        torch.manual_seed(4)
        out = getattr(generator, call)(z, LABELS, draws=draws)
        gradients = _gradients(out.total, [z, *_trainable(generator)])
        buffers = [buffer.double() for buffer in generator.buffers()]
        eta = out.channel_coefficients
        assert (eta - eta.transpose(0, 1)).abs().max() > 1e-4
        found.append([out.negatives, eta, *out.losses.values(), *gradients, *buffers])
    for dense, sparse in zip(*found, strict=True):
        assert_near("output", dense, sparse)


def test_a_term_of_weight_0_is_absent() -> None:
    z, draws = batch()
    assert list(make(node_ce=0)(z, LABELS, draws=draws).losses) == ["synthetic"]
    assert list(make(synthetic_weight=0)(z, LABELS, draws=draws).losses) == ["node_ce"]
    neither = make(synthetic_weight=0, node_ce=0)(z, LABELS, draws=draws)
    assert neither.losses == {}
    (z.sum() + neither.total).backward()
    assert z.grad.eq(1).all()


@both_paths
@pytest.mark.parametrize("published", [True, False])
def test_logits_in_chunks_give_the_same_step(
    path: str, published: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    z, draws = batch()
    found = []
    for large in (linear_cross_entropy.LARGE, 0):
        monkeypatch.setattr(linear_cross_entropy, "LARGE", large)
        monkeypatch.setattr(linear_cross_entropy, "CHUNK", 4 * CLASSES)
        generator = make(path=path, same_class_negatives=published, linear_ce_weight=0.5)
        added = generator(z, LABELS, draws=draws)
        classifier = generator.classifier_loss(z, LABELS)
        generated = generator.generator_losses(z, LABELS, draws=draws)
        terms = {**added.losses, **generated.losses, "classifier": classifier}
        leaves = [z, *(p for p in generator.parameters() if p.requires_grad)]
        total = added.total + classifier + generated.total
        found.append([*terms.values(), *_gradients(total, leaves)])
    for whole, chunked in zip(*found, strict=True):
        assert_near("term or gradient", chunked, whole, 1e-12)


@pytest.mark.parametrize("name", ["synthetic_weight", "linear_ce_weight", "alpha", "beta", "gamma"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_weights_are_finite_and_not_negative(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"'{name}' as a number of at least 0"):
        make(**{name: value})


@both_paths
def test_equal_samples_give_finite_gradients(path: str) -> None:
    generator, (z, draws) = make(path=path), batch()
    same = z.detach()[:1].repeat(len(z), 1).requires_grad_()
    total = generator(same, LABELS, draws=draws).total
    (total + generator.generator_losses(same, LABELS, draws=draws).total).backward()
    assert same.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in generator.parameters() if p.grad is not None)

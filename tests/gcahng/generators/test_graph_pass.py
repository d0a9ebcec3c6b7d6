"""One graph pass for both steps of the generator."""

import pytest
import torch
from torch import Tensor

from gcahng import HardNegativeGenerator
from tests.gcahng import oracle
from tests.gcahng.generators.test_gca_hng import (
    LABELS,
    _gradients,
    _trainable,
    batch,
    both_paths,
    make,
)
from tests.graph.oracle import assert_near


def leaves_of(generator: HardNegativeGenerator, z: Tensor) -> list[Tensor]:
    return [z, *_trainable(generator), *generator.classifier.parameters()]


@both_paths
@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.parametrize("normalize", [True, False])
def test_gradients_equal_those_of_the_loop(path: str, layers: int, normalize: bool) -> None:
    args = {"path": path, "layers": layers, "normalize": normalize, "gamma": 3.0}
    generator, (z, draws) = make(passes="one", **args), batch()
    leaves = leaves_of(generator, z)
    made = generator(z, LABELS, draws=draws)
    reached = _gradients(made.total, leaves)
    generated = generator.generator_losses(z, LABELS, graph_pass=made.graph_pass)
    trained = _gradients(generated.total, leaves)

    added, eta = oracle.one_pass(generator, z, LABELS, draws)
    j_gen = oracle.generator_loss(generator, z, LABELS, draws, eta)
    nothing = [torch.zeros_like(leaf) for leaf in leaves]
    count = len(_trainable(generator))
    for name, value in added.items():
        if name == "node_ce" or not normalize:  # the loop has the penalty of norms
            assert_near(name, made.losses[name], value, 1e-12)
    assert_near("J_gen", generated.total, j_gen, 1e-12)
    if not normalize:
        (of_z,) = torch.autograd.grad(sum(added.values()), z, retain_graph=True)
        assert_near("embedder", reached[0], of_z)
    expected = _gradients(added["node_ce"] + j_gen, leaves)
    for ours, loops in zip(trained[1 : 1 + count], expected[1 : 1 + count], strict=True):
        assert_near("graph", ours, loops)
    assert all(map(torch.equal, reached[1:], nothing[1:])), "the metric step trains no graph"
    assert torch.equal(trained[0], nothing[0]), "J_gen does not train the embedder"
    assert all(map(torch.equal, trained[1 + count :], nothing[1 + count :])), "nor the classifier"


@both_paths
def test_gradient_of_the_class_loss_for_the_embedder_can_be_left_out(path: str) -> None:
    args = {"path": path, "node_ce_reaches_embedder": False}
    (z, draws), found = batch(), []
    for passes in ("one", "two"):
        out = make(passes=passes, **args)(z, LABELS, draws=draws)
        found.append((out.total, *_gradients(out.total, [z])))
    for ours, expected in zip(*found, strict=True):
        assert_near("total and gradient", ours, expected, 1e-12)


@both_paths
def test_both_steps_use_the_same_negatives_with_dropout_and_without(path: str) -> None:
    for dropout in ("tied", "off"):
        generator, (z, _) = make(passes="one", path=path, edge_dropout=dropout), batch()
        made = generator(z, LABELS)
        generated = generator.generator_losses(z, LABELS, graph_pass=made.graph_pass)
        assert_near("negatives", generated.negatives, made.negatives, 1e-14)
        assert not made.coefficients.requires_grad
        assert generator.graph.class_norm.num_batches_tracked == 1


def test_a_pass_is_used_once() -> None:
    generator, (z, _) = make(passes="one"), batch()
    kept = generator(z, LABELS).graph_pass
    generator.generator_losses(z, LABELS, graph_pass=kept)
    with pytest.raises(ValueError, match="This graph pass is used up: generator_losses takes that"):
        generator.generator_losses(z, LABELS, graph_pass=kept)


def test_no_pass_is_kept_where_nothing_is_trained() -> None:
    (z, _), none = batch(), dict.fromkeys(("gamma", "similarity_weight", "diversity_weight"), 0.0)
    assert make()(z, LABELS).graph_pass is None
    assert make(passes="one", **none)(z, LABELS).graph_pass is None
    with torch.no_grad():
        assert make(passes="one")(z, LABELS).graph_pass is None
    with pytest.raises(ValueError, match=r"Expected 'passes' as two or one \(got 'three'\)"):
        make(passes="three")

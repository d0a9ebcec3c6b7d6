import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gcahng.graph.dense.edge_update import EdgeInputs, endpoint_dropout_mask, update_edges
from gcahng.graph.dense.pairs import Pairs, add_to, unordered_pairs
from tests.graph.oracle import activate_and_norm, assert_near, gelu, layer_norm

SIZE, WIDTH, HEADS = 6, 4, 2
COUNT = SIZE * (SIZE + 1) // 2
memories = pytest.mark.parametrize("memory", ["balanced", "low", "auto"])


def make_pairs() -> Pairs:
    return unordered_pairs(SIZE, torch.device("cpu"))


def inputs(dtype: torch.dtype = torch.float64) -> EdgeInputs:
    torch.manual_seed(0)
    shapes = {
        "edge_attr": (COUNT, WIDTH),
        "nodes": (SIZE, HEADS + HEADS * WIDTH + WIDTH),
        "w1": (4 * WIDTH, WIDTH),
        "w2": (WIDTH, 4 * WIDTH),
        **dict.fromkeys(("gamma", "beta", "b2"), (WIDTH,)),
        **dict.fromkeys(("b1", "inner_gamma", "inner_beta"), (4 * WIDTH,)),
    }
    made = {name: torch.randn(shape, dtype=dtype) for name, shape in shapes.items()}
    return EdgeInputs(**{name: tensor.requires_grad_() for name, tensor in made.items()})


def dropout() -> Tensor:
    torch.manual_seed(3)
    return endpoint_dropout_mask(COUNT, HEADS, 0.5, torch.zeros(1, dtype=torch.float64))


def _norm(gamma: Tensor, beta: Tensor) -> nn.Module:
    """What the oracle reads of a LayerNorm."""
    norm = nn.Module()
    norm.__dict__.update(weight=gamma, bias=beta)
    return norm


def loop(t: EdgeInputs, mask: Tensor | None) -> Tensor:
    """The docstring's formula, a pair and a head at a time."""
    outer, inner, rows = _norm(t.gamma, t.beta), _norm(t.inner_gamma, t.inner_beta), []
    bias, folded = t.nodes[:, :HEADS], t.nodes[:, HEADS:-WIDTH].view(SIZE, HEADS, WIDTH)
    value = t.nodes[:, -WIDTH:].view(SIZE, HEADS, -1)
    ends = [(i, j) for i in range(SIZE) for j in range(i, SIZE)]
    for m, (i, j) in enumerate(ends):
        e, heads = t.edge_attr[m], []
        for h in range(HEADS):
            score = e @ folded[i, h] - e @ folded[j, h] + bias[i, h] - bias[j, h]
            first, second = 1 / (1 + (-score).exp()), 1 / (1 + score.exp())
            if mask is not None:
                first, second = first * mask[m, 0, h], second * mask[m, 1, h]
            heads.append(first * value[i, h] + second * value[j, h])
        a = activate_and_norm(outer, torch.cat(heads) + e)
        hidden = layer_norm(inner, gelu(t.w1 @ a + t.b1))
        rows.append(activate_and_norm(outer, t.w2 @ hidden + t.b2 + a))
    return torch.stack(rows)


@memories
@pytest.mark.parametrize("drops", [True, False])
@pytest.mark.usefixtures("chunk")
def test_equals_the_loop_with_every_gradient(memory: str, drops: bool) -> None:
    t, mask = inputs(), dropout() if drops else None
    weights, found = torch.randn(COUNT, WIDTH).double(), []
    for out in (update_edges(t, make_pairs(), mask, memory), loop(t, mask)):
        found.append((out, *torch.autograd.grad((out * weights).sum(), t)))
    for name, ours, expected in zip(("output", *EdgeInputs._fields), *found, strict=True):
        assert_near(name, ours, expected, 1e-11)


@memories
def test_gradcheck(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gcahng.graph.dense.pairs.CPU_CHUNK", 7)
    weights, pairs = torch.randn(COUNT, WIDTH).double(), make_pairs()
    torch.autograd.gradcheck(
        lambda *t: (update_edges(EdgeInputs(*t), pairs, None, memory) * weights).sum(),
        tuple(inputs()),
    )


def test_second_derivatives_are_refused_rather_than_wrong() -> None:
    t = inputs()
    out = update_edges(t, make_pairs()).square().sum()
    (first,) = torch.autograd.grad(out, t.edge_attr, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def _saved(memory: str) -> int:
    """Numbers saved for backward beside the inputs."""
    t, total = inputs(), 0
    own = {x.data_ptr() for x in t}

    def pack(tensor: Tensor) -> Tensor:
        nonlocal total
        if tensor.data_ptr() not in own:
            total += tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        update_edges(t, make_pairs(), None, memory)
    return total


@pytest.mark.parametrize("chunk", [7, 256], indirect=True)
@pytest.mark.usefixtures("chunk")
def test_memory_says_what_is_saved() -> None:
    assert _saved("low") == COUNT * WIDTH
    assert _saved("balanced") == COUNT * (WIDTH + 4 * WIDTH)


@pytest.mark.parametrize("memory", ["balanced", "low"])
def test_bfloat16_autocast_comes_close(memory: str) -> None:
    t, found = inputs(torch.float32), []
    for enabled in (True, False):
        # Under autocast the node terms arrive in half precision.
        given = t._replace(nodes=t.nodes.bfloat16()) if enabled else t
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            out = update_edges(given, make_pairs(), None, memory)
        assert out.dtype == torch.float32
        gradients = torch.autograd.grad(out.square().sum(), t)
        assert all(g.dtype == torch.float32 for g in gradients)
        found.append((out, *gradients))
    for name, ours, expected in zip(("output", *EdgeInputs._fields), *found, strict=True):
        assert_near(name, ours, expected, 0.1)


@memories
@pytest.mark.parametrize("wanted", [slice(0, 1), slice(1, 2), slice(0, 2), slice(2, 10)])
def test_only_the_wanted_gradients_are_computed(
    wanted: slice, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the edges, of the nodes, of both, and of the parameters."""
    # Torch's counter knows no products in place.
    name = "gcahng.graph.dense.edge_update.add_product"
    monkeypatch.setattr(name, lambda total, left, right: add_to(total, left @ right))
    found, products = [], []
    for chosen in (slice(None), wanted):
        t = inputs()
        for tensor in set(t) - set(t[chosen]):
            tensor.requires_grad_(False)
        out = update_edges(t, make_pairs(), dropout(), memory).square().sum()
        with FlopCounterMode(display=False) as counter:
            found.append(torch.autograd.grad(out, t[chosen]))
        products.append(counter.get_total_flops())
    assert all(map(torch.equal, found[1], found[0][wanted]))
    assert (products[1] < products[0]) == (wanted.start < 2)

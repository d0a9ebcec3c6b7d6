"""A generator's passes as functions of tensors: compiled, or replayed as CUDA graphs.

Both spare launches of small kernels: `torch.compile` joins them, a CUDA graph launches all at once.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from gcahng.generators import HardNegativeGenerator, HardNegatives, NegativeGenerator
from gcahng.graph import BatchLayout
from gcahng.graph.dense.pairs import unordered_pairs
from gcahng.processes import Group, world_size

Autocast = Callable[[], AbstractContextManager[Any]]
Pass = Callable[..., HardNegatives]
# Runs before the recording, in which libraries choose and load their kernels.
WARM_UP = 3
# Random numbers are PyTorch's, so that dropout is that of a pass that is not compiled.
COMPILER: dict[str, Any] = {"options": {"fallback_random": True}}


def check_passes(
    setting: str, generator: NegativeGenerator | None, device: torch.device, group: Group = None
) -> None:
    """Raise if a training cannot compile or replay its generator's passes, as a setting asks."""
    if not isinstance(generator, HardNegativeGenerator):
        raise ValueError(f"{setting} has no effect: only gca_hng has such passes")
    dense = generator.path == "dense" and generator.graph.runs_on_pairs
    replays = setting == "fabric.cuda_graphs"
    needed = {
        f"a CUDA device, got {device.type}": not replays or device.type == "cuda",
        "generator.args.graph.path dense, and layers that run on pairs, as gca does": dense,
        # How many edges differ would change from batch to batch.
        "generator.args.graph.edge_dropout tied or off": not generator.graph.separates_pairs,
        f"one process, got {world_size(group)}": group is None,
    }
    for what, there in needed.items():
        if not there:
            raise ValueError(f"{setting}: expected {what}")


def build_pass(
    generator: NegativeGenerator, method: str, autocast: Autocast, compiled: bool, replayed: bool
) -> Pass:
    """A pass of a generator, `forward` or `generator_losses`: as it is, compiled or replayed."""
    if replayed:
        return ReplayedPass(generator, method, autocast, compiled)
    if compiled:
        return CompiledPass(generator, method)
    # Called as a module, for the hooks that a user may have registered.
    return generator if method == "forward" else getattr(generator, method)


class CompiledPass:
    """One pass of a generator, compiled as a whole for each shape of a batch.

    Forward and backward are each a few fused kernels and the products between them. The result,
    random numbers included, is that of the pass itself up to rounding. Without a compiler on this
    machine, a warning says so and the pass runs as it is.

    Args:
        generator: The shapes in its passes depend on the batch's shape alone.
        method: `forward` or `generator_losses`.

    Source: `torch.compile`.
    """

    def __init__(self, generator: NegativeGenerator, method: str) -> None:
        self.tensors = _Tensors(generator, method, compiled=True)

    def __call__(
        self,
        embeddings: Tensor,
        labels: Tensor,
        *,
        layout: BatchLayout,
        draws: Tensor | None = None,
    ) -> HardNegatives:
        """As `NegativeGenerator.forward`."""
        arguments = (embeddings, layout.order, layout.classes, draws)
        self.tensors.prepare(*arguments)
        total, *kept = self.tensors(*arguments)
        return self.tensors.hard_negatives(layout, total, kept)


class ReplayedPass:
    """One pass of a generator, recorded at the first batch and replayed at every later one.

    Forward and backward are recorded together, with dropout, folding scalars and running
    statistics; the result is that of the pass itself. Each shape of a batch is recorded once.

    Args:
        generator: On a CUDA device; the shapes in its passes depend on the batch's shape alone.
        method: `forward` or `generator_losses`.
        autocast: Returns the context of the forward pass.
        compiled: Whether to record the compiled pass.

    Source: CUDA graphs in PyTorch, `torch.cuda.graph`.
    """

    def __init__(
        self, generator: NegativeGenerator, method: str, autocast: Autocast, compiled: bool = False
    ) -> None:
        self.tensors = _Tensors(generator, method, compiled)
        self.autocast = autocast
        self.recordings: dict[tuple[torch.Size, ...], _Recording] = {}

    def __call__(
        self,
        embeddings: Tensor,
        labels: Tensor,
        *,
        layout: BatchLayout,
        draws: Tensor | None = None,
    ) -> HardNegatives:
        """As `NegativeGenerator.forward`."""
        if draws is not None:
            raise ValueError("Expected no 'draws': a recorded pass draws its own")
        arguments = (embeddings, layout.order, layout.classes)
        key = tuple(argument.shape for argument in arguments)
        if key not in self.recordings:
            self.recordings[key] = _Recording(self.tensors, arguments, self.autocast)
        recording = self.recordings[key]
        total = _Replay.apply(recording, *arguments, *recording.parameters)
        # The next replay overwrites what this one computed.
        kept = [tensor.clone() for tensor in recording.kept]
        return self.tensors.hard_negatives(layout, total, kept)


class _Recording:
    """A CUDA graph of one pass, forward and backward, with the memory that it reads and writes."""

    def __init__(
        self, tensors: "_Tensors", arguments: tuple[Tensor, ...], autocast: Autocast
    ) -> None:
        self.tensors, self.autocast = tensors, autocast
        trained = {name: p for name, p in tensors.named_parameters() if p.requires_grad}
        self.parameters = list(trained.values())
        # Other leaves on the same memory: autograd ties the parameters to the stream they are
        # used on elsewhere, and a recording must not wait for another stream.
        self.leaves = {name: p.detach().requires_grad_() for name, p in trained.items()}
        self.inputs = [argument.detach().clone() for argument in arguments]
        self.inputs[0].requires_grad_(arguments[0].requires_grad)
        tensors.prepare(*self.inputs)
        self._warm_up()
        self.graph = torch.cuda.CUDAGraph()
        device = self.inputs[0].device
        # A graph is recorded on the current device; tests replay without a GPU.
        here = torch.cuda.device(device) if device.type == "cuda" else nullcontext()
        with here, torch.cuda.graph(self.graph):
            self.total, self.kept, self.gradients = self._compute()

    def replay(self, *arguments: Tensor) -> None:  # pragma: no cover (needs a GPU)
        """Run the recorded work on other inputs."""
        with torch.no_grad():
            for recorded, argument in zip(self.inputs, arguments, strict=True):
                recorded.copy_(argument)
        self.graph.replay()

    def _warm_up(self) -> None:  # pragma: no cover (needs a GPU)
        """Run the pass a few times; random state and buffers are as before afterwards."""
        device = self.inputs[0].device
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with _left_as_found(self.tensors, device), torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._compute()
            torch.cuda.current_stream(device).wait_stream(stream)

    def _compute(self) -> tuple[Tensor, list[Tensor], list[Tensor | None]]:
        cached = torch.is_autocast_cache_enabled()
        with torch.enable_grad(), self.autocast():
            # The cache would keep a half-precision copy of a weight, which never changes.
            torch.set_autocast_cache_enabled(False)
            try:
                total, *kept = torch.func.functional_call(
                    self.tensors, self.leaves, tuple(self.inputs)
                )
            finally:
                torch.set_autocast_cache_enabled(cached)
        sources = [self.inputs[0], *self.leaves.values()]
        wanted = [source for source in sources if source.requires_grad]
        found = iter(torch.autograd.grad(total, wanted, allow_unused=True))
        gradients = [next(found) if source.requires_grad else None for source in sources]
        return total.detach(), kept, gradients


class _Replay(torch.autograd.Function):
    """A replayed pass as a function of embeddings and parameters."""

    @staticmethod
    def forward(
        ctx: Any,
        recording: _Recording,
        embeddings: Tensor,
        order: Tensor,
        classes: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        recording.replay(embeddings, order, classes)
        ctx.recording = recording
        return recording.total.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        gradients = ctx.recording.gradients
        there = [gradient for gradient in gradients if gradient is not None]
        scaled = iter(torch._foreach_mul(there, grad))
        embeddings, *parameters = (None if g is None else next(scaled) for g in gradients)
        return None, embeddings, None, None, *parameters


class _Tensors(nn.Module):
    """A pass with only tensors as arguments and results."""

    def __init__(self, generator: NegativeGenerator, method: str, compiled: bool) -> None:
        super().__init__()
        self.generator, self.method, self.compiled = generator, method, compiled
        self.samples_per_class = 0
        self.names: list[str] = []
        self.prepared: set[tuple[torch.Size, ...]] = set()

    def forward(
        self, embeddings: Tensor, order: Tensor, classes: Tensor, draws: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        layout = BatchLayout(order, classes, self.samples_per_class)
        compute: Pass = getattr(self.generator, self.method)
        made = compute(embeddings, layout.labels, layout=layout, draws=draws)
        self.names = list(made.losses)
        assert made.negatives is not None
        assert made.coefficients is not None
        kept = (made.negatives, made.slots, made.coefficients, *made.losses.values())
        return made.total, *(tensor.detach() for tensor in kept)

    def prepare(self, embeddings: Tensor, order: Tensor, classes: Tensor, *_: Any) -> None:
        """Choose the shape of a batch; at a new one, compute what is computed once, and compile."""
        self.samples_per_class = order.numel() // classes.numel()
        shape = (embeddings.shape, classes.shape)
        if not self.compiled or shape in self.prepared:
            return
        if not self.prepared and not _can_compile(embeddings.device):
            self.compiled = False
            return
        with _left_as_found(self, embeddings.device), torch.no_grad():
            self.forward(embeddings, order, classes)
        if not self.prepared:
            self.compile(fullgraph=True, dynamic=False, **COMPILER)
        # Shapes of all passes in this process count together against torch's limit, which is 8.
        torch._dynamo.config.cache_size_limit += 1
        self.prepared.add(shape)

    def hard_negatives(
        self, layout: BatchLayout, total: Tensor, kept: list[Tensor]
    ) -> HardNegatives:
        """The result of the pass from the tensors that `forward` returned."""
        negatives, slots, coefficients, *losses = kept
        named = dict(zip(self.names, losses, strict=True))
        pairs = unordered_pairs(layout.order.numel(), slots.device)
        return HardNegatives(negatives, layout, named, total, slots, coefficients, pairs)


@contextmanager
def _left_as_found(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Leave random state and buffers afterwards as they were before."""
    buffers = [(buffer, buffer.clone()) for buffer in module.buffers()]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
    for buffer, before in buffers:
        buffer.copy_(before)


def _can_compile(device: torch.device) -> bool:
    """Whether torch finds a compiler for a device; if not, warn."""
    try:
        torch.compile(torch.square, **COMPILER)(torch.ones(8, device=device))
    except RuntimeError as error:
        reason = str(error).split("\n")[0]
        warnings.warn(
            f"fabric.compile: torch cannot compile here ({reason}); passes run as they are",
            stacklevel=2,
        )
        return False
    return True

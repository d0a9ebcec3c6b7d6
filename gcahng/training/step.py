"""One training iteration, in the published order."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gcahng.generators import HardNegatives, NegativeGenerator
from gcahng.graph import BatchLayout, batch_layout
from gcahng.graph.precision import half_to_float32
from gcahng.processes import Group, sum_gradients, sum_over_processes, world_size
from gcahng.training.embed_batch import embed_batch
from gcahng.training.generator_pass import Autocast, build_pass
from gcahng.training.optimizers import Optimizers

Backward = Callable[..., None]


class TrainingStep:
    r"""Embed → metric loss → embedder and graph step → classifier step → generator step.

    .. math:: J_{metric} = J_m + (1 - e^{-\beta / \bar J_{gen}}) J_{syn} + J_{gce}, \qquad
        10 \cdot \mathrm{CE}(\mathrm{classifier}(z)), \qquad J_{gen}

    each differentiated and stepped in this order; the generator step runs the graph again on the
    detached embeddings with the parameters as stepped.

    The processes of a `group` take one step together: each embeds its part of the images, features
    are gathered, and the step is that of the whole batch (`gcahng.processes`).

    Args:
        embedder: Images [B, …] → embeddings [B, D].
        metric_loss: `loss(embeddings, labels)`, ours or pytorch-metric-learning's.
        generator: Hard negatives, or None for the metric loss alone.
        optimizers: One for each group of parameters.
        clip: Bound on gradients of embedder and graph, or None.
        clip_by: "value" clips every entry to ±clip, as published; "norm" the overall norm.
        backward: Runs the backward pass of a scalar; accepts `inputs` as `Tensor.backward`.
        autocast: Returns the context for the forward passes; losses, norms and distances stay in
            float32 in it.
        chunk: The most images that the backbone takes at a time (`embed_batch`); None: all.
        compiled: Compile the generator's passes (`CompiledPass`).
        cuda_graphs: Replay them as CUDA graphs (`ReplayedPass`).
        group: The processes that train together; None: this one alone.

    Source: GCA-HNG (IJCV 2025), training procedure.
    """

    def __init__(
        self,
        embedder: nn.Module,
        metric_loss: nn.Module,
        generator: NegativeGenerator | None,
        optimizers: Optimizers,
        clip: float | None = 10.0,
        clip_by: str = "value",
        backward: Backward = Tensor.backward,
        autocast: Autocast = nullcontext,
        chunk: int | None = None,
        compiled: bool = False,
        cuda_graphs: bool = False,
        group: Group = None,
    ) -> None:
        if clip_by not in ("value", "norm"):
            raise ValueError(f"Expected 'clip_by' as value or norm (got {clip_by!r})")
        self.embedder, self.metric_loss, self.generator = embedder, metric_loss, generator
        self.optimizers = optimizers
        self.clip, self.clip_by = clip, clip_by
        self.backward, self.autocast = backward, autocast
        self.chunk, self.group = chunk, group
        if generator is not None:
            how = (autocast, compiled, cuda_graphs)
            self.forward_pass = build_pass(generator, "forward", *how)
            self.generator_pass = build_pass(generator, "generator_losses", *how)
        # Number of the next step, which seeds the random numbers that processes do not share.
        self.number = 0
        self._needs_layout = generator is not None or getattr(metric_loss, "takes_layout", False)

    def __call__(
        self, images: Tensor, labels: Tensor, draws: tuple[Tensor, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Take one step and return its detached scalar losses.

        Args:
            images: [B, …] on the embedder's device; with several processes its part of the batch.
            labels: [B] of the whole batch, class-balanced if N-pair or a generator needs it. Keep
                them on the CPU: finding the layout of labels on a GPU would make the host wait.
            draws: Folding scalars [P, P-1] of the metric and of the generator pass; drawn if None.

        Returns:
            `metric` (J_m), `total` (J_metric) and `gradient`, the norm of the embedder's gradient
            before clipping; with a generator also `synthetic`, `node_ce`, `graph_gradient`, and if
            the generator is trained `classifier`, `generator_ce`, `similarity`, `diversity`,
            `generator` (J_gen) and `generator_gradient`.
        """
        # Found where the labels are, then copied to the device once.
        layout = batch_layout(labels, self.group).to(images.device) if self._needs_layout else None
        batch = _Batch(
            labels.to(images.device, non_blocking=True), layout, *(draws or (None, None))
        )
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        with self.autocast():
            embeddings, backward_rest = embed_batch(
                self.embedder, images, len(labels), self.chunk, self.number, self.group
            )
        self.number += 1
        embeddings = half_to_float32(embeddings)
        losses = self._metric_losses(embeddings, batch)
        self.backward(losses["total"])
        if backward_rest is not None:
            backward_rest()
        losses = self._sum_over_processes(losses)
        losses["gradient"] = self._step(self.optimizers.embedder)
        if self.optimizers.graph is not None:
            losses["graph_gradient"] = self._step(self.optimizers.graph)
        if self.generator is None:
            return losses
        if self.generator.has_generator_losses:
            losses |= self._generator_steps(self.generator, embeddings.detach(), batch)
        # A generator without losses counts as loss 0: its negatives get their full weight.
        generated = losses.get("generator", losses["metric"].new_zeros(()))
        self.generator.hardness.record(losses["metric"], generated)
        return losses

    def _metric_losses(self, embeddings: Tensor, batch: "_Batch") -> dict[str, Tensor]:
        """Compute J_m, the terms of the generator, and their sum J_metric."""
        metric = metric_loss(self.metric_loss, embeddings, batch.labels, batch.layout)
        metric = _scaled(metric, 1 / world_size(self.group))
        if self.generator is None:
            return {"metric": metric, "total": metric}
        with self.autocast():
            negatives = self.forward_pass(
                embeddings, batch.labels, layout=batch.layout, draws=batch.metric_draws
            )
        # Return scalars only: the negatives are freed before backward.
        weight = self._process_weight(negatives)
        added = {name: _scaled(loss, weight) for name, loss in negatives.losses.items()}
        return {"metric": metric, **added, "total": metric + _scaled(negatives.total, weight)}

    def _generator_steps(
        self, generator: NegativeGenerator, embeddings: Tensor, batch: "_Batch"
    ) -> dict[str, Tensor]:
        """Step the classifier, then the graph with J_gen, on detached embeddings."""
        graph, classifying = self.optimizers.graph, self.optimizers.classifier
        assert graph is not None
        assert classifying is not None
        classifying.zero_grad()
        graph.zero_grad()
        classifier = _scaled(
            generator.classifier_loss(embeddings, batch.labels), 1 / world_size(self.group)
        )
        self.backward(classifier)
        sum_gradients(_parameters(classifying), self.group)
        classifying.step()

        with self.autocast():
            made = self.generator_pass(
                embeddings, batch.labels, layout=batch.layout, draws=batch.generator_draws
            )
        weight = self._process_weight(made)
        losses = {name: _scaled(loss, weight) for name, loss in made.losses.items()}
        losses = {"classifier": classifier, **losses, "generator": _scaled(made.total, weight)}
        del made
        self.backward(losses["generator"])
        losses = self._sum_over_processes(losses)
        losses["generator_gradient"] = self._step(graph)
        return losses

    def _step(self, optimizer: Optimizer) -> Tensor:
        """Clip the optimizer's gradients, step it, and return their norm before clipping."""
        owned = _parameters(optimizer)
        sum_gradients(owned, self.group)
        parameters = [p for p in owned if p.grad is not None]
        if not parameters:
            # Nothing was differentiated. Torch's norm of no gradients would be on the CPU.
            optimizer.step()
            return owned[0].new_zeros(())
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self.clip is not None and self.clip_by == "value":
            nn.utils.clip_grad_value_(parameters, self.clip)
        elif self.clip is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.clip, norm)
        optimizer.step()
        return norm

    def _process_weight(self, made: HardNegatives) -> float:
        """Weight of this process's losses in the sum over all: 1 if split, else 1/W."""
        return 1.0 if made.own is not None else 1 / world_size(self.group)

    def _sum_over_processes(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """Sum the parts of all processes to the losses of the batch, without gradient."""
        if self.group is None:
            return {name: loss.detach() for name, loss in losses.items()}
        values = torch.stack([loss.detach().double() for loss in losses.values()])
        whole = sum_over_processes(values, self.group).unbind()
        return {
            name: value.to(loss.dtype)
            for (name, loss), value in zip(losses.items(), whole, strict=True)
        }


def metric_loss(
    loss: nn.Module, embeddings: Tensor, labels: Tensor, layout: BatchLayout | None
) -> Tensor:
    """Compute J_m, with the layout of the batch for a loss that takes it.

    Raises:
        ValueError: If it is no scalar.
    """
    known = {"layout": layout} if getattr(loss, "takes_layout", False) else {}
    metric: Tensor = loss(embeddings, labels, **known)
    if metric.dim():
        raise ValueError(f"Expected the metric loss as a scalar (got {list(metric.shape)})")
    return metric


class _Batch(NamedTuple):
    """What both passes of a step know beside the embeddings."""

    labels: Tensor
    layout: BatchLayout | None
    metric_draws: Tensor | None
    generator_draws: Tensor | None


def _scaled(loss: Tensor, weight: float) -> Tensor:
    """The weighted loss; one process has weight 1, for which a GPU need not launch anything."""
    return loss if weight == 1 else weight * loss


def _parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    return [p for group in optimizer.param_groups for p in group["params"]]

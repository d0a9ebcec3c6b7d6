"""Metric losses, called as `loss(embeddings, labels)`, and the generator's loss terms.

Example:
    >>> LOSSES.build("npair", temperature=0.5)
    NPairLoss(normalize=False, temperature=0.5, all_negatives=False)
    >>> sorted(LOSSES)
    ['npair', 'proxy_anchor']
"""

import inspect
from collections.abc import Callable, Iterable

from torch import nn

from gcahng.losses.generator import synthetic_npair
from gcahng.losses.npair import NPairLoss
from gcahng.losses.proxy_anchor import ProxyAnchorLoss
from gcahng.registry import Library, Registry

# Common names of losses in pytorch-metric-learning.
FOREIGN = {
    "contrastive": "ContrastiveLoss",
    "multi_similarity": "MultiSimilarityLoss",
    "triplet": "TripletMarginLoss",
}


# Base classes, losses around other losses, and two that take no labels.
UNUSABLE = {
    "BaseLossWrapper",
    "BaseMetricLossFunction",
    "CrossBatchMemory",
    "GenericPairLoss",
    "ManifoldLoss",
    "MultipleLosses",
    "SelfSupervisedLoss",
    "VICRegLoss",
}


def _in_pytorch_metric_learning(name: str) -> Callable[..., nn.Module] | None:
    try:
        import pytorch_metric_learning  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"the metric loss {name!r} is none of {', '.join(sorted(LOSSES))}, and "
            "pytorch-metric-learning, which may provide it, is not installed: "
            "pip install pytorch-metric-learning"
        ) from error
    return _theirs().get(FOREIGN.get(name, name))


def _theirs() -> dict[str, Callable[..., nn.Module]]:
    """Return the losses of pytorch-metric-learning that can be called with labels."""
    from pytorch_metric_learning import losses

    return {
        name: value
        for name, value in vars(losses).items()
        if isinstance(value, type) and issubclass(value, nn.Module) and name not in UNUSABLE
    }


def _their_names() -> Iterable[str]:
    return [*FOREIGN, *_theirs()]


def accepted_arguments(loss: Callable[..., nn.Module]) -> set[str]:
    """Return the arguments that a loss accepts, by its own name or through its parents' `**kwargs`.

    Example:
        >>> sorted(accepted_arguments(NPairLoss))
        ['all_negatives', 'normalize', 'temperature']
        >>> sorted(accepted_arguments(LOSSES.find("CosFaceLoss")) & {"num_classes", "scale"})
        ['num_classes', 'scale']
    """
    names: set[str] = set()
    for part in loss.__mro__ if isinstance(loss, type) else [loss]:
        if isinstance(part, type) and "__init__" not in vars(part):
            continue
        parameters = inspect.signature(part).parameters.values()
        names |= {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names


LOSSES: Registry[Callable[..., nn.Module]] = Registry(
    "metric loss",
    {"npair": NPairLoss, "proxy_anchor": ProxyAnchorLoss},
    user_base=nn.Module,
    library=Library(
        _in_pytorch_metric_learning,
        _their_names,
        f"{', '.join(FOREIGN)}, or any class of pytorch_metric_learning.losses",
    ),
)

__all__ = ["LOSSES", "NPairLoss", "ProxyAnchorLoss", "accepted_arguments", "synthetic_npair"]

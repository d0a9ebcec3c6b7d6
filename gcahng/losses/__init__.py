"""Metric losses, called as `loss(embeddings, labels)`, and the generator's loss terms.

Example:
    >>> LOSSES.build("npair", temperature=0.5)
    NPairLoss(normalize=False, temperature=0.5, all_negatives=False)
    >>> sorted(LOSSES)
    ['npair', 'proxy_anchor']
"""

from collections.abc import Callable, Iterable

from torch import nn

from gcahng.losses.npair import NPairLoss
from gcahng.losses.proxy_anchor import ProxyAnchorLoss
from gcahng.losses.synthetic_npair import synthetic_npair
from gcahng.registry import Library, Registry

# Common names of losses in pytorch-metric-learning.
FOREIGN = {
    "contrastive": "ContrastiveLoss",
    "multi_similarity": "MultiSimilarityLoss",
    "triplet": "TripletMarginLoss",
}


def _in_pytorch_metric_learning(name: str) -> Callable[..., nn.Module] | None:
    try:
        from pytorch_metric_learning import losses
    except ImportError as error:
        raise ImportError(
            f"the metric loss {name!r} is none of {', '.join(sorted(LOSSES))}, and "
            "pytorch-metric-learning, which may provide it, is not installed: "
            "pip install pytorch-metric-learning"
        ) from error
    found = getattr(losses, FOREIGN.get(name, name), None)
    return found if isinstance(found, type) and issubclass(found, nn.Module) else None


def _their_names() -> Iterable[str]:
    from pytorch_metric_learning import losses

    classes = (name for name, value in vars(losses).items() if isinstance(value, type))
    return [*FOREIGN, *classes]


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

__all__ = ["LOSSES", "NPairLoss", "ProxyAnchorLoss", "synthetic_npair"]

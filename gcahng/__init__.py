"""Deep metric learning with globally correlation-aware hard negatives (GCA-HNG)."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gcahng.evaluation.retrieval import retrieval_metrics
    from gcahng.generators import HardNegativeGenerator
    from gcahng.inference.embedder import load_embedder
    from gcahng.runs.loading import load_run

__version__ = "0.3.0"

__all__ = ["HardNegativeGenerator", "__version__", "load_embedder", "load_run", "retrieval_metrics"]

# Imported when asked for: `gcahng --help` should not wait for torch.
_HOMES = {
    "HardNegativeGenerator": "gcahng.generators",
    "load_embedder": "gcahng.inference.embedder",
    "load_run": "gcahng.runs.loading",
    "retrieval_metrics": "gcahng.evaluation.retrieval",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gcahng' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__

"""Deep metric learning with globally correlation-aware hard negatives (GCA-HNG)."""

from gcahng.generators import HardNegativeGenerator
from gcahng.loading import load_run
from gcahng.retrieval import retrieval_metrics

__version__ = "0.1.0"

__all__ = ["HardNegativeGenerator", "__version__", "load_run", "retrieval_metrics"]

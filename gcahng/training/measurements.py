"""Evaluations during a training, each done once."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from gcahng.data import ImageDataset
from gcahng.evaluation.evaluate import embed_together, retrieval_figures
from gcahng.processes import from_first, rank
from gcahng.training.experiment import Experiment


@dataclass(frozen=True)
class Measurement:
    """One evaluation.

    Attributes:
        figures: Retrieval figures by name, as fractions.
        embeddings: [N, D], of the images that they were measured on; on the CPU.
    """

    figures: dict[str, float]
    embeddings: Tensor


class Measurements:
    """Evaluate an experiment, and remember what was measured on the test split in which epoch.

    Args:
        experiment: Its embedder is evaluated in its present state.
        progress: Called with the number of images embedded, and of all images.
    """

    def __init__(self, experiment: Experiment, progress: Callable[[int, int], None]) -> None:
        self.experiment, self.progress = experiment, progress
        self._test: dict[int, Measurement] = {}

    def validation(self) -> Measurement:
        """Measure the validation classes."""
        dataset = self.experiment.splits.validation
        assert dataset is not None
        return self._measure(dataset)

    def test(self, epoch: int) -> Measurement:
        """Measure the test split, or return what was measured in this epoch before."""
        if epoch not in self._test:
            self._test[epoch] = self._measure(self.experiment.splits.test)
        return self._test[epoch]

    def keep(self, *epochs: int) -> None:
        """Forget all other epochs: their embeddings take memory."""
        self._test = {epoch: found for epoch, found in self._test.items() if epoch in epochs}

    def _measure(self, dataset: ImageDataset) -> Measurement:
        config = self.experiment.config
        embeddings = embed_together(
            self.experiment.embedder,
            dataset,
            workers=config.data.workers,
            progress=self.progress,
        )
        figures = {}
        if rank() == 0:
            figures = retrieval_figures(embeddings, dataset, config)
        return Measurement(from_first(figures), embeddings.cpu())

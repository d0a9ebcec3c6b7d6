"""Evaluations during a training, each done once."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gcahng.data import ImageDataset
from gcahng.evaluation.evaluate import embed_together, retrieval_figures
from gcahng.processes import from_first, rank
from gcahng.training.experiment import Experiment

# Features that go through the linear layer together.
ROWS = 4096


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

    def zero_shot(self) -> dict[str, float]:
        """Measure the network before training, on the test split and the validation classes.

        Returns:
            `features/…`, figures of the backbone's features, and `head/…`, those of the embeddings
            by the untrained linear layer, of the test split; `val/features/…` and `val/head/…`.
        """
        splits = self.experiment.splits
        figures = self._before_training(splits.test)
        if splits.validation is not None:
            found = self._before_training(splits.validation)
            figures |= {f"val/{name}": value for name, value in found.items()}
        return figures

    @torch.inference_mode()
    def _before_training(self, dataset: ImageDataset) -> dict[str, float]:
        embedder = self.experiment.embedder
        was_training = embedder.training
        embedder.eval()
        features = self._embed(embedder.backbone, dataset)
        head = torch.cat([embedder.head(rows) for rows in features.split(ROWS)])
        embedder.train(was_training)
        outputs = {"features": features, "head": head}
        return {
            f"{name}/{metric}": value
            for name, output in outputs.items()
            for metric, value in self._figures(output, dataset).items()
        }

    def keep(self, *epochs: int) -> None:
        """Forget all other epochs: their embeddings take memory."""
        self._test = {epoch: found for epoch, found in self._test.items() if epoch in epochs}

    def _measure(self, dataset: ImageDataset) -> Measurement:
        embeddings = self._embed(self.experiment.embedder, dataset)
        return Measurement(self._figures(embeddings, dataset), embeddings.cpu())

    def _embed(self, network: nn.Module, dataset: ImageDataset) -> Tensor:
        workers = self.experiment.config.data.workers
        return embed_together(network, dataset, workers=workers, progress=self.progress)

    def _figures(self, embeddings: Tensor, dataset: ImageDataset) -> dict[str, float]:
        figures = {}
        if rank() == 0:
            figures = retrieval_figures(embeddings, dataset, self.experiment.config)
        return from_first(figures)

"""Evaluations during a training, each done once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gcahng.builders.images import as_untrained
from gcahng.builders.networks import build_untrained
from gcahng.data import ImageDataset
from gcahng.evaluation.evaluate import embed_together, scores_of_queries
from gcahng.evaluation.retrieval import QueryScores
from gcahng.models import Embedder, WhiteningHead
from gcahng.processes import from_first, rank
from gcahng.training.closed_form import ClosedForm
from gcahng.training.experiment import Experiment

# Features that go through the last layer together.
ROWS = 4096


@dataclass(frozen=True)
class Measurement:
    """One evaluation.

    Attributes:
        figures: Retrieval figures by name, as fractions.
        embeddings: [N, D], of the images that they were measured on; on the CPU.
        scores: Of the single queries; None in other processes than the first.
    """

    figures: dict[str, float]
    embeddings: Tensor
    scores: QueryScores | None


@dataclass(frozen=True)
class Start:
    """What was measured before training.

    Attributes:
        figures: `features/…`, of the backbone's features, and `head/…`, of the embeddings by the
            last layer as it begins, of the test split; `val/features/…` and `val/head/…`. And
            `untrained/…`, of the features of pictures as the backbone's library prepares them, if
            the training prepares them in another way.
        selection: Of the embeddings, on the split that chooses the epoch to keep.
        untrained: Scores of the queries of the test split with the untrained network: of
            `untrained/…`, else of `features/…`.
    """

    figures: dict[str, float]
    selection: Measurement
    untrained: QueryScores | None


class Measurements:
    """Evaluate an experiment, and remember what was measured on the test split in which epoch.

    Args:
        experiment: What it evaluates, the embedder or its average, is taken in its present state.
        progress: Called with the number of images embedded, and of all images.

    Attributes:
        features: By split, the features of its images where they are known already.
        as_untrained: The test split as the backbone's library prepares pictures; None if the
            training prepares them in the same way.
    """

    def __init__(self, experiment: Experiment, progress: Callable[[int, int], None]) -> None:
        self.experiment, self.progress = experiment, progress
        self.features: Mapping[str, Tensor] = {}
        self.as_untrained = as_untrained(experiment.config, experiment.splits.test)
        self._test: dict[int, Measurement] = {}
        self._finish: tuple[int, ClosedForm] | None = None

    def test(self, epoch: int) -> Measurement:
        """Measure the test split, or return what was measured in this epoch before."""
        if epoch not in self._test:
            self._test[epoch] = self._measure("test", epoch)
        return self._test[epoch]

    def selection(self, epoch: int) -> Measurement:
        """Measure the split that chooses the epoch to keep."""
        on_test = self.experiment.config.selects_on_test
        return self.test(epoch) if on_test else self._measure("validation", epoch)

    def finish(self, epoch: int) -> WhiteningHead:
        """Fit the last layer to the features of all training classes, by the network as it is.

        Args:
            epoch: Of the network.
        """
        return self._closed_form(epoch).fit_to_all()

    def start(self) -> Start:
        """Measure the network before training, on the test split and the validation classes."""
        test = self._before_training("test")
        found = {"": test}
        if self.experiment.splits.validation is not None:
            found["val/"] = self._before_training("validation")
        if self.as_untrained is not None:
            test["untrained"] = self._untrained(self.as_untrained)
        figures = {
            f"{prefix}{name}/{metric}": value
            for prefix, outputs in found.items()
            for name, measured in outputs.items()
            for metric, value in measured.figures.items()
        }
        selection = found["" if self.experiment.config.selects_on_test else "val/"]["head"]
        return Start(figures, selection, test.get("untrained", test["features"]).scores)

    def _before_training(self, split: str) -> dict[str, Measurement]:
        features = self.features.get(split)
        if features is None:
            features = self._embed(self.experiment.embedder.backbone, split)
        head = self._head(self.experiment.embedder, features)
        if self.experiment.config.embedder.finish:
            head = self._finished(features, split, epoch=0)
        outputs = {"features": features, "head": head}
        return {name: self._measurement(output, split) for name, output in outputs.items()}

    def _untrained(self, images: ImageDataset) -> Measurement:
        """Measure the features of the test split as the backbone's library prepares pictures."""
        config, backbone = self.experiment.config, self.experiment.embedder.backbone
        if "img_size" in config.embedder.backbone.args:
            backbone = build_untrained(config).to(self.experiment.device)
        return self._measurement(self._embed_images(backbone, images), "test")

    def keep(self, *epochs: int) -> None:
        """Forget all other epochs: their embeddings take memory."""
        self._test = {epoch: found for epoch, found in self._test.items() if epoch in epochs}

    def _measure(self, split: str, epoch: int) -> Measurement:
        features = self.features.get(split)
        if self.experiment.config.embedder.finish:
            features = self._embed(self.experiment.evaluated.backbone, split)
            embeddings = self._finished(features, split, epoch)
        elif features is None:
            embeddings = self._embed(self.experiment.evaluated, split)
        else:
            embeddings = self._head(self.experiment.evaluated, features)
        return self._measurement(embeddings, split)

    def _finished(self, features: Tensor, split: str, epoch: int) -> Tensor:
        """Embeddings of features by the last layer in closed form.

        The validation classes are measured by what was learned from the others.
        """
        form = self._closed_form(epoch)
        head = form.fit() if split == "validation" else form.fit_to_all()
        with torch.inference_mode():
            found = torch.cat([head(rows.cpu()) for rows in features.split(ROWS)])
        return found.to(self.experiment.device)

    def _closed_form(self, epoch: int) -> ClosedForm:
        """Fit the last layer to the network as it is, once in an epoch."""
        if self._finish is None or self._finish[0] != epoch:
            experiment = self.experiment
            backbone, workers = experiment.evaluated.backbone, experiment.config.data.workers

            def features_of(part: ImageDataset) -> Tensor:
                settings: dict[str, Any] = {"workers": workers, "progress": self.progress}
                return embed_together(backbone, part, experiment.group, **settings).cpu()

            splits, group = experiment.splits, experiment.group
            form = ClosedForm(experiment.config, splits, features_of, None, group)
            form.fit()
            self._finish = (epoch, form)
        return self._finish[1]

    def _embed(self, network: nn.Module, split: str) -> Tensor:
        return self._embed_images(network, self._dataset(split))

    def _embed_images(self, network: nn.Module, images: ImageDataset) -> Tensor:
        workers, group = self.experiment.config.data.workers, self.experiment.group
        return embed_together(network, images, group, workers=workers, progress=self.progress)

    @torch.inference_mode()
    def _head(self, embedder: Embedder, features: Tensor) -> Tensor:
        """Embeddings of features, in eval mode, on the networks' device."""
        device = self.experiment.device
        was_training = embedder.training
        embedder.eval()
        embeddings = [embedder.head(rows.to(device)) for rows in features.split(ROWS)]
        embedder.train(was_training)
        return torch.cat(embeddings)

    def _measurement(self, embeddings: Tensor, split: str) -> Measurement:
        scores, group = None, self.experiment.group
        if rank(group) == 0:
            scores = scores_of_queries(embeddings, self._dataset(split), self.experiment.config)
        figures = from_first({} if scores is None else scores.means(), group)
        return Measurement(figures, embeddings.cpu(), scores)

    def _dataset(self, split: str) -> ImageDataset:
        dataset: ImageDataset = getattr(self.experiment.splits, split)
        return dataset

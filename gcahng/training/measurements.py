"""What a training measures: the losses of its steps, retrieval."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gcahng.builders.images import as_untrained
from gcahng.builders.networks import build_untrained
from gcahng.data import ImageDataset
from gcahng.evaluation.evaluate import Progress, embed_together, scores_of_queries
from gcahng.evaluation.retrieval import QueryScores
from gcahng.processes import from_first, rank
from gcahng.training.closed_form import ClosedForm
from gcahng.training.experiment import Experiment

# Features that go through the last layer together.
ROWS = 4096


class NonFiniteLossError(ValueError):
    """A loss or gradient norm is NaN or infinite; the message says where and what to try."""


class LossLog:
    """Collect the scalar losses of each step without waiting for the device."""

    def __init__(self, epoch: int, state: Mapping[str, Any] | None = None) -> None:
        self.epoch = epoch
        self.names: list[str] = list(state["names"]) if state else []
        self._rows: list[Tensor] = list(state["rows"]) if state else []
        # Rows that have not been copied from the device yet.
        self._new: list[Tensor] = []

    def add(self, losses: dict[str, Tensor]) -> None:
        """Record one step; every step of an epoch has the same losses."""
        self.names = list(losses)
        row = torch.stack([value.detach().double() for value in losses.values()])
        self._new.append(row)
        if row.device.type == "cpu":
            self._fetch()

    def state(self) -> dict[str, Any]:
        """What a checkpoint within the epoch holds; waits for the device."""
        self._fetch()
        return {"names": self.names, "rows": torch.stack(self._rows)}

    def means(self) -> dict[str, float]:
        """Return the means over the steps so far; waits for the device."""
        self._fetch()
        means = torch.stack(self._rows).mean(0).tolist() if self._rows else []
        return dict(zip(self.names, means, strict=True))

    def _fetch(self) -> None:
        """Copy the new rows from the device, and check them."""
        if not self._new:
            return
        rows = torch.stack(self._new).cpu()
        wrong = (~rows.isfinite()).nonzero()
        if len(wrong):
            first = int(wrong[0, 0])
            values = zip(self.names, rows[first].tolist(), strict=True)
            terms = ", ".join(f"{name} = {value:.4g}" for name, value in values)
            raise NonFiniteLossError(
                f"training diverged in step {len(self._rows) + first + 1} of epoch {self.epoch} "
                f"({terms}); the checkpoint of the last complete epoch, if any, is kept; try a new "
                "run with a lower learning rate (optim.embedder.lr, optim.graph.lr), a smaller "
                "optim.clip, or fabric.precision=32-true instead of mixed precision"
            )
        self._rows += rows.unbind()
        self._new = []


class Measurement(NamedTuple):
    """Retrieval figures, as fractions; the embeddings [N, D] on the CPU; scores of the queries."""

    figures: dict[str, float]
    embeddings: Tensor
    scores: QueryScores | None


class Start(NamedTuple):
    """What was measured before training."""

    figures: dict[str, float]
    selection: Measurement
    untrained: QueryScores | None


class Measurements:
    """Evaluate an experiment, and remember what was measured on the test split in which epoch."""

    def __init__(self, experiment: Experiment, progress: Progress) -> None:
        self.experiment, self.progress = experiment, progress
        self.features: Mapping[str, Tensor] = {}
        self.as_untrained = as_untrained(experiment.config, experiment.splits.test)
        self._test: dict[int, Measurement] = {}
        self._closed_form: tuple[int, ClosedForm] | None = None

    def test(self, epoch: int) -> Measurement:
        """Measure the test split, or return what was measured in this epoch before."""
        if epoch not in self._test:
            self._test[epoch] = self._measure("test", epoch)
        return self._test[epoch]

    def selection(self, epoch: int) -> Measurement:
        """Measure the split that chooses the epoch to keep."""
        on_test = self.experiment.config.selects_on_test
        return self.test(epoch) if on_test else self._measure("validation", epoch)

    def keep(self, *epochs: int) -> None:
        """Forget all other epochs: their embeddings take memory."""
        self._test = {epoch: found for epoch, found in self._test.items() if epoch in epochs}

    def start(self) -> Start:
        """Measure the network before training, on the test split and the validation classes."""
        test = self._measure_start("test")
        found = {"": test}
        if self.experiment.splits.validation is not None:
            found["val/"] = self._measure_start("validation")
        if self.as_untrained is not None:
            test["untrained"] = self._measure_untrained(self.as_untrained)
        figures = {
            f"{prefix}{name}/{metric}": value
            for prefix, outputs in found.items()
            for name, measured in outputs.items()
            for metric, value in measured.figures.items()
        }
        selection = found["" if self.experiment.config.selects_on_test else "val/"]["head"]
        return Start(figures, selection, test.get("untrained", test["features"]).scores)

    def _measure_start(self, split: str) -> dict[str, Measurement]:
        features = self._features_of(split)
        head = self._apply_head(features, split, epoch=0)
        return {"features": self._score(features, split), "head": self._score(head, split)}

    def _measure_untrained(self, images: ImageDataset) -> Measurement:
        """Measure the features of the test split as the backbone's library prepares pictures."""
        config, backbone = self.experiment.config, self.experiment.embedder.backbone
        if "img_size" in config.embedder.backbone.args:
            backbone = build_untrained(config).to(self.experiment.device)
        return self._score(self._embed(backbone, images), "test")

    def _measure(self, split: str, epoch: int) -> Measurement:
        if split in self.features or self.experiment.config.embedder.finish:
            embeddings = self._apply_head(self._features_of(split), split, epoch)
        else:
            embeddings = self._embed(self.experiment.embedder, self._images(split))
        return self._score(embeddings, split)

    def _features_of(self, split: str) -> Tensor:
        if split in self.features:
            return self.features[split]
        return self._embed(self.experiment.embedder.backbone, self._images(split))

    def closed_form(self, epoch: int) -> ClosedForm:
        """Fit the last layer to the network as it is, once in an epoch."""
        if self._closed_form is None or self._closed_form[0] != epoch:
            backbone = self.experiment.embedder.backbone
            form = ClosedForm(
                self.experiment, lambda images: self._embed(backbone, images).cpu(), dim=None
            )
            self._closed_form = (epoch, form)
        return self._closed_form[1]

    def _embed(self, network: nn.Module, images: ImageDataset) -> Tensor:
        workers, group = self.experiment.config.data.workers, self.experiment.group
        return embed_together(network, images, group, workers=workers, progress=self.progress)

    def _apply_head(self, features: Tensor, split: str, epoch: int) -> Tensor:
        """Embed features by the trained last layer, or by that in closed form if a run has both."""
        embedder, device = self.experiment.embedder, self.experiment.device
        head, where, was_training = embedder.head, device, embedder.training
        if self.experiment.config.embedder.finish:
            form, where = self.closed_form(epoch), torch.device("cpu")
            head = form.head if split == "validation" else form.fit_to_all()
        embedder.eval()
        with torch.inference_mode():
            embeddings = torch.cat([head(rows.to(where)) for rows in features.split(ROWS)])
        embedder.train(was_training)
        return embeddings.to(device)

    def _score(self, embeddings: Tensor, split: str) -> Measurement:
        scores, group = None, self.experiment.group
        if rank(group) == 0:
            scores = scores_of_queries(embeddings, self._images(split), self.experiment.config)
        figures = from_first({} if scores is None else scores.means(), group)
        return Measurement(figures, embeddings.cpu(), scores)

    def _images(self, split: str) -> ImageDataset:
        images: ImageDataset = getattr(self.experiment.splits, split)
        return images

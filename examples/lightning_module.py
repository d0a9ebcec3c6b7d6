"""GCA-HNG as a LightningModule, with mixed precision and one graph over all devices."""

from typing import Any

import lightning
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch.optim import AdamW, Optimizer

from gcahng import HardNegativeGenerator, retrieval_metrics
from gcahng.data import ClassBalancedBatchSampler, TrainLoader, build_dataset, build_transform
from gcahng.evaluation.evaluate import embed
from gcahng.losses import LOSSES
from gcahng.models import Embedder, build_backbone
from gcahng.models.batch_statistics import use_global_statistics
from gcahng.processes import all_processes
from gcahng.training.optimizers import Optimizers
from gcahng.training.step import TrainingStep


class OneGraph(DDPStrategy):
    """Several processes without DistributedDataParallel: `TrainingStep` sums the gradients."""

    def configure_ddp(self) -> None:
        """Do not wrap the model."""


class HardNegativesModule(lightning.LightningModule):
    """An embedder that is trained with hard negatives."""

    def __init__(self, num_classes: int, loader: TrainLoader) -> None:
        super().__init__()
        self.automatic_optimization = False  # three optimizers, which `TrainingStep` steps
        self.loader = loader
        backbone = build_backbone("small_conv", in_channels=1, channels=[32, 64], strides=[1, 2])
        self.embedder = Embedder(backbone, embedding_dim=32)
        self.generator = HardNegativeGenerator(32, num_classes)

    def configure_optimizers(self) -> list[Optimizer]:
        """Embedder, graph and classifier, in the order of `Optimizers`."""
        parts = self.embedder, self.generator.graph, self.generator.classifier
        rates = 1e-3, 1.5e-4, 1e-3
        return [AdamW(part.parameters(), lr) for part, lr in zip(parts, rates, strict=True)]

    def on_train_start(self) -> None:
        """Make the step, for the optimizers, the precision and the processes of the trainer."""
        group, context = all_processes(), self.trainer.precision_plugin.forward_context
        parts = self.embedder, LOSSES.build("npair"), self.generator, Optimizers(*self.optimizers())
        self.step = TrainingStep(*parts, autocast=context, group=group)
        self.loader.group = group  # loads the images of this process, the labels of all
        use_global_statistics(self.embedder.backbone, group)  # of its BatchNorm layers

    def training_step(self, batch: tuple[Tensor, Tensor]) -> None:
        """Take one step."""
        with torch.autocast(self.device.type, enabled=False):  # the step enables it where it may be
            self.log_dict(self.step(*batch), prog_bar=True)

    def on_train_epoch_end(self) -> None:
        """Negatives harden as the metric loss falls."""
        self.generator.hardness.end_epoch()
        self.loader.batches.set_epoch(self.current_epoch + 1)


def main(epochs: int = 5, **settings: Any) -> float:
    """Train on five of the digits, and return Recall@1 on the other five."""
    lightning.seed_everything(0)
    train = build_dataset("digits", "train", transform=build_transform("digits", train=True))
    test = build_dataset("digits", "test", transform=build_transform("digits", train=False))
    sampler = ClassBalancedBatchSampler(train.labels, classes_per_batch=5, samples_per_class=4)
    module = HardNegativesModule(train.num_classes, TrainLoader(train, sampler))
    given = {"logger": False, "enable_checkpointing": False, "precision": "bf16-mixed", **settings}
    trainer = lightning.Trainer(max_epochs=epochs, use_distributed_sampler=False, **given)
    trainer.fit(module, module.loader)
    return retrieval_metrics(embed(module.embedder, test), test.labels)["recall@1"]


if __name__ == "__main__":
    print(f"Recall@1 {main():.4f}")  # on several GPUs: main(strategy=OneGraph())

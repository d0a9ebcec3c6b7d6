"""GCA-HNG in a trainer of pytorch-metric-learning, with its loss and its sampler.

python examples/metric_learning_trainer.py
"""

from typing import Any

import torch
from pytorch_metric_learning.losses import MultiSimilarityLoss
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.trainers import MetricLossOnly
from torch import Tensor, nn
from torch.optim import AdamW

from gcahng import HardNegativeGenerator, retrieval_metrics
from gcahng.data import build_dataset, build_transform
from gcahng.evaluation.evaluate import embed
from gcahng.models import build_backbone


class HardNegativesTrainer(MetricLossOnly):
    """`MetricLossOnly` with `loss_funcs["hard_negatives"]`, and an optimizer for its graph."""

    def modify_schema(self) -> None:
        """Accept the generator and its optimizer."""
        self.schema["loss_funcs"].keys.append("hard_negatives")
        generator = self.loss_funcs["hard_negatives"]
        self.classifier_optimizer = AdamW(generator.classifier.parameters(), lr=1e-3)

    def calculate_loss(self, curr_batch: tuple[Tensor, Tensor]) -> None:
        """Add the losses of the hard negatives to the metric loss."""
        images, labels = curr_batch
        with torch.autocast(self.data_device.type, torch.bfloat16):
            embeddings = self.compute_embeddings(images)
        self.batch = embeddings.float(), labels.to(embeddings.device)
        self.losses["metric_loss"] = self.maybe_get_metric_loss(*self.batch, None)
        self.losses["hard_negatives"] = self.loss_funcs["hard_negatives"](*self.batch).total

    def step_optimizers(self) -> None:
        """Step embedder and graph, then the classifier, then the graph with its own losses."""
        super().step_optimizers()
        generator, embeddings = self.loss_funcs["hard_negatives"], self.batch[0].detach()
        self.classifier_optimizer.zero_grad()
        generator.classifier_loss(embeddings, self.batch[1]).backward()
        self.classifier_optimizer.step()
        generated = generator.generator_losses(embeddings, self.batch[1]).total
        self.optimizers["hard_negatives_optimizer"].zero_grad()
        generated.backward()
        self.optimizers["hard_negatives_optimizer"].step()
        generator.hardness.record(self.losses["metric_loss"].detach(), generated.detach())


def main(epochs: int = 5) -> float:
    """Train on five of the digits, and return Recall@1 on the other five."""
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train = build_dataset("digits", "train", transform=build_transform("digits", train=True))
    test = build_dataset("digits", "test", transform=build_transform("digits", train=False))
    trunk = build_backbone("small_conv", in_channels=1, channels=[32, 64], strides=[1, 2])
    models = {"trunk": trunk.to(device), "embedder": nn.Linear(64, 32).to(device)}
    generator = HardNegativeGenerator(32, train.num_classes, normalize=True).to(device)
    optimizers: dict[str, Any] = {
        f"{name}_optimizer": AdamW(model.parameters(), lr=1e-3) for name, model in models.items()
    }
    optimizers["hard_negatives_optimizer"] = AdamW(generator.graph.parameters(), lr=1.5e-4)
    losses = {"metric_loss": MultiSimilarityLoss(), "hard_negatives": generator}
    sampler = MPerClassSampler(train.labels, m=4, batch_size=20, length_before_new_iter=800)
    options = {"sampler": sampler, "data_device": device, "dataloader_num_workers": 0}
    options["end_of_epoch_hook"] = lambda trainer: generator.hardness.end_epoch()
    HardNegativesTrainer(models, optimizers, 20, losses, train, **options).train(num_epochs=epochs)
    embeddings = embed(nn.Sequential(*models.values()), test)
    recall = retrieval_metrics(embeddings, test.labels)["recall@1"]
    print(f"Recall@1 {recall:.4f}")
    return recall


if __name__ == "__main__":
    main()

"""GCA-HNG in a plain PyTorch loop with mixed precision, step by step.

python examples/plain_pytorch.py
"""

import torch
from torch.optim import AdamW

from gcahng import HardNegativeGenerator, retrieval_metrics
from gcahng.data import ClassBalancedBatchSampler, TrainLoader, build_dataset, build_transform
from gcahng.evaluation.evaluate import embed
from gcahng.losses import LOSSES
from gcahng.models import Embedder, build_backbone


def main(epochs: int = 5) -> float:
    """Train on five of the digits, and return Recall@1 on the other five."""
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train = build_dataset("digits", "train", transform=build_transform("digits", train=True))
    test = build_dataset("digits", "test", transform=build_transform("digits", train=False))
    sampler = ClassBalancedBatchSampler(train.labels, classes_per_batch=5, samples_per_class=4)
    loader = TrainLoader(train, sampler)
    backbone = build_backbone("small_conv", in_channels=1, channels=[32, 64], strides=[1, 2])
    embedder = Embedder(backbone, embedding_dim=32).to(device)
    metric_loss = LOSSES.build("npair")
    generator = HardNegativeGenerator(32, train.num_classes).to(device)
    optimizer = AdamW(embedder.parameters(), lr=1e-3)
    graph_optimizer = AdamW(generator.graph.parameters(), lr=1.5e-4)
    classifier_optimizer = AdamW(generator.classifier.parameters(), lr=1e-3)
    # Only float16 needs a scaler.
    scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")
    half = torch.float16 if device.type == "cuda" else torch.bfloat16

    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            # 1. Metric loss, hard negatives and node classification train embedder and graph.
            with torch.autocast(device.type, dtype=half):
                embeddings = embedder(images)
            embeddings = embeddings.float()
            with torch.autocast(device.type, dtype=half):
                negatives = generator(embeddings, labels)
            loss = metric_loss(embeddings, labels)
            optimizer.zero_grad()
            graph_optimizer.zero_grad()
            scaler.scale(loss + negatives.total).backward()
            scaler.step(optimizer)
            scaler.step(graph_optimizer)
            scaler.update()
            # 2. The classifier, which rates the negatives, learns from the embeddings.
            classifier_optimizer.zero_grad()
            generator.classifier_loss(embeddings, labels).backward()
            classifier_optimizer.step()
            # 3. The graph learns to make better negatives.
            with torch.autocast(device.type, dtype=half):
                generated = generator.generator_losses(embeddings.detach(), labels)
            graph_optimizer.zero_grad()
            scaler.scale(generated.total).backward()
            scaler.step(graph_optimizer)
            scaler.update()
            generator.hardness.record(loss.detach(), generated.total.detach())
        generator.hardness.end_epoch()  # negatives harden as the metric loss falls
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}")
    return retrieval_metrics(embed(embedder, test), test.labels)["recall@1"]


if __name__ == "__main__":
    print(f"Recall@1 {main():.4f}")

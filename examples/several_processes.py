"""GCA-HNG with one graph over the batches of several processes, with mixed precision.

Not DistributedDataParallel, whose processes would each see a graph of their own part only.

torchrun --nproc-per-node 2 examples/several_processes.py
"""

import os
from functools import partial

import torch
from torch import distributed as dist
from torch.optim import AdamW

from gcahng import HardNegativeGenerator, retrieval_metrics
from gcahng.data import ClassBalancedBatchSampler, TrainLoader, build_dataset, build_transform
from gcahng.evaluation.evaluate import embed_together
from gcahng.losses import LOSSES
from gcahng.models import Embedder, build_backbone
from gcahng.models.batch_statistics import use_global_statistics
from gcahng.processes import all_processes, copy_from_first, leave, rank
from gcahng.training.optimizers import Optimizers
from gcahng.training.step import TrainingStep


def main(epochs: int = 5, mixed: bool = True) -> float:
    """Train on five of the digits, and return Recall@1 on the other five."""
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    if "RANK" in os.environ:  # set by torchrun
        dist.init_process_group("gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl")
    group = all_processes()  # None for one process
    torch.manual_seed(0)  # the same on all processes: random numbers of the graph are shared
    train = build_dataset("digits", "train", transform=build_transform("digits", train=True))
    test = build_dataset("digits", "test", transform=build_transform("digits", train=False))
    sampler = ClassBalancedBatchSampler(train.labels, classes_per_batch=5, samples_per_class=4)
    loader = TrainLoader(train, sampler, group)  # the images of this process, the labels of all

    backbone = build_backbone("small_conv", in_channels=1, channels=[32, 64], strides=[1, 2])
    use_global_statistics(backbone, group)  # of its BatchNorm layers
    embedder = Embedder(backbone, embedding_dim=32).to(device)
    generator = HardNegativeGenerator(32, train.num_classes).to(device)
    copy_from_first([embedder, generator], group)
    step = TrainingStep(
        embedder,
        LOSSES.build("npair"),
        generator,
        Optimizers(
            AdamW(embedder.parameters(), lr=1e-3),
            AdamW(generator.graph.parameters(), lr=1.5e-4),
            AdamW(generator.classifier.parameters(), lr=1e-3),
        ),
        autocast=partial(torch.autocast, device.type, torch.bfloat16, enabled=mixed),
        group=group,
    )
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for images, labels in loader:
            losses = step(images.to(device), labels)
        generator.hardness.end_epoch()
        if rank(group) == 0:
            print(f"epoch {epoch + 1}: loss {float(losses['metric']):.3f}")
    embeddings = embed_together(embedder, test, group)
    recall = retrieval_metrics(embeddings, test.labels)["recall@1"]
    if rank(group) == 0:
        print(f"Recall@1 {recall:.4f}")
    leave()
    return recall


if __name__ == "__main__":
    main()

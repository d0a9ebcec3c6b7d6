"""Load batches of images, in worker processes or not, with errors in one sentence."""

import atexit
import os
import signal
from collections.abc import Iterator, Sequence
from itertools import islice
from multiprocessing.queues import Queue
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, Subset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from gcahng.data.datasets.base import ImageDataset
from gcahng.data.samplers import ClassBalancedBatchSampler
from gcahng.processes import Group, own_part


class ImageLoader(DataLoader[Any]):
    """A DataLoader whose worker processes leave signals, and sentences, to their main process.

    Args:
        dataset: Images and labels.
        **settings: Arguments of `torch.utils.data.DataLoader`.

    Raises:
        ValueError: While iterating: what the data set says about an image.
        OSError: Likewise.

    Example:
        >>> from gcahng.data import build_dataset
        >>> images, labels = next(iter(ImageLoader(build_dataset("digits", "test"), batch_size=4)))
        >>> images.shape, labels.shape
        (torch.Size([4, 1, 8, 8]), torch.Size([4]))
    """

    def __init__(self, dataset: Dataset[Any], **settings: Any) -> None:
        super().__init__(dataset, worker_init_fn=_prepare_worker, **settings)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yield batches of images [B, …] and labels [B]."""
        try:
            yield from super().__iter__()
        except (ValueError, OSError) as error:
            # From a worker torch brings its traceback as text, with the sentence at its end.
            _, found, sentence = str(error).rpartition(f"\n{type(error).__name__}: ")
            if not found:
                raise
            raise type(error)(sentence.strip()) from error

    def _get_iterator(self) -> Any:
        return _Workers(self) if self.num_workers else super()._get_iterator()


_RUNNING: "WeakSet[_Workers]" = WeakSet()


@atexit.register
def _end_workers() -> None:
    """End them while torch still does: at its exit, Python would wait for them forever."""
    for workers in tuple(_RUNNING):
        workers._shutdown_workers()


class _Workers(_MultiProcessingDataLoaderIter):
    """Worker processes that are killed, since they ignore SIGTERM; all start, or none is left."""

    def __init__(self, loader: ImageLoader) -> None:
        self._shutdown, self._workers = True, []
        try:
            super().__init__(loader)
        except OSError:
            for worker in self._workers:
                worker.kill()
            self._shutdown = True
            raise
        for worker in self._workers:
            worker.terminate = worker.kill  # type: ignore[method-assign]
        _RUNNING.add(self)


def _prepare_worker(worker: int) -> None:
    """Ignore signals to all processes of a training: its main process decides what they mean."""
    # An error of the thread that sends a batch would leave the training waiting for it; torch says
    # that a worker has ended, and with another status would say so at any place.
    Queue._on_queue_feeder_error = lambda *_: os._exit(0)  # type: ignore[attr-defined]
    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)


class TrainLoader(ImageLoader):
    """Load class-balanced batches whose augmentation depends on seed, epoch and place alone.

    So a batch does not depend on the number of loading or training processes, or on where an epoch
    was interrupted. Global random state is neither read nor changed.

    Args:
        dataset: Images and labels; its transform may draw from torch's global random state.
        sampler: The batches; its seed and epoch also seed the augmentation.
        group: Processes that each load a part of every batch; None: this one loads all.
        **settings: As `ImageLoader`, except the sampler.

    Attributes:
        first: Number of the epoch's batches to leave out, because they were trained on already.

    Example:
        >>> from gcahng.data import ClassBalancedBatchSampler, build_dataset
        >>> dataset = build_dataset("digits", "train")
        >>> loader = TrainLoader(dataset, ClassBalancedBatchSampler(dataset.labels, 3, 2))
        >>> images, labels = next(iter(loader))
        >>> images.shape, labels.shape
        (torch.Size([6, 1, 8, 8]), torch.Size([6]))
    """

    def __init__(
        self,
        dataset: ImageDataset,
        sampler: ClassBalancedBatchSampler,
        group: Group = None,
        **settings: Any,
    ) -> None:
        self.first, self.group = 0, group
        self.labels, self.batches = dataset.labels, sampler
        self.own = _OwnSamples(self)
        # A generator of its own: the loader would otherwise advance the global random state.
        settings["generator"] = torch.Generator().manual_seed(sampler.seed)
        super().__init__(_Seeded(dataset), batch_sampler=self.own, **settings)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:  # type: ignore[override]
        """Yield the images of this process [b, …] and the labels of the whole batch [B]."""
        for indices, (images, _) in zip(self._left(), super().__iter__(), strict=False):
            yield images, self.labels[indices]

    def _left(self) -> Iterator[list[int]]:
        return islice(self.batches, self.first, None)


class _OwnSamples(Sampler[list[tuple[int, int]]]):
    """This process's part of every batch, as indices with the seeds of their augmentation."""

    def __init__(self, loader: TrainLoader) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader.batches)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        sampler = self.loader.batches
        for number, indices in islice(enumerate(sampler), self.loader.first, None):
            rng = np.random.default_rng([sampler.seed, sampler.epoch, number])
            seeds = rng.integers(2**63, size=len(indices)).tolist()
            own = own_part(len(indices), self.loader.group)
            yield list(zip(indices, seeds, strict=True))[own]


class _Seeded(Dataset[Any]):
    """A data set whose index carries the seed of the image's augmentation."""

    def __init__(self, dataset: ImageDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, index: tuple[int, int]) -> Any:
        number, seed = index
        state = torch.get_rng_state()
        try:
            # Not `torch.manual_seed`, which would seed the GPUs as well.
            torch.default_generator.manual_seed(seed)
            return self.dataset[number]
        finally:
            torch.set_rng_state(state)

    def __len__(self) -> int:
        return len(self.dataset)


class AugmentedView(Subset[Any]):
    """A data set under one augmentation of many: each image is always the same in a view.

    Args:
        dataset: Images and labels; its transform may draw from torch's global random state.
        view: Number of the view, from 0; it and an image's place seed the image's augmentation.

    Example:
        >>> from gcahng.data import build_dataset, build_transform
        >>> digits = build_dataset("digits", "train")
        >>> digits.transform = build_transform("digits", train=True)
        >>> first, second = AugmentedView(digits, 0), AugmentedView(digits, 1)
        >>> torch.equal(first[5][0], first[5][0]), torch.equal(first[5][0], second[5][0])
        (True, False)
    """

    def __init__(self, dataset: ImageDataset, view: int) -> None:
        # Without the seed of the training, so that trainings with any seed share the views.
        seeds = np.random.default_rng(view).integers(2**63, size=len(dataset)).tolist()
        super().__init__(_Seeded(dataset), list(enumerate(seeds)))  # type: ignore[arg-type]


class FeatureLoader(TrainLoader):
    """The batches of a `TrainLoader` as features, each of one view of its image.

    Args:
        dataset: The images.
        sampler: The batches; its seed and epoch also choose the views.
        views: For each view the features `[N, width]` of all images.
        group: As for `TrainLoader`.

    Example:
        >>> from gcahng.data import ClassBalancedBatchSampler, build_dataset
        >>> dataset = build_dataset("digits", "train")
        >>> views = [torch.rand(len(dataset), 16) for _ in range(4)]
        >>> sampler = ClassBalancedBatchSampler(dataset.labels, 3, 2)
        >>> features, labels = next(iter(FeatureLoader(dataset, sampler, views)))
        >>> features.shape, labels.shape
        (torch.Size([6, 16]), torch.Size([6]))
    """

    def __init__(
        self,
        dataset: ImageDataset,
        sampler: ClassBalancedBatchSampler,
        views: Sequence[Tensor],
        group: Group = None,
    ) -> None:
        super().__init__(dataset, sampler, group)
        self.views = views

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:  # type: ignore[override]
        """Yield the features of this process [b, width] and the labels of the whole batch [B]."""
        for indices, chosen in zip(self._left(), self.own, strict=True):
            rows = [self.views[seed % len(self.views)][index] for index, seed in chosen]
            yield torch.stack(rows), self.labels[indices]

"""Load batches of images, in worker processes or not, with errors in one sentence."""

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader, Dataset, default_collate

from gcahng.data.datasets.base import ImageDataset


@dataclass(frozen=True)
class _Failure:
    """An error in a worker process as a value; raised there, it would arrive as a traceback."""

    error: Exception
    traceback: str


class _WithFailures(Dataset[Any]):
    def __init__(self, dataset: ImageDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> Any:
        try:
            return self.dataset[index]
        except (ValueError, OSError) as error:
            return _Failure(error, traceback.format_exc())

    def __len__(self) -> int:
        return len(self.dataset)


class ImageLoader(DataLoader[Any]):
    """A DataLoader that raises what a data set raises, also from its worker processes.

    Args:
        dataset: Images and labels.
        **settings: Arguments of `torch.utils.data.DataLoader`, except `collate_fn`.

    Raises:
        ValueError: While iterating: whatever the data set raises about an image, unchanged.
        OSError: Likewise.

    Example:
        >>> from gcahng.data import build_dataset
        >>> images, labels = next(iter(ImageLoader(build_dataset("digits", "test"), batch_size=4)))
        >>> images.shape, labels.shape
        (torch.Size([4, 1, 8, 8]), torch.Size([4]))
    """

    def __init__(self, dataset: ImageDataset, *, num_workers: int = 0, **settings: Any) -> None:
        if num_workers == 0:
            super().__init__(dataset, **settings)
        else:
            guarded = _WithFailures(dataset)
            super().__init__(
                guarded, num_workers=num_workers, collate_fn=_collate_or_failure, **settings
            )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yield batches of images [B, …] and labels [B]."""
        for batch in super().__iter__():
            if isinstance(batch, _Failure):
                raise batch.error from RuntimeError(f"in a worker process:\n{batch.traceback}")
            yield batch


def _collate_or_failure(samples: list[Any]) -> Any:
    for sample in samples:
        if isinstance(sample, _Failure):
            return sample
    return default_collate(samples)

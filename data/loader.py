"""Load batches of images, in worker processes or not, with errors in one sentence."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader, Dataset, default_collate

from gcahng.data.datasets.base import ImageDataset


@dataclass(frozen=True)
class _Failure:
    """An error of a worker process as a value: raised there, it would become a traceback here."""

    sentence: str


class _WithFailures(Dataset[Any]):
    def __init__(self, dataset: ImageDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> Any:
        try:
            return self.dataset[index]
        except (ValueError, OSError) as error:
            return _Failure(str(error))

    def __len__(self) -> int:
        return len(self.dataset)


class ImageLoader(DataLoader[Any]):
    """A DataLoader that raises what a data set raises, also from its worker processes.

    Args:
        dataset: Images and labels.
        **settings: Arguments of `torch.utils.data.DataLoader`, except `collate_fn`.

    Raises:
        ValueError: While iterating, with the data set's own sentence about an image.

    Example:
        >>> from gcahng.data import build_dataset
        >>> images, labels = next(iter(ImageLoader(build_dataset("digits", "test"), batch_size=4)))
        >>> images.shape, labels.shape
        (torch.Size([4, 1, 8, 8]), torch.Size([4]))
    """

    def __init__(self, dataset: ImageDataset, **settings: Any) -> None:
        super().__init__(_WithFailures(dataset), collate_fn=_collate, **settings)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yield batches of images [B, …] and labels [B]."""
        for batch in super().__iter__():
            if isinstance(batch, _Failure):
                raise ValueError(batch.sentence)
            yield batch


def _collate(samples: list[Any]) -> Any:
    failures = (sample for sample in samples if isinstance(sample, _Failure))
    return next(failures, None) or default_collate(samples)

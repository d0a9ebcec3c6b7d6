"""Class-balanced batches: S classes with P images each."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler


class ClassBalancedBatchSampler(Sampler[list[int]]):
    """Batches of S classes times P images, in slot-major order.

    Entry `i` of a batch has class `i mod S` and is that class's sample `i // S`. Each batch draws
    S classes afresh. A class deals out its images from a shuffled pile and shuffles again only
    when the pile is used up, so that within an epoch all are seen before one is seen twice; a
    class with fewer than P images is drawn with replacement.

    The batches follow from `seed` and the epoch alone: two iterations without `set_epoch` between
    them are equal, and no global random state is read or changed.

    Args:
        labels: `[N]` the class of each image, any integers.
        classes_per_batch: S, at least 2.
        samples_per_class: P, at least 2.
        seed: Not negative.

    Raises:
        ValueError: If the labels cannot fill one batch.
    """

    def __init__(
        self, labels: Tensor, classes_per_batch: int, samples_per_class: int, seed: int = 0
    ) -> None:
        classes = torch.unique(labels)
        _check(len(classes), classes_per_batch, samples_per_class)
        array = labels.cpu().numpy()
        self.members = [np.flatnonzero(array == label) for label in classes.tolist()]
        self.classes_per_batch = classes_per_batch
        self.samples_per_class = samples_per_class
        self.seed = seed
        self.epoch = 0
        self.num_batches = max(1, len(labels) // (classes_per_batch * samples_per_class))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose batches the next iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_batches

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        piles = [rng.permutation(members) for members in self.members]
        for _ in range(self.num_batches):
            chosen = rng.choice(len(piles), self.classes_per_batch, replace=False)
            columns = [self._deal(piles, c, rng) for c in chosen.tolist()]
            yield np.stack(columns, axis=1).flatten().tolist()

    def _deal(self, piles: list[np.ndarray], c: int, rng: np.random.Generator) -> np.ndarray:
        """Take P images of class number `c` off its pile: `[P]` indices."""
        members, wanted = self.members[c], self.samples_per_class
        if len(members) < wanted:
            return rng.choice(members, wanted)
        dealt, piles[c] = np.split(piles[c], [wanted])
        if len(dealt) < wanted:
            fresh = rng.permutation(members)
            seen = np.isin(fresh, dealt)
            # Images already in this batch go to the bottom, so that they cannot repeat in it.
            fresh = np.concatenate([fresh[~seen], fresh[seen]])
            rest, piles[c] = np.split(fresh, [wanted - len(dealt)])
            dealt = np.concatenate([dealt, rest])
        return dealt


def _check(num_classes: int, classes_per_batch: int, samples_per_class: int) -> None:
    if num_classes < 2:
        problem = "there are no labels" if num_classes == 0 else "all images are of one class"
        raise ValueError(f"Cannot sample batches: {problem}, but training needs at least 2.")
    if classes_per_batch < 2:
        raise ValueError(f"Expected 'classes_per_batch' of at least 2 (got {classes_per_batch}).")
    if samples_per_class < 2:
        raise ValueError(
            f"Expected 'samples_per_class' of at least 2, one anchor and one positive "
            f"(got {samples_per_class})."
        )
    if num_classes < classes_per_batch:
        raise ValueError(
            f"The training split has {num_classes} classes, fewer than a batch's "
            f"{classes_per_batch}: lower 'classes_per_batch' to {num_classes} or less."
        )

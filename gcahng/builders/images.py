"""The images of an experiment: its splits, their transforms, and class-balanced batches."""

from dataclasses import dataclass
from typing import Any

import torch

from gcahng.config import ExperimentConfig
from gcahng.config.experiment import data_root
from gcahng.data import (
    DATASETS,
    TRANSFORMS,
    ClassBalancedBatchSampler,
    ClassSubset,
    ImageDataset,
    PublishedBatchSampler,
    PublishedDataset,
    TrainLoader,
    build_dataset,
    build_transform,
    check_findable,
    split_classes,
)
from gcahng.errors import blame_setting
from gcahng.models.backbones import own_transform, starts_pretrained
from gcahng.processes import Group

# The name of a validation split that is part of a data set.
OWN_VALIDATION = "val"
# The name of the transform that the backbone's library uses.
LIBRARY = "library"
# Two classes to train on and two to hold out.
FEWEST = 4


@dataclass(frozen=True)
class Splits:
    """The images of one experiment."""

    train: ImageDataset
    # The data set's own validation split, else classes held out; None if `data.validation` is 0.
    validation: ImageDataset | None
    test: ImageDataset

    @property
    def shared_classes(self) -> list[str]:
        """Test classes that are also trained on: not empty in a closed-set experiment."""
        return sorted(set(self.train.classes) & set(self.test.classes))

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of classes and images, for the results of a run."""
        return {
            "train_classes": self.train.num_classes,
            "train_images": len(self.train),
            "test_classes": self.test.num_classes,
            "test_images": len(self.test),
            "test_classes_trained_on": len(self.shared_classes),
        }

    @property
    def has_own_validation(self) -> bool:
        """Whether the validation images are the data set's own split, not held-out classes."""
        return self.validation is not None and self.validation.split == OWN_VALIDATION

    @property
    def validation_note(self) -> str | None:
        """A sentence about the data set's own validation split, if it has one."""
        if self.has_own_validation:
            return (
                "The best epoch is chosen on the data set's validation split; no class is held out."
            )
        if OWN_VALIDATION in self.train.SPLITS:
            return "The data set's validation split is not used, because data.validation is 0."
        return None


def build_splits(config: ExperimentConfig) -> Splits:
    """Open the three splits, with their transforms; a ValueError starts with the setting."""
    whole = open_split(config, "train", augment=True)
    test = open_split(config, "test", augment=False)
    with blame_setting("data"):
        check_findable(test)
        shared = sorted(set(whole.classes) & set(test.classes))
        if shared and isinstance(whole, PublishedDataset):
            raise ValueError(
                f"{whole.name} must have no class in both train and test, but shares "
                f"{len(shared)}, such as {shared[0]!r}: check its files with gcahng data verify"
            )
    if config.data.validation == 0:
        return Splits(whole, None, test)
    if OWN_VALIDATION in whole.SPLITS:
        own = open_split(config, OWN_VALIDATION, augment=False)
        with blame_setting("data"):
            check_findable(own, "validation")
        return Splits(whole, own, test)
    with blame_setting("data.validation"):
        if whole.num_classes < FEWEST:
            raise ValueError(
                f"of {whole.num_classes} training classes none can be held out: set it to 0, and "
                f"batch.classes to at most {whole.num_classes}"
            )
        kept, held_out = split_classes(
            whole.num_classes, config.data.validation, config.data.validation_seed
        )
    validation = ClassSubset(whole, held_out, transform_of(config, augment=False))
    with blame_setting("data.validation"):
        check_findable(validation, "validation")
    return Splits(ClassSubset(whole, kept, whole.transform), validation, test)


def build_warm_start_split(config: ExperimentConfig) -> ImageDataset | None:
    """Open the split for the warm start; None if none is configured."""
    if config.embedder.warm_start is None:
        return None
    with blame_setting("embedder.warm_start"):
        return open_split(config, "warm_start", augment=True)


def open_split(config: ExperimentConfig, split: str, augment: bool) -> ImageDataset:
    """Open one of the data set's `SPLITS`, with the training (`augment`) or the test transform."""
    with blame_setting("data.name"):
        DATASETS.find(config.data.name)
    with blame_setting("data.args"):
        args = DATASETS.check(config.data.name, config.data.args, place="data.args")
    root = data_root(config)
    try:
        with blame_setting("data.args" if config.data.args else "data"):
            dataset = build_dataset(config.data.name, split, root, **args)
    except FileNotFoundError as error:
        if config.data.root is not None or f"'{root}" not in str(error):
            raise
        raise FileNotFoundError(
            f"{error} data.root (or --root) is not set, so data sets are looked for in '{root}'."
        ) from error
    dataset.transform = transform_of(config, augment)
    return dataset


def open_plain(config: ExperimentConfig, split: str) -> ImageDataset:
    """Open a split for evaluation, without augmentation; `train` and `val` as in training."""
    known = dict.fromkeys([*DATASETS.find(config.data.name).SPLITS, "val"])
    if split not in known:
        raise ValueError(f"--split: expected one of {', '.join(known)}, got {split!r}")
    if split not in ("train", "val"):
        return open_split(config, split, augment=False)
    splits = build_splits(config)
    dataset = splits.train if split == "train" else splits.validation
    if dataset is None:
        raise ValueError("--split: data.validation is 0 in this run, so it has no 'val'")
    dataset.transform = transform_of(config, augment=False)
    return dataset


def transform_of(config: ExperimentConfig, augment: bool) -> Any:
    """Build the transform for training (`augment`) or tests, by default the data set's own.

    The data set need not be on this machine. Tests have a `Preparation`.
    """
    section = config.data.transform
    args = section.train if augment else section.test
    with blame_setting("data.name"):
        name = section.name or DATASETS.find(config.data.name).transform_name
    with blame_setting("data.transform.name"):
        if name == LIBRARY:
            backbone = config.embedder.backbone.name
            if (found := own_transform(backbone)) is None:
                raise ValueError(f"'{LIBRARY}' is of timm and torchvision; {backbone!r} is none")
            if args:
                raise ValueError(f"'{LIBRARY}' takes no arguments (got {', '.join(args)})")
            return found
        TRANSFORMS.find(name)
    place = f"data.transform.{'train' if augment else 'test'}"
    with blame_setting(place):
        args = TRANSFORMS.check(name, args, place=place)
        return build_transform(name, augment, **args)


def as_untrained(config: ExperimentConfig, dataset: ImageDataset) -> ImageDataset | None:
    """View a data set as the library of a pretrained backbone prepares pictures.

    None without pretrained weights, or with another transform than `imagenet`: `library` does the
    same, and what a user wrote is taken as it is.
    """
    backbone = config.embedder.backbone
    if (config.data.transform.name or dataset.transform_name) != "imagenet":
        return None
    if not starts_pretrained(backbone.name, backbone.args):
        return None
    transform: Any = own_transform(backbone.name)
    if transform is None:  # a network of this project
        if config.data.transform.test.keys() <= {"reduced_jpeg"}:
            return None
        transform = build_transform("imagenet", train=False)
    return ClassSubset(dataset, range(dataset.num_classes), transform)


def build_train_loader(
    config: ExperimentConfig, dataset: ImageDataset, group: Group = None
) -> TrainLoader:
    """Load class-balanced batches in slot-major order, of which each process of `group` a part."""
    available = dataset.num_classes
    if 2 <= available < config.batch.classes:
        raise ValueError(
            f"batch.classes: expected at most the {available} training classes, "
            f"got {config.batch.classes}"
        )
    published = config.quirks.sampling == "faithful"
    make = PublishedBatchSampler if published else ClassBalancedBatchSampler
    with blame_setting("batch"):
        sampler = make(dataset.labels, config.batch.classes, config.batch.samples, config.seed)
    workers, pin = config.data.workers, torch.cuda.is_available()
    return TrainLoader(dataset, sampler, group, num_workers=workers, pin_memory=pin)

"""The contract of a data set, and one file per data set that lives on disk."""

from data.datasets.base import ClassSubset, ImageDataset, RawImage, Transform, split_classes

__all__ = ["ClassSubset", "ImageDataset", "RawImage", "Transform", "split_classes"]

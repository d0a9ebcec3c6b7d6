"""Images and labels: data sets, samplers and transforms."""

from gcahng.data.catalogue import DATASETS, build_dataset
from gcahng.data.contact_sheet import contact_sheet
from gcahng.data.datasets import (
    CUB,
    SOP,
    Archive,
    Cars,
    ClassSubset,
    CSVFile,
    FileDataset,
    Folder,
    HuggingFace,
    ImageDataset,
    InShop,
    Listing,
    PublishedDataset,
    RawImage,
    Size,
    Source,
    Transform,
    check_findable,
    read_image,
    split_classes,
)
from gcahng.data.download import download
from gcahng.data.embedded import Digits, Glyphs
from gcahng.data.loader import AugmentedView, FeatureLoader, ImageLoader, TrainLoader
from gcahng.data.samplers import ClassBalancedBatchSampler, PublishedBatchSampler
from gcahng.data.transforms import TRANSFORMS, build_transform
from gcahng.data.verification import Part, Verification, verify

__all__ = [
    "CUB",
    "DATASETS",
    "SOP",
    "TRANSFORMS",
    "Archive",
    "AugmentedView",
    "CSVFile",
    "Cars",
    "ClassBalancedBatchSampler",
    "ClassSubset",
    "Digits",
    "FeatureLoader",
    "FileDataset",
    "Folder",
    "Glyphs",
    "HuggingFace",
    "ImageDataset",
    "ImageLoader",
    "InShop",
    "Listing",
    "Part",
    "PublishedBatchSampler",
    "PublishedDataset",
    "RawImage",
    "Size",
    "Source",
    "TrainLoader",
    "Transform",
    "Verification",
    "build_dataset",
    "build_transform",
    "check_findable",
    "contact_sheet",
    "download",
    "read_image",
    "split_classes",
    "verify",
]

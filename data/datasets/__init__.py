"""The base class of data sets, and one module per data set stored on disk."""

from gcahng.data.datasets.base import (
    ClassSubset,
    ImageDataset,
    RawImage,
    Transform,
    check_findable,
    split_classes,
)
from gcahng.data.datasets.cars import Cars
from gcahng.data.datasets.csv_file import CSVFile
from gcahng.data.datasets.cub import CUB
from gcahng.data.datasets.files import FileDataset
from gcahng.data.datasets.folder import Folder
from gcahng.data.datasets.huggingface import HuggingFace
from gcahng.data.datasets.inshop import InShop
from gcahng.data.datasets.listing import Listing
from gcahng.data.datasets.published_dataset import Archive, PublishedDataset, Size, Source
from gcahng.data.datasets.sop import SOP
from gcahng.pictures import read_image

__all__ = [
    "CUB",
    "SOP",
    "Archive",
    "CSVFile",
    "Cars",
    "ClassSubset",
    "FileDataset",
    "Folder",
    "HuggingFace",
    "ImageDataset",
    "InShop",
    "Listing",
    "PublishedDataset",
    "RawImage",
    "Size",
    "Source",
    "Transform",
    "check_findable",
    "read_image",
    "split_classes",
]

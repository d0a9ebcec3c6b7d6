"""The contract of a data set, and one file per data set that lives on disk."""

from data.datasets.base import ClassSubset, ImageDataset, RawImage, Transform, split_classes
from data.datasets.benchmark import Archive, Benchmark, Size, Source
from data.datasets.cars import Cars
from data.datasets.csv_file import CSVFile
from data.datasets.cub import CUB
from data.datasets.files import FileDataset, Listing
from data.datasets.folder import Folder
from data.datasets.inshop import InShop
from data.datasets.pictures import read_image
from data.datasets.sop import SOP

__all__ = [
    "CUB",
    "SOP",
    "Archive",
    "Benchmark",
    "CSVFile",
    "Cars",
    "ClassSubset",
    "FileDataset",
    "Folder",
    "ImageDataset",
    "InShop",
    "Listing",
    "RawImage",
    "Size",
    "Source",
    "Transform",
    "read_image",
    "split_classes",
]

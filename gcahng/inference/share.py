"""Share a model: weights, settings, figures and a card, in a folder or on the Hub."""

import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.repocard import metadata_load

from gcahng.config import ExperimentConfig, dump_config
from gcahng.files import check_folder, write_text
from gcahng.inference.hub import CARD, LIBRARY, license_on_hub, upload_folder
from gcahng.models.artifact import (
    SETTINGS,
    WEIGHTS,
    EmbedderSpec,
    library_version,
    without_folders,
    write_artifact,
)
from gcahng.models.heads import WhiteningHead
from gcahng.preparation import Preparation, Size
from gcahng.registry import names_class
from gcahng.runs.folder import RunFolder
from gcahng.runs.loading import LoadedRun
from gcahng.runs.record import figures_after, read_record, selection_notes
from gcahng.runs.verdict import comparison

TASK = "image-feature-extraction"
TEMPLATE = Path(__file__).parent / "templates" / "model_card.md.jinja"
EARLIER_CARD = "README.earlier.md"
# Data sets whose name says how they are stored, not what they are.
STORED = ("csv", "folder", "huggingface")
# What the results of a run say about its data.
COUNTS = ("train_classes", "train_images", "test_classes", "test_images")


def save_model(run: LoadedRun, folder: Path, license: str | None = None) -> None:
    """Write a model to share into a folder.

    A new or empty folder gets all files or none; an earlier share is replaced file by file. If the
    card there has another text, it is kept as README.earlier.md, and a warning says so.

    Args:
        run: The model.
        folder: New, empty, or with an earlier share, which is replaced.
        license: For the model card; default: as in the card that is there, or of the model.

    Raises:
        FileExistsError: If the folder holds something else.

    Example:
        >>> from gcahng import load_run
        >>> save_model(load_run("runs/digits-seed0"), Path("shared"), license="mit")
        >>> sorted(file.name for file in Path("shared").iterdir())
        ['README.md', 'config.json', 'model.safetensors']
    """
    folder = folder.expanduser()
    check_folder(folder)
    there = folder.is_dir() and any(folder.iterdir())
    whole = all((folder / name).is_file() for name in (SETTINGS, WEIGHTS, CARD))
    if there and not (whole and is_card(folder / CARD)):
        raise FileExistsError(
            f"'{folder}' holds other files than a shared model: choose a new or an empty folder"
        )
    source, folder = _name_in_card(folder), Path(os.path.realpath(folder))
    license = license or license_of(folder / CARD)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that renaming is enough to put everything in place.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        made = Path(temporary) / "share"
        _write(run, made, source, license)
        if not there:
            os.replace(made, folder)
            return
        if (folder / CARD).read_bytes() != (made / CARD).read_bytes():
            os.replace(folder / CARD, folder / EARLIER_CARD)
            warnings.warn(
                f"the earlier text of '{folder / CARD}' is in {EARLIER_CARD}", stacklevel=2
            )
        for name in (WEIGHTS, SETTINGS, CARD):
            os.replace(made / name, folder / name)


def push_model(run: LoadedRun, name: str, private: bool = False, license: str | None = None) -> str:
    """Upload a model to a repository of the Hugging Face Hub, created if missing.

    Returns:
        The address of the repository.

    Raises:
        ConnectionError: If the Hub refuses it or cannot be reached.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "share"
        _write(run, folder, name, license or license_on_hub(name))
        return upload_folder(folder, name, private)


def _write(run: LoadedRun, folder: Path, source: str, license: str | None) -> None:
    license = license or license_of(run.path.with_name(CARD))
    config = public_settings(run.config) if run.settings else None
    experiment = None if config is None else config.model_dump()
    figures, spec, dim = figures_of(run), run.spec.public(), run.embedder.embedding_dim
    write_artifact(folder, run.embedder, spec, experiment, figures)
    write_text(folder / CARD, model_card(spec, dim, config, figures, source, license))


def _name_in_card(folder: Path) -> str:
    """Name a folder as seen from the working directory, else by its last part alone."""
    here = Path.cwd()
    if not folder.is_absolute():
        return folder.as_posix()
    return folder.relative_to(here).as_posix() if folder.is_relative_to(here) else folder.name


def name_data(config: ExperimentConfig) -> str:
    """Name the data of an experiment: a folder of the user's, or a repository, by its own name.

    Example:
        >>> from gcahng.config import load_config
        >>> name_data(load_config("photos", ["data.root=/home/me/cups"]))
        'cups'
        >>> name_data(load_config("digits"))
        'digits'
    """
    data = config.data
    if data.name not in STORED:
        return data.name
    root = Path(data.root).resolve().name if data.root else ""
    return str(data.args.get("hub") or root or data.name)


def public_settings(config: ExperimentConfig) -> ExperimentConfig:
    """Return the settings to publish: without the folders of this machine.

    `data.root`, `output` and `train.loggers` get their default: addresses of services may contain
    passwords. Of any other absolute path, such as that of a file with weights, only the last part
    is kept.

    Example:
        >>> from gcahng.config import load_config
        >>> settings = public_settings(load_config("digits", ["data.root=/home/me/data"]))
        >>> print(settings.data.root)
        None
    """
    values = without_folders(config.model_dump())
    values["data"]["root"] = None
    del values["output"], values["train"]["loggers"]
    return ExperimentConfig.model_validate(values)


def figures_of(run: LoadedRun) -> dict[str, Any] | None:
    """Collect the figures that were measured with exactly these weights.

    Args:
        run: From a run folder, a checkpoint in one, or a shared model.

    Returns:
        `dataset`, `split`, `date`, `epoch`, `selected` (how the epoch was chosen, and remarks),
        `metrics` (fractions), `verdict` (the sentence of `comparison`; null for another epoch than
        the best) and the numbers of classes and images. None if nothing was measured.

    Example:
        >>> from gcahng import load_run
        >>> figures = figures_of(load_run("runs/digits-seed0"))
        >>> figures["split"], figures["test_classes"], sorted(figures["metrics"])[0]
        ('test', 5, 'map@r')
    """
    if run.figures is not None:
        return dict(run.figures)
    is_shared = run.path.name == WEIGHTS
    folder = RunFolder(run.path.parent if is_shared else run.path.parent.parent)
    if not (run.settings and folder.results.is_file() and folder.config.is_file()):
        return None
    finished = folder.read_config().embedder.finish is not None
    if finished and not isinstance(run.embedder.fc, WhiteningHead):
        return None  # The figures are those of the last layer that replaces this one.
    record = read_record(folder, run.config.name)
    results: dict[str, Any] = dict(record.results)
    # The shared model in a run folder is that of the best epoch.
    epoch = results["best_epoch"] if is_shared else run.epoch
    if epoch not in (results["best_epoch"], results["epochs"]):
        return None
    best = epoch == results["best_epoch"]
    chosen, *remarks = selection_notes([record])
    chosen = chosen.replace("Best epochs", "Best epoch") if best else "The last epoch."
    return {
        "dataset": name_data(run.config),
        "split": "test",
        "date": results["date"],
        "epoch": epoch,
        "selected": " ".join([chosen, *remarks]),
        "metrics": figures_after(record, "best" if best else "last"),
        "verdict": comparison(results, run.config, results.get("untrained_px")) if best else None,
        **{name: results[name] for name in COUNTS},
    }


def model_card(
    spec: EmbedderSpec,
    dim: int,
    config: ExperimentConfig | None,
    figures: Mapping[str, Any] | None,
    source: str,
    license: str | None = None,
) -> str:
    """Write the model card of a shared model.

    Args:
        spec: What the model consists of.
        dim: Its embedding dimension.
        config: The settings of its training to publish; None for a backbone.
        figures: As from `figures_of`; None if nothing was measured.
        source: What `load_embedder` is to be called with.
        license: Such as `mit`; None leaves a sentence that asks for it.

    Returns:
        Markdown that starts with the metadata that the Hugging Face Hub reads.

    Example:
        >>> spec = EmbedderSpec("grey", "small_conv", {}, "linear", 8, False, Preparation())
        >>> model_card(spec, 8, None, None, "me/grey", "mit").splitlines()[:3]
        ['---', 'library_name: gcahng', 'license: mit']
    """
    measured = None
    if figures is not None:
        data_set, split = figures["dataset"], figures["split"]
        measured = [
            EvalResult(TASK, data_set, data_set, name, value, dataset_split=split)
            for name, value in figures["metrics"].items()
        ]
    data = ModelCardData(
        license=license,
        library_name=LIBRARY,
        pipeline_tag=TASK,
        tags=["image-retrieval", "metric-learning"],
        model_name=spec.name,
        eval_results=measured,
    )
    card = ModelCard.from_template(
        data,
        str(TEMPLATE),
        spec=spec,
        dim=dim,
        config=config,
        figures=figures,
        input=_describe(spec.preparation),
        imported=names_class(spec.backbone),
        license=license,
        recipe=config and dump_config(config).strip(),
        source=source,
        version=library_version("gcahng") or "",
    )
    return f"{card.content.rstrip()}\n"


def is_card(path: Path) -> bool:
    """Tell whether a file is the model card of a model of this library.

    Raises:
        ValueError: If the metadata at its top cannot be read.
    """
    return _metadata(path).get("library_name") == LIBRARY


def license_of(path: Path) -> str | None:
    """Read the license in a model card; None if there is no card, or none in it.

    Raises:
        ValueError: If the metadata at its top cannot be read.
    """
    return _metadata(path).get("license")


def _metadata(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return metadata_load(path) or {}
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"the metadata at the top of '{path}' cannot be read: mend it") from error


def _describe(steps: Preparation) -> str:
    """Say in words what is done to an image."""
    words = [] if steps.shortest_side is None else ["large JPEGs decoded at a reduced size"]
    if isinstance(steps.resize, int):
        words.append(f"shorter side resized to {steps.resize} pixels")
    elif steps.resize is not None:
        words.append(f"resized to {_by(steps.resize)} pixels")
    if steps.size is not None:
        words.append(f"centre cropped to {_by(steps.size)}")
    if steps.mean:
        words.append(f"normalised with mean {list(steps.mean)} and std {list(steps.std)}")
    return ", ".join(words)


def _by(size: Size) -> str:
    """Height × width."""
    height, width = (size, size) if isinstance(size, int) else size
    return f"{height} × {width}"

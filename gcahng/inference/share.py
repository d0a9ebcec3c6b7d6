"""Share a model: weights, settings, figures and a card, in a folder or on the Hub."""

import os
import tempfile
from pathlib import Path
from typing import Any

from gcahng.config import ExperimentConfig, read_config
from gcahng.files import check_folder, write_text
from gcahng.inference.card import is_card, license_of, model_card
from gcahng.inference.hub import CARD, license_on_hub, upload_folder
from gcahng.models.artifact import SETTINGS, WEIGHTS, without_folders, write_artifact
from gcahng.models.heads import WhiteningHead
from gcahng.runs.folder import RunFolder
from gcahng.runs.loading import LoadedRun
from gcahng.runs.record import figures_after, read_record, selection_notes
from gcahng.runs.verdict import comparison

EARLIER_CARD = "README.earlier.md"
# What the results of a run say about its data.
COUNTS = ("train_classes", "train_images", "test_classes", "test_images")


def save_model(run: LoadedRun, folder: Path, license: str | None = None) -> None:
    """Write a model to share into a folder.

    A new or empty folder gets all files or none; an earlier share is replaced file by file. If the
    card there has another text, it is kept as README.earlier.md.

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
    folder = Path(os.path.realpath(folder))
    license = license or license_of(folder / CARD)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that renaming is enough to put everything in place.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        made = Path(temporary) / "share"
        _write(run, made, folder.name, license)
        if not there:
            os.replace(made, folder)
            return
        if (folder / CARD).read_bytes() != (made / CARD).read_bytes():
            os.replace(folder / CARD, folder / EARLIER_CARD)
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
    finished = read_config(folder.config).embedder.finish is not None
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
        "dataset": run.config.data.name,
        "split": "test",
        "date": results["date"],
        "epoch": epoch,
        "selected": " ".join([chosen, *remarks]),
        "metrics": figures_after(record, "best" if best else "last"),
        "verdict": comparison(results, run.config, results.get("untrained_px")) if best else None,
        **{name: results[name] for name in COUNTS},
    }

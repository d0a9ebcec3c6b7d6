"""Share a model: weights, settings, image transform, figures and a card, in a folder or the Hub."""

import json
import os
import re
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from gcahng.builders.images import build_test_transform
from gcahng.config import ExperimentConfig
from gcahng.files import check_folder, write_text
from gcahng.inference.figures import figures_of
from gcahng.inference.hub import earlier_card, is_hub_name, upload_folder
from gcahng.inference.model_card import (
    is_card,
    license_of,
    model_card,
    with_license,
    with_source,
)
from gcahng.inference.preprocessing import preprocessing_of
from gcahng.runs.loading import LoadedRun
from gcahng.runs.shared import (
    CARD,
    FIGURES,
    PREPROCESSOR,
    SETTINGS,
    WEIGHTS,
    write_shared_model,
)

EARLIER_CARD = "README.earlier.md"
# The beginning of a path that may tell something about this machine or its user.
PRIVATE = re.compile(r"[/~\\]|\.\.[/\\]|file:|[A-Za-z]:[/\\]")


def save_model(run: LoadedRun, folder: Path, license: str | None = None) -> None:
    """Write a model to share into a folder.

    A new or empty folder gets all files or none; an earlier share is replaced file by file. If the
    card there has another text, it is kept as README.earlier.md.

    Args:
        run: The model.
        folder: New, empty, or with an earlier share, which is replaced.
        license: For the model card; default: as in the card that is there.

    Raises:
        FileExistsError: If the folder holds something else.

    Example:
        >>> from gcahng import load_run
        >>> save_model(load_run("runs/digits-seed0"), Path("shared"), license="mit")
        >>> sorted(file.name for file in Path("shared").iterdir())  # doctest: +NORMALIZE_WHITESPACE
        ['README.md', 'config.json', 'figures.json', 'model.safetensors',
        'preprocessor_config.json']
    """
    _check_free(folder.expanduser())
    folder = Path(os.path.realpath(folder.expanduser()))
    license = license or license_of(folder / CARD)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that renaming is enough to put everything in place.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        made = Path(temporary) / "share"
        _write(run, made, folder.name, license)
        if not folder.exists() or not any(folder.iterdir()):
            os.replace(made, folder)
            return
        names = {file.name for file in made.iterdir()}
        if (folder / CARD).read_bytes() != (made / CARD).read_bytes():
            os.replace(folder / CARD, folder / EARLIER_CARD)
        for name in names:
            os.replace(made / name, folder / name)
        if FIGURES not in names:
            (folder / FIGURES).unlink(missing_ok=True)


def push_model(run: LoadedRun, name: str, private: bool = False, license: str | None = None) -> str:
    """Upload a model to a repository of the Hugging Face Hub, created if missing.

    Returns:
        The address of the repository.

    Raises:
        ConnectionError: If the Hub refuses it or cannot be reached.
        ValueError: If the name is not of the form `user/repo`.
    """
    if not is_hub_name(name):
        raise ValueError(f"'{name}' is not the name of a repository on the Hub: user/repo")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "share"
        card = earlier_card(name)
        license = license or (None if card is None else license_of(card))
        _write(run, folder, name, license)
        return upload_folder(folder, name, private)


def public_settings(config: ExperimentConfig) -> ExperimentConfig:
    """The settings to publish: without the folders of this machine.

    `data.root`, `output` and `train.loggers` get their default: addresses of services may contain
    passwords. Of any other absolute path, such as that of a file with weights, only the last part
    is kept.

    Example:
        >>> from gcahng.config import load_config
        >>> settings = public_settings(load_config("digits", ["data.root=/home/me/data"]))
        >>> print(settings.data.root)
        None
    """
    values = _without_folders(config.model_dump())
    values["data"]["root"] = None
    values["output"] = ExperimentConfig.model_fields["output"].default
    del values["train"]["loggers"]
    return ExperimentConfig.model_validate(values)


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    if isinstance(value, str) and PRIVATE.match(value):
        return PurePosixPath(value.replace("\\", "/")).name
    return value


def _check_free(folder: Path) -> None:
    """Raise unless the folder is new, empty or an earlier share."""
    check_folder(folder)
    if not folder.exists() or not any(folder.iterdir()):
        return
    whole = all((folder / name).is_file() for name in (SETTINGS, WEIGHTS))
    if not (whole and is_card(folder / CARD)):
        raise FileExistsError(
            f"'{folder}' holds other files than a shared model: choose a new or an empty folder"
        )


def _write(run: LoadedRun, folder: Path, source: str, license: str | None) -> None:
    config, figures = public_settings(run.config), figures_of(run)
    steps = preprocessing_of(build_test_transform(config)[1])
    write_shared_model(folder, run.embedder, config)
    write_text(folder / PREPROCESSOR, json.dumps(steps.huggingface(), indent=2) + "\n")
    if figures is not None:
        write_text(folder / FIGURES, json.dumps(figures, indent=2) + "\n")
    given = run.path.with_name(CARD)
    if run.path.name == WEIGHTS and is_card(given):
        # Keep what people may have added to the card of a shared model.
        card = with_source(with_license(given, license), source)
    else:
        card = model_card(config, figures, steps, source, license)
    write_text(folder / CARD, card)

"""A model to share: the embedder's weights as safetensors, and its settings as JSON beside it."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gcahng.config import ExperimentConfig, parse_config
from gcahng.files import atomic_write, write_text
from gcahng.runs.folder import library_version

WEIGHTS = "model.safetensors"
SETTINGS = "config.json"
# These may stand beside the two, for people and other programs; opening a model needs none of them.
CARD = "README.md"
FIGURES = "figures.json"
PREPROCESSOR = "preprocessor_config.json"


def write_shared_model(folder: Path, embedder: nn.Module, config: ExperimentConfig) -> None:
    """Write the embedder to share into a folder: its weights, and its settings in `config.json`."""
    with atomic_write(folder / WEIGHTS) as temporary:
        # Copies, since safetensors stores no two names of one tensor, as tied weights have.
        state = {name: value.detach().clone() for name, value in embedder.state_dict().items()}
        state = {name: value.contiguous() for name, value in state.items()}
        # Unknown where the package runs without being installed.
        version = library_version("gcahng") or ""
        save_file(state, temporary, metadata={"gcahng": version, "format": "pt"})
    settings = json.dumps(config.model_dump(), indent=2)
    write_text(folder / SETTINGS, settings + "\n")


def read_shared_model(path: Path) -> tuple[ExperimentConfig, dict[str, Tensor]]:
    """Read the settings and the weights of a shared model.

    Args:
        path: Its `model.safetensors`, with `config.json` beside it.

    Raises:
        FileNotFoundError: If one of the two files is missing.
        ValueError: If a file is damaged or from another program, or the settings have a key that
            this version does not know.
    """
    settings = path.with_name(SETTINGS)
    for file in (path, settings):
        if not file.is_file():
            raise FileNotFoundError(f"no shared model at '{path}': '{file}' is missing")
    try:
        with safe_open(path, framework="pt") as file:
            written_by = (file.metadata() or {}).get("gcahng")
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"'{path}' cannot be read as safetensors: {error}") from error
    return _settings(settings, written_by), weights


def _settings(path: Path, written_by: str | None) -> ExperimentConfig:
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"'{path}' is damaged: it is not JSON ({error})") from error
    if not _is_ours(found):
        raise ValueError(
            f"'{path}' is not the configuration of a gcahng model (no 'embedder' and 'data' in it)"
        )
    try:
        return parse_config(text, str(path))
    except ValueError as error:
        ours = library_version("gcahng") or ""
        if _numbers(written_by or "") <= _numbers(ours):
            raise
        raise ValueError(
            f"{error}\nThe model was written by gcahng {written_by}, and this is {ours}: install "
            "that version or a later one"
        ) from error


def _is_ours(settings: Any) -> bool:
    return isinstance(settings, dict) and {"embedder", "data"} <= settings.keys()


def _numbers(version: str) -> list[int]:
    """The leading numbers of a version, to compare it with another."""
    numbers = []
    for part in version.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return numbers

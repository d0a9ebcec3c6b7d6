"""Open a trained run."""

from dataclasses import dataclass
from pathlib import Path

from gcahng.build import build_embedder
from gcahng.checkpoint import load_checkpoint
from gcahng.config import ExperimentConfig, parse_config
from gcahng.run_folder import RunFolder
from models import Embedder


@dataclass(frozen=True)
class LoadedRun:
    """A trained embedder and what it was trained by.

    Attributes:
        path: The checkpoint it was read from.
        config: The resolved configuration.
        embedder: In eval mode, on the CPU.
        epoch: After which epoch.
    """

    path: Path
    config: ExperimentConfig
    embedder: Embedder
    epoch: int


def load_run(path: str | Path, *, last: bool = False) -> LoadedRun:
    """Open a run folder or a checkpoint file.

    Args:
        path: A run folder, of which the best epoch is opened, or a checkpoint.
        last: Open the last epoch of a run folder instead.

    Raises:
        FileNotFoundError: If there is nothing at `path`, or no checkpoint in the folder.
        ValueError: If the checkpoint is damaged or foreign.
    """
    path = Path(path)
    if path.is_dir():
        folder = RunFolder(path)
        path = folder.last if last else folder.best
        if not path.is_file():
            raise FileNotFoundError(f"no run in '{folder.path}': it has no {path.name}")
    state = load_checkpoint(path)
    config = parse_config(state["config"], str(path))
    embedder = build_embedder(config)
    embedder.load_state_dict(state["embedder"])
    return LoadedRun(path, config, embedder.eval(), state["epoch"])

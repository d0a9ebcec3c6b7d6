"""Where a trained model comes from: a run, a file, or the Hub."""

from pathlib import Path

from gcahng.files import refuse_address
from gcahng.inference.hub import download_model, names_repository
from gcahng.runs.loading import LoadedRun, load_run
from gcahng.runs.published import load_published_run


def open_model(
    source: str | Path, last: bool = False, revision: str | None = None, trust: bool = False
) -> LoadedRun:
    """Open what `load_embedder` opens, without the parts that embed single images."""
    refuse_address(source)
    path = Path(source).expanduser()
    on_hub = names_repository(str(source))
    if revision is not None and not on_hub:
        raise ValueError(f"'revision' applies to a model on the Hub; '{source}' is not one")
    if on_hub:
        path = download_model(str(source), revision)
    if path.suffix == ".pth":
        return load_published_run(path)
    return load_run(path, last=last, trust=trust)

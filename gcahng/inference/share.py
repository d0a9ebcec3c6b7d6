"""Share a model: weights, settings, figures and a card, in a folder or on the Hub."""

import os
import tempfile
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, HfApi, ModelCard, ModelCardData
from huggingface_hub.errors import HTTPError

from gcahng.config import ExperimentConfig, dump_config
from gcahng.files import check_folder, write_text
from gcahng.models.artifact import (
    WEIGHTS,
    library_version,
    without_folders,
    write_artifact,
)
from gcahng.models.heads import WhiteningHead
from gcahng.reasons import first_line
from gcahng.registry import names_class
from gcahng.runs.folder import RunFolder
from gcahng.runs.loading import LoadedRun
from gcahng.runs.record import figures_after, read_record, selection_notes
from gcahng.runs.verdict import comparison

CARD = "README.md"
LIBRARY = "gcahng"
TASK = "image-feature-extraction"
TEMPLATE = Path(__file__).parent / "templates" / "model_card.md.jinja"
# Data sets whose name says how they are stored, not what they are.
STORED = ("csv", "folder", "huggingface")
# What the results of a run say about its data.
COUNTS = ("train_classes", "train_images", "test_classes", "test_images")


def save_model(run: LoadedRun, folder: Path, license: str | None = None) -> None:
    """Write a model to share into a new or empty folder: all files or none.

    Raises:
        FileExistsError: If the folder holds something.
    """
    folder = folder.expanduser().resolve()
    check_folder(folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(f"'{folder}' is not empty: choose a new or an empty folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # As the reader of the card names it here; folders around the working one are nobody's business.
    here = Path.cwd()
    source = folder.relative_to(here) if folder.is_relative_to(here) else Path(folder.name)
    # Beside the target, so that renaming is enough to put everything in place.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        made = Path(temporary) / "share"
        _write(run, made, source.as_posix(), license)
        os.replace(made, folder)


def push_model(run: LoadedRun, name: str, private: bool = False, license: str | None = None) -> str:
    """Upload a model to a repository of the Hugging Face Hub, and return its address."""
    api = HfApi(library_name=LIBRARY, library_version=library_version(LIBRARY))
    with tempfile.TemporaryDirectory() as temporary:
        _write(run, Path(temporary), name, license)
        try:
            api.create_repo(name, private=private, exist_ok=True)
            api.upload_folder(
                repo_id=name, folder_path=temporary, commit_message="Upload gcahng model"
            )
        # Without a connection, the error is that of the HTTP library.
        except (HTTPError, OSError) as error:
            raise ConnectionError(
                f"'{name}' cannot be uploaded: {first_line(error)}; log in with `hf auth login`, "
                f"and check that you may write there (a folder here is './{name}')"
            ) from error
    return f"{api.endpoint}/{name}"


def _write(run: LoadedRun, folder: Path, source: str, license: str | None) -> None:
    """Write the model's files and its card; `source` is what opens it, in the card."""
    config = experiment = None
    if run.settings:
        # Without folders of this machine, and addresses of services.
        values = without_folders(run.config.model_dump())
        values["data"]["root"] = None
        del values["output"], values["train"]["loggers"]
        config = ExperimentConfig.model_validate(values)
        experiment = config.model_dump()
    figures, spec = figures_of(run), run.spec.public()
    write_artifact(folder, run.embedder, spec, experiment, figures)
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
        dim=run.embedder.embedding_dim,
        config=config,
        figures=figures,
        imported=names_class(spec.backbone),
        license=license,
        recipe=config and dump_config(config).strip(),
        source=source,
        version=library_version(LIBRARY) or "",
    )
    write_text(folder / CARD, f"{card.content.rstrip()}\n")


def name_data(config: ExperimentConfig) -> str:
    """Name the data of an experiment: a folder of the user's, or a repository, by its own name."""
    data = config.data
    if data.name not in STORED:
        return data.name
    root = Path(data.root).resolve().name if data.root else ""
    return str(data.args.get("hub") or root or data.name)


def figures_of(run: LoadedRun) -> dict[str, Any] | None:
    """Collect the figures that were measured with exactly these weights; None if there are none."""
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

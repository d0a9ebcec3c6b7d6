"""`gcahng evaluate`: retrieval figures of a trained embedder or of a pretrained backbone."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gcahng.commands.options import Last, Model, Root, Trust, Weights
from gcahng.commands.terminal import console, counting_bar, loading
from gcahng.files import check_folder

if TYPE_CHECKING:
    from gcahng.evaluation.retrieval import QueryScores
    from gcahng.runs.embedding import EvaluatedRun

# Classes that the terminal shows.
SHOWN = 10
Data = Annotated[str | None, typer.Option(help="Another data set; default as in training.")]
Split = Annotated[str, typer.Option(help="Which split: test, val or another.")]
Compare = Annotated[bool, typer.Option(help="Also compare with the untrained backbone.")]
Out = Annotated[Path | None, typer.Option(help="Folder for a page and all figures as files.")]


def evaluate(
    model: Model,
    data: Data = None,
    root: Root = None,
    split: Split = "test",
    classes: Annotated[bool, typer.Option("--classes", help="Also recall by class.")] = False,
    compare: Compare = True,
    out: Out = None,
    weights: Weights = None,
    last: Last = False,
    trust: Trust = False,
) -> None:
    """Measure retrieval with a trained embedder, or with a backbone that is not trained further.

    Example: gcahng evaluate timm/resnet18 --data folder --root photos --classes
    """
    check_folder(out, "--out")
    with loading():
        from gcahng.evaluation.evaluate import figures_by_class, scores_of_queries
        from gcahng.inference.embed_data import check_data, embed_data
        from gcahng.inference.embedder import load_embedder
        from gcahng.reports.tables import CLASS_COLUMNS, figure_columns, results_table
        from gcahng.runs.verdict import comparison
    check_data(model, data)
    embedder = load_embedder(model, weights=weights, last=last, trust=trust)
    with counting_bar("embed") as progress:
        found = embed_data(embedder, data, root, split, progress=progress)
    scores = scores_of_queries(found.embeddings, found.dataset, found.run.config)
    figures = scores.means()
    where = f"{split} split of {found.dataset.name}"
    epoch = "" if found.run.epoch is None else f", epoch {found.run.epoch}"
    size = f"{found.dataset.num_classes} classes, {len(found.dataset)} images"
    console.print(f"{found.run.path}{epoch}; {where}, {size}, %", soft_wrap=True)
    console.print(results_table([figures], figure_columns(figures)))
    if classes:  # with the lowest recall
        rows = figures_by_class(found.embeddings, found.dataset, found.run.config)
        console.print("", results_table(rows[:SHOWN], CLASS_COLUMNS), sep="\n")
        more = f"… and {len(rows) - SHOWN} more\n" if len(rows) > SHOWN else ""
        console.print(more)
    gained = _gains(found, scores) if compare else {}
    compared = comparison(gained, found.run.config, gained.get("untrained_px"))
    notes = [] if compared is None else [compared]
    notes += how_measured(found, [found.run.path] if split == "test" and data is None else [])
    console.print(*notes, soft_wrap=True)
    if out is not None:
        from gcahng.reports.run_report import write_evaluation

        write_evaluation(out, found, f"{found.run.path} on the {where}", figures, gained, notes)
        console.print(f"page: {out / 'evaluation.html'}", soft_wrap=True)


def _gains(found: "EvaluatedRun", scores: "QueryScores") -> dict[str, float]:
    """Gains over the model's untrained backbone; none if that is not at hand, which is said."""
    from gcahng.evaluation.comparison import gains
    from gcahng.evaluation.evaluate import scores_of_queries
    from gcahng.inference.embed_data import embed_untrained

    try:
        with counting_bar("embed, untrained") as progress:
            untrained = embed_untrained(found, progress=progress)
    except (OSError, ValueError) as error:
        console.print(f"not compared with no training: {error}", soft_wrap=True)
        return {}
    if untrained is None:
        return {}
    images, features = untrained
    gained = gains(scores, scores_of_queries(features, images, found.run.config))
    return gained | {"untrained_px": images[0][0].shape[-1]}


def how_measured(found: "EvaluatedRun", checkpoints: Iterable[Path]) -> list[str]:
    """Say how the epochs of runs were chosen, by their checkpoints, and what ranked the images."""
    from gcahng.evaluation.ranking import ranked_by
    from gcahng.runs.folder import RunFolder
    from gcahng.runs.record import read_record, selection_notes

    folders = [RunFolder(path.parent.parent) for path in checkpoints]
    there = [folder for folder in folders if folder.results.is_file()]
    chosen = selection_notes([read_record(folder, folder.path.name) for folder in there])
    engine = ranked_by(found.run.config.eval.engine, found.embeddings.device)
    return [*chosen, f"Ranked by {engine}."]

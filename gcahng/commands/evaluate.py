"""`gcahng evaluate`: retrieval figures of a trained embedder."""

from dataclasses import replace
from typing import Annotated

import typer

from gcahng.commands.options import Last, Root, Source, Trust
from gcahng.commands.terminal import console, counting_bar


def evaluate(
    source: Source,
    last: Last = False,
    split: Annotated[str, typer.Option(help="Which split: test, val or another.")] = "test",
    root: Root = None,
    trust: Trust = False,
) -> None:
    """Measure retrieval with a trained embedder.

    Example: gcahng evaluate runs/quickstart-seed0
    """
    from gcahng.config import with_data_root
    from gcahng.evaluation.engines import ranked_by
    from gcahng.evaluation.evaluate import retrieval_figures
    from gcahng.reports.result_table import figure_columns
    from gcahng.reports.tables import results_table
    from gcahng.runs.folder import RunFolder
    from gcahng.runs.loading import embed_split, load_run
    from gcahng.runs.record import read_record, selection_notes

    run = load_run(source, last=last, trust=trust)
    if root is not None:
        run = replace(run, config=with_data_root(run.config, root))
    with counting_bar("embed", console) as progress:
        found = embed_split(run, split, progress=progress)
    figures = retrieval_figures(found.embeddings, found.dataset, run.config)
    epoch = "" if run.epoch is None else f", epoch {run.epoch}"
    console.print(f"{run.path}{epoch}; {split} split of {found.dataset.name}, %", soft_wrap=True)
    console.print(results_table([figures], figure_columns(figures)))
    engine = ranked_by(run.config.eval.engine, found.embeddings.device)
    folder = RunFolder(run.path.parent.parent)
    notes = []
    if split == "test" and folder.results.is_file():
        notes = selection_notes([read_record(folder, folder.path.name)])
    console.print(*notes, f"Ranked by {engine}.", highlight=False, soft_wrap=True)

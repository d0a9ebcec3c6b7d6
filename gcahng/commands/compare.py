"""`gcahng compare`: two or more models on the same images, and where they differ."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gcahng.commands.evaluate import Data, Out, Split, how_measured
from gcahng.commands.options import MODEL, Last, Root, Trust
from gcahng.commands.terminal import console, counting_bar, loading
from gcahng.files import check_folder

if TYPE_CHECKING:
    from torch import Tensor

    from gcahng.inference.embedder import TrainedEmbedder
    from gcahng.runs.embedding import EvaluatedRun

# Classes that the terminal shows of those that gained, and of those that lost.
SHOWN = 5
Weights = Annotated[
    list[str] | None,
    typer.Option(help="Weights of a backbone, a file or package:NAME; one for each, in order."),
]


def compare(
    models: Annotated[
        list[str], typer.Argument(help=f"Two or more, each: {MODEL[0].lower()}{MODEL[1:]}")
    ],
    data: Data = None,
    root: Root = None,
    split: Split = "test",
    out: Out = None,
    weights: Weights = None,
    last: Last = False,
    trust: Trust = False,
) -> None:
    """Compare models with the first of them: figures, and the classes and queries that differ.

    Example: gcahng compare timm/resnet18 runs/photos-seed0 --data folder --root photos --out page
    """
    if len(models) < 2:
        raise ValueError(f"name two models or more to compare (got '{models[0]}' alone)")
    check_folder(out, "--out")
    with loading():
        from gcahng.inference.embed_data import check_data, embed_data
        from gcahng.reports.comparison import (
            CLASS_CHANGES,
            compare_models,
            most_changed,
            sentence,
            write_comparison,
        )
        from gcahng.reports.tables import Column, figure_columns, results_table
    check_data(models[0], data)
    opened = _open(models, weights, last, trust)
    with counting_bar(f"embed by {models[0]}") as progress:
        found = embed_data(opened[0], data, root, split, progress=progress)
    dataset = found.dataset
    compared = compare_models(_embed(models, opened, found), dataset, found.run.config)
    title = f"{split} split of {dataset.name}, {dataset.num_classes} classes, {len(dataset)} images"
    own = [one for one in opened if split == "test" and data is None and one.run.settings]
    same = [one.run.path for one in own if one.config.data == opened[0].config.data]
    notes = how_measured(found, same)
    first, *others = compared
    console.print(f"{title}, %", soft_wrap=True)
    columns = [Column("model", "model"), *figure_columns(first.figures)]
    console.print(results_table([{"model": one.name, **one.figures} for one in compared], columns))
    for one in others:
        console.print("", sentence(one, first), sep="\n", soft_wrap=True)
        for heading, rows in most_changed(one, SHOWN):
            console.print("", results_table(rows, CLASS_CHANGES, heading), sep="\n")
    console.print(f"\n{' '.join(notes)}", soft_wrap=True)
    if out is not None:
        write_comparison(out, f"Models on the {title}", compared, dataset, notes)
        console.print(f"page: {out / 'comparison.html'}", soft_wrap=True)


def _open(
    names: Sequence[str], weights: Sequence[str] | None, last: bool, trust: bool
) -> "list[TrainedEmbedder]":
    """Open all models before the first is used, so that a wrong name is found at once."""
    from gcahng.inference.embedder import load_embedder, names_backbone

    plain = [names_backbone(name) for name in names]
    if weights and len(weights) != sum(plain):
        raise ValueError(
            f"--weights: expected one for each backbone, so {sum(plain)} (got {len(weights)})"
        )
    files = iter(weights or ())
    return [
        load_embedder(
            name, weights=next(files, None) if bare else None, last=last and not bare, trust=trust
        )
        for name, bare in zip(names, plain, strict=True)
    ]


def _embed(
    names: Sequence[str], opened: "Sequence[TrainedEmbedder]", found: "EvaluatedRun"
) -> "Iterator[tuple[str, Tensor]]":
    """Embed the images that the first model has embedded by the others, too."""
    from gcahng.evaluation.evaluate import embed
    from gcahng.inference.embed_data import prepared_for

    yield names[0], found.embeddings
    workers = found.run.config.data.workers
    for name, model in zip(names[1:], opened[1:], strict=True):
        images = prepared_for(model, found.dataset)
        with counting_bar(f"embed by {name}") as progress:
            yield name, embed(model.network, images, workers=workers, progress=progress)

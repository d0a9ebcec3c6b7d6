"""`gcahng compare`: two or more models on the same images, and where they differ."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gcahng.commands.evaluate import Data, Split, how_measured
from gcahng.commands.options import MODEL, Last, Root, Trust
from gcahng.commands.terminal import console, counting_bar, loading

if TYPE_CHECKING:
    from torch import Tensor

    from gcahng.evaluation.comparison import Changes
    from gcahng.inference.embedder import TrainedEmbedder
    from gcahng.runs.embedding import EvaluatedRun

# Classes that the terminal shows of those that gained, and of those that lost.
SHOWN = 5
CLASS_CHANGES = (
    ("class", "class", ""),
    ("queries", "queries", ".0f"),
    ("first", "R@1 of the first [%]", ".2%"),
    ("second", "R@1 [%]", ".2%"),
    ("difference", "difference", "+.2%"),
    ("gained", "gained", ".0f"),
    ("lost", "lost", ".0f"),
)
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
    weights: Weights = None,
    last: Last = False,
    trust: Trust = False,
) -> None:
    """Compare models with the first of them: figures, and the classes and queries that differ.

    Example: gcahng compare timm/resnet18 runs/photos-seed0 --data folder --root photos
    """
    if len(models) < 2:
        raise ValueError(f"name two models or more to compare (got '{models[0]}' alone)")
    with loading():
        from gcahng.evaluation.comparison import changes, gains
        from gcahng.evaluation.evaluate import nearest_of_queries, scores_of_queries
        from gcahng.inference.embed_data import check_data, embed_data
        from gcahng.reports.tables import Column, figure_columns, results_table
        from gcahng.runs.verdict import gains_in_words
    check_data(models[0], data)
    opened = _open(models, weights, last, trust)
    with counting_bar(f"embed by {models[0]}", console) as progress:
        found = embed_data(opened[0], data, root, split, progress=progress)
    dataset = found.dataset
    rows: list[dict[str, Any]] = []
    compared = []
    for name, embeddings in _embed(models, opened, found):
        scores = scores_of_queries(embeddings, dataset, found.run.config)
        nearest = nearest_of_queries(embeddings, dataset, found.run.config)
        right = nearest.right(dataset.labels)
        if not rows:
            first, before = scores, right
        else:
            changed = changes(before, right, dataset.labels[nearest.queries], dataset.classes)
            compared.append((name, gains_in_words(gains(scores, first)), changed))
        rows.append({"model": name, **scores.means()})
    size = f"{dataset.num_classes} classes, {len(dataset)} images"
    console.print(f"{split} split of {dataset.name}, {size}, %", soft_wrap=True)
    figures = [name for name in rows[0] if name != "model"]
    console.print(results_table(rows, [Column("model", "model"), *figure_columns(figures)]))
    for name, difference, changed in compared:
        _print_changes(name, models[0], difference, changed, len(before))
    own = [one for one in opened if split == "test" and data is None and one.run.settings]
    same = [one.run.path for one in own if one.config.data == opened[0].config.data]
    console.print(f"\n{' '.join(how_measured(found, same))}", soft_wrap=True)


def _print_changes(
    name: str, first: str, difference: str, changed: "Changes", queries: int
) -> None:
    """Print by how much a model differs from the first, in how many queries and which classes."""
    from gcahng.reports.tables import Column, results_table

    console.print(
        f"\n{name} against {first}: {difference} At R@1, {len(changed.gained)} of {queries} "
        f"queries are right by {name} alone (gained), {len(changed.lost)} by {first} alone (lost).",
        soft_wrap=True,
    )
    columns = [Column(*column) for column in CLASS_CHANGES]
    gained = [row for row in changed.classes if row["difference"] > 0]
    lost = [row for row in reversed(changed.classes) if row["difference"] < 0]
    for verb, rows in (("gained", gained), ("lost", lost)):
        if rows:
            table = results_table(rows[:SHOWN], columns, f"Classes that {verb} the most")
            console.print("", table, sep="\n")


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
        with counting_bar(f"embed by {name}", console) as progress:
            yield name, embed(model.network, images, workers=workers, progress=progress)

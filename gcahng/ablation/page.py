"""The text of a grid's report, as Markdown and as one HTML page."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from gcahng.ablation.bars import save_picture
from gcahng.ablation.curves import Curves
from gcahng.pages import data_uri
from gcahng.reports.gallery import GalleryEntry
from gcahng.reports.page import BatchPictures, PageImage, render
from gcahng.reports.tables import Column, Row, markdown_table

HEADINGS = {
    "test": "After the last epoch, class-disjoint test split, %",
    "val": "After the last epoch, held-out training classes, %",
}


@dataclass(frozen=True)
class Page:
    """The report of a grid without its pictures.

    Attributes:
        title: Heading.
        lead: The sentence below it.
        heading: Of the table.
        columns: Of the table.
        rows: Of the table.
        failures: Names of runs that failed, and why.
        verdict: Which cells differ from the reference.
        picture: How to read the bar chart.
        notes: How to read the table.
        reference: Name of the reference.
        cells: For each cell what it changes in the reference, as `key=value`.
        command: The command that trains the grid again.
    """

    title: str
    lead: str
    heading: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    failures: Sequence[tuple[str, str]]
    verdict: Sequence[str]
    picture: str
    notes: Sequence[str]
    reference: str
    cells: Mapping[str, Sequence[str]]
    command: str

    def unchanged(self, name: str) -> str:
        """What to say of a cell that changes nothing."""
        return "the reference" if name == self.reference else "nothing"


@dataclass(frozen=True)
class Details:
    """What the HTML page shows beside the Markdown.

    Attributes:
        curves: Learning curves, or None.
        pictures: Pictures of one batch, or None.
        gallery: Rows of `retrieval_gallery`, or None.
    """

    curves: Curves | None = None
    pictures: BatchPictures | None = None
    gallery: Sequence[Sequence[GalleryEntry]] | None = None


def markdown_page(page: Page, picture: str | None) -> str:
    """The report as Markdown.

    Args:
        page: The text.
        picture: Path of the bar chart, relative to the file; None for no picture.
    """
    parts = [f"# {page.title}\n", f"{page.lead}\n", f"## {page.heading}\n"]
    parts.append(markdown_table(page.rows, page.columns))
    if page.failures:
        lines = [f"- {run}: {reason}\n" for run, reason in page.failures]
        parts += ["## Failed\n", "".join(lines)]
    if picture is not None:
        parts += [f"![{page.title}]({picture})\n", f"{page.picture}\n"]
    if page.verdict:
        parts += ["## What it shows\n", "".join(f"- {sentence}\n" for sentence in page.verdict)]
    parts += [f"{note}\n" for note in page.notes]
    changes = [
        f"- {name}: {', '.join(f'`{change}`' for change in changes) or page.unchanged(name)}\n"
        for name, changes in page.cells.items()
    ]
    parts += ["## What each cell changes\n", "".join(changes)]
    parts += ["## To repeat it\n", f"```console\n{page.command}\n```\n"]
    return "\n".join(parts)


def html_page(page: Page, bars: Sequence[Figure], details: Details) -> str:
    """The report as one HTML file that contains its pictures.

    Args:
        page: The text.
        bars: The bar charts.
        details: Curves, batch pictures and gallery.
    """
    return render(
        "grid.html",
        title=page.title,
        page=page,
        bars=[_image(figure) for figure in bars],
        curves=details.curves,
        pictures=details.pictures,
        gallery=details.gallery,
    )


def _image(figure: Figure) -> PageImage:
    file = io.BytesIO()
    save_picture(figure, file, "svg")
    return PageImage(figure.axes[0].get_xlabel(), data_uri(file.getvalue(), "image/svg+xml"))

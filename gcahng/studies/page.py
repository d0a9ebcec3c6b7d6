"""The report of a grid or a study, as Markdown and as one HTML page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gcahng.files import write_text
from gcahng.reports.gallery import GalleryEntry
from gcahng.reports.page import BatchPictures, PageImage, render
from gcahng.reports.tables import Column, Row, markdown_table
from gcahng.studies.plots import Curves


@dataclass(frozen=True)
class Item:
    """An entry of a list: what it is about, a sentence, and settings or commands."""

    name: str = ""
    text: str = ""
    code: Sequence[str] = ()


@dataclass(frozen=True)
class Part:
    """A part of a report; what is empty is left out.

    Attributes:
        heading: Above it.
        columns: Of its table.
        rows: Of its table.
        items: A list.
        picture: Path of the picture in the Markdown, relative to it.
        images: In place of it, on the HTML page.
        notes: Paragraphs.
        commands: For a console.
    """

    heading: str = ""
    columns: Sequence[Column] = ()
    rows: Sequence[Row] = ()
    items: Sequence[Item] = ()
    picture: str = ""
    images: Sequence[PageImage] = ()
    notes: Sequence[str] = ()
    commands: Sequence[str] = ()


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


@dataclass(frozen=True)
class Page:
    """A report: its heading, the sentence below it, and its parts from top to bottom."""

    title: str
    lead: str
    parts: Sequence[Part]

    def markdown(self) -> str:
        """The report as Markdown."""
        lines = [f"# {self.title}\n", f"{self.lead}\n"]
        for part in self.parts:
            lines += [f"## {part.heading}\n"] if part.heading else []
            lines += [markdown_table(part.rows, part.columns)] if part.columns else []
            if part.items:
                lines.append("".join(f"- {_item(item)}\n" for item in part.items))
            lines += [f"![{self.title}]({part.picture})\n"] if part.picture else []
            lines += [f"{note}\n" for note in part.notes]
            if part.commands:
                lines.append("```console\n" + "\n".join(part.commands) + "\n```\n")
        return "\n".join(lines)

    def write(self, target: Path, details: Details) -> None:
        """Write the Markdown file, and beside it the page, which contains its pictures."""
        page = render("study.html", title=self.title, page=self, details=details)
        write_text(target.with_suffix(".html"), page)
        write_text(target, self.markdown())


def _item(item: Item) -> str:
    text = item.text + ", ".join(f"`{code}`" for code in item.code)
    return f"{item.name}: {text}" if item.name else text

"""The report of a grid or a study, as Markdown and as one HTML page."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gcahng.files import write_text
from gcahng.pages import data_uri, fill_template, render_markdown
from gcahng.reports.gallery import GalleryEntry
from gcahng.reports.run_report import BatchPictures

#: What tables call what is measured before training.
STARTS = (
    "Features before training: those of the backbone; head before training: the untrained last "
    "layer."
)


@dataclass(frozen=True)
class Details:
    """What only the page shows: pictures in PNG by title, of one batch, and nearest neighbours."""

    plots: Mapping[str, bytes] = field(default_factory=dict)
    batch: BatchPictures | None = None
    gallery: Sequence[Sequence[GalleryEntry]] | None = None


def heading(title: str, *blocks: str) -> list[str]:
    """A heading and what is below it; nothing where that is empty."""
    return [f"## {title}\n", *blocks] if any(blocks) else []


def bullets(items: Iterable[str]) -> str:
    """A list in Markdown."""
    return "".join(f"- {item}\n" for item in items)


def commands(*lines: Sequence[str]) -> str:
    """Commands of this program, for a console."""
    words = [shlex.join(["python", "-m", "gcahng", *line]) for line in lines]
    return "```console\n" + "\n".join(words) + "\n```\n" if words else ""


def write_report(target: Path, title: str, blocks: Iterable[str], details: Details) -> None:
    """Write a Markdown file, and beside it the page, which contains its pictures.

    A picture that the text shows is one of the plots with its file's name as title.
    """
    text = "\n".join(filter(None, blocks))
    body = text
    for name, picture in details.plots.items():
        body = body.replace(f"]({name})", f"]({data_uri(picture, 'image/png')})")
    others = {name: plot for name, plot in details.plots.items() if f"]({name})" not in text}
    plots = {name: data_uri(plot, "image/png") for name, plot in others.items()}
    html = render_markdown(body)
    values = {"title": title, "body": html, "plots": plots, "details": details}
    page = fill_template("gcahng.reports", "study.html", **values)
    write_text(target.with_suffix(".html"), page)
    write_text(target, f"# {title}\n\n{text}")

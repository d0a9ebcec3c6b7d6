"""What a grid's report says, as Markdown and as one HTML page that needs no network."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from matplotlib.figure import Figure

from gcahng.ablation.bars import save_picture
from gcahng.reports.page import PAGE, STYLE
from gcahng.reports.tables import Column, Row, markdown_table

HEADINGS = {
    "test": "After the last epoch, class-disjoint test split, %",
    "val": "After the last epoch, held-out training classes, %",
}
VERDICT = "What it shows"
FAILED = "Failed"
CELLS = "What each cell changes"
REPEAT = "To repeat it"
EXTRA_STYLE = """
th:first-child + th { text-align: right; }
code { overflow-wrap: anywhere; }
"""


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
        picture: How to read the picture.
        notes: How to read the table.
        reference: Name of the reference.
        cells: What each cell changes in it, as `key=value`.
        command: The line that repeats all of it.
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


def markdown_page(page: Page, picture: str | None) -> str:
    """The report as Markdown.

    Args:
        page: What it says.
        picture: Path of a picture to show, relative to the file.
    """
    parts = [f"# {page.title}\n", f"{page.lead}\n", f"## {page.heading}\n"]
    parts.append(markdown_table(page.rows, page.columns))
    if page.failures:
        lines = [f"- {run}: {reason}\n" for run, reason in page.failures]
        parts += [f"## {FAILED}\n", "".join(lines)]
    if picture is not None:
        parts += [f"![{page.title}]({picture})\n", f"{page.picture}\n"]
    if page.verdict:
        parts += [f"## {VERDICT}\n", "".join(f"- {sentence}\n" for sentence in page.verdict)]
    parts += [f"{note}\n" for note in page.notes]
    changes = [
        f"- {name}: {', '.join(f'`{change}`' for change in changes) or _nothing(page, name)}\n"
        for name, changes in page.cells.items()
    ]
    parts += [f"## {CELLS}\n", "".join(changes)]
    parts += [f"## {REPEAT}\n", f"```console\n{page.command}\n```\n"]
    return "\n".join(parts)


def html_page(page: Page, pictures: Sequence[Figure]) -> str:
    """The report as one file, with the pictures in it."""
    body = [f"<h1>{escape(page.title)}</h1>", f"<p>{escape(page.lead)}</p>"]
    body += [f"<h2>{page.heading}</h2>", _table(page.rows, page.columns)]
    if page.failures:
        items = [f"<b>{escape(run)}</b>: {escape(reason)}" for run, reason in page.failures]
        body += [f"<h2>{FAILED}</h2>", _list(items)]
    if pictures:
        body += [f'<div class="panels pairs">{"".join(map(_image, pictures))}</div>']
        body += [f"<p>{escape(page.picture)}</p>"]
    if page.verdict:
        body += [f"<h2>{VERDICT}</h2>", _list([escape(sentence) for sentence in page.verdict])]
    body += [f"<p>{escape(note)}</p>" for note in page.notes]
    cells = [
        f"<b>{escape(name)}</b>: "
        + (", ".join(f"<code>{escape(c)}</code>" for c in changes) or _nothing(page, name))
        for name, changes in page.cells.items()
    ]
    body += [f"<h2>{CELLS}</h2>", _list(cells)]
    body += [f"<h2>{REPEAT}</h2>", f"<pre>{escape(page.command)}</pre>"]
    style = STYLE + EXTRA_STYLE
    return PAGE.format(title=escape(page.title), style=style, body="\n".join(body))


def _nothing(page: Page, name: str) -> str:
    return "the reference" if name == page.reference else "nothing"


def _table(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    def lines() -> Iterator[str]:
        yield "".join(f"<th>{escape(column.title)}</th>" for column in columns)
        for row in rows:
            first, *others = (escape(column.show(row)) for column in columns)
            yield f"<th>{first}</th>" + "".join(f"<td>{text}</td>" for text in others)

    body = "\n".join(f'<tr class="last">{line}</tr>' for line in lines())
    return f'<div class="wide"><table>\n{body}\n</table></div>'


def _list(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def _image(picture: Figure) -> str:
    data = io.BytesIO()
    save_picture(picture, data, "svg")
    text = base64.b64encode(data.getvalue()).decode("ascii")
    label = escape(picture.axes[0].get_xlabel())
    return f'<img alt="{label}" src="data:image/svg+xml;base64,{text}">'

"""Reports in Markdown, with a page of the same content."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from gcahng.files import atomic_write, write_text
from gcahng.pages import data_uri, fill_template, render_markdown


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


def write_report(
    target: Path, title: str, blocks: Iterable[str], picture: bytes | None = None
) -> None:
    """Write a Markdown file, the PNG picture that it shows, and the page that contains both."""
    text = body = "\n".join(filter(None, blocks))
    if picture is not None:
        file = target.with_suffix(".png")
        body = text.replace(f"]({file.name})", f"]({data_uri(picture, 'image/png')})")
        with atomic_write(file) as temporary:
            temporary.write_bytes(picture)
    html = render_markdown(body)
    page = fill_template("gcahng.reports", "study.html", title=title, body=html)
    write_text(target.with_suffix(".html"), page)
    write_text(target, f"# {title}\n\n{text}")

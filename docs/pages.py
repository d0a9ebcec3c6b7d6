"""What mkdocs does beyond its own: pages from other files, notebooks among them, and MathML."""

import json
import re
from html import unescape
from pathlib import Path
from textwrap import fill
from typing import Any

from griffe import Extension, Object
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# Files at the top of the repository, and the pages that they become.
TOP = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "license.md",
}
DIRECTIVE = re.compile(r"^( *)\.\. math:: ?(.*(?:\n\1 +\S.*)*)", re.MULTILINE)
LINE_START = re.compile("^ +", re.MULTILINE)
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of `TOP`, their links as seen from `docs/`, and those of the notebooks."""
    for source, page in TOP.items():
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        for name, target in TOP.items():
            text = text.replace(f"]({name})", f"]({target})")
        files.append(File.generated(config, page, content=text))
    for path in sorted((ROOT / "docs").glob("*.ipynb")):
        text = notebook_page(path.read_text(encoding="utf-8"), path.name)
        files.append(File.generated(config, f"{path.stem}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to notebooks to their pages."""
    return re.sub(r"\]\((\w+)\.ipynb\)", r"](\1.md)", markdown)


def notebook_page(text: str, name: str) -> str:
    r"""Convert a notebook with its stored outputs to Markdown.

    Args:
        text: The notebook.
        name: Of its file, beside the page.

    >>> code = {"cell_type": "code", "source": ["%%bash\n", "ls"], "outputs": []}
    >>> print(notebook_page(json.dumps({"cells": [code]}), "a.ipynb"))
    ```bash
    ls
    ```
    <BLANKLINE>
    <a href="a.ipynb" download>This page as a notebook</a>
    """
    parts = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        bash = source.startswith("%%bash\n")
        parts.append(_fenced("bash" if bash else "python", source.removeprefix("%%bash\n")))
        parts += [_output(output) for output in cell["outputs"]]
    return "\n\n".join([*parts, f'<a href="{name}" download>This page as a notebook</a>'])


def _output(output: dict[str, Any]) -> str:
    """Convert what a cell printed or drew."""
    data = output.get("data", {})
    if "image/png" in data:
        picture = "".join(data["image/png"]).strip()
        return f"![What the cell above draws](data:image/png;base64,{picture})"
    text = "".join(output.get("text") or data.get("text/plain", ""))
    # A column of the page has room for so many characters.
    lines = [line if len(line) <= 80 else fill(line, 80) for line in text.splitlines()]
    return _fenced("text", "\n".join(lines))


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn formulas into MathML, which browsers show without a script."""
    return FORMULA.sub(_mathml, html)


def _mathml(found: re.Match[str]) -> str:
    kind, latex = found.groups()
    return convert(unescape(latex).strip(), display="inline" if kind == "span" else "block")


class DocstringMath(Extension):
    """Docstrings have formulas as Sphinx writes them; turn these into those of Markdown."""

    def on_object(self, *, obj: Object, **kwargs: object) -> None:
        """Rewrite one docstring."""
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)


def to_markdown(docstring: str) -> str:
    r"""Convert formulas, and call a section of examples what its parser calls it.

    >>> to_markdown("The sum\n\n.. math:: a +\n    b\n\nof :math:`x`.")
    'The sum\n\n$$\na +\nb\n$$\n\nof $x$.'
    """
    text = DIRECTIVE.sub(lambda found: f"$$\n{LINE_START.sub('', found[2]).strip()}\n$$", docstring)
    text = re.sub(r":math:`([^`]+)`", r"$\1$", text)
    return re.sub(r"^( *)Example:$", r"\1Examples:", text, flags=re.MULTILINE)

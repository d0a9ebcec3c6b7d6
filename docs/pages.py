"""What mkdocs does beyond its own: pages from the top of the repository, and formulas as MathML."""

import re
from pathlib import Path

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
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
ESCAPES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of `TOP`, their links as seen from `docs/`."""
    for source, page in TOP.items():
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        for name, target in TOP.items():
            text = text.replace(f"]({name})", f"]({target})")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn formulas into MathML, which browsers show without a script."""
    return FORMULA.sub(_mathml, html)


def _mathml(found: re.Match[str]) -> str:
    kind, latex = found.groups()
    for escape, character in ESCAPES.items():
        latex = latex.replace(escape, character)
    return convert(latex.strip(), display="inline" if kind == "span" else "block")


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
    lines, formula, indent = [], False, 0
    for line in docstring.splitlines():
        start = re.match(r"( *)\.\. math:: ?(.*)", line)
        if start:
            formula, indent = True, len(start[1])
            lines += ["$$", start[2]]
        elif formula and line.strip() and len(line) - len(line.lstrip()) > indent:
            lines.append(line.strip())
        elif formula:
            formula = False
            lines += ["$$", line]
        else:
            lines.append(line)
    text = "\n".join([*lines, "$$"] if formula else lines)
    text = re.sub(r":math:`([^`]+)`", r"$\1$", text)
    return re.sub(r"^( *)Example:$", r"\1Examples:", text, flags=re.MULTILINE)

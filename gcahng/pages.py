"""HTML pages from templates: each is one file that needs no network."""

import base64
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def fill_template(package: str, name: str, **values: Any) -> str:
    """Fill a template of a package; in HTML, every value is escaped.

    Args:
        package: Such as `gcahng.reports`; has the template in its folder `templates`.
        name: File name of the template.
        **values: What the template shows.

    Raises:
        jinja2.UndefinedError: If the template needs a value that is missing.
    """
    return _environment(package, name.endswith(".html")).get_template(name).render(values)


def render_markdown(text: str) -> str:
    """Turn Markdown with tables into HTML; HTML within it is escaped.

    >>> print(render_markdown("*a* <b>"), end="")
    <p><em>a</em> &lt;b&gt;</p>
    """
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False, "xhtmlOut": False}).enable("table").render(text)


@lru_cache
def _environment(package: str, escape: bool) -> Environment:
    return Environment(
        autoescape=escape,
        loader=PackageLoader(package),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def data_uri(content: bytes, kind: str) -> str:
    """Embed a file in a page.

    Args:
        content: The file.
        kind: Its media type.

    >>> data_uri(b"<svg/>", "image/svg+xml")
    'data:image/svg+xml;base64,PHN2Zy8+'
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"

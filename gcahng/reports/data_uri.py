"""Files embedded in a page."""

import base64


def data_uri(content: bytes, kind: str) -> str:
    """Embed a file in a page.

    Args:
        content: The file.
        kind: Its media type.

    >>> data_uri(b"<svg/>", "image/svg+xml")
    'data:image/svg+xml;base64,PHN2Zy8+'
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"

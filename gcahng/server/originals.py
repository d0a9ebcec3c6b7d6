"""Send an indexed picture as a browser shows it."""

import io
import os
import stat
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from gcahng.files import printable
from gcahng.pictures import FileState, PictureFile, decode_image, open_picture
from gcahng.server.decoders import Decoders

# Formats that browsers show, by Pillow's names; others are converted to JPEG.
SHOWN_BY_BROWSERS = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "BMP": "image/bmp",
}
QUALITY = 90
# The next `gcahng index` may replace the picture.
CACHE = {"cache-control": "no-cache"}


def original(file: PictureFile, state: FileState, most_pixels: int, decoders: Decoders) -> Response:
    """Answer with the file of a picture, if it is still the one that was indexed.

    Args:
        file: Where it is.
        state: Its state when it was indexed.
        most_pixels: Convert no larger pictures.
        decoders: Read it.
    """
    name = printable(os.path.basename(file.path))
    try:
        status = os.stat(file.path)
    except OSError as error:
        raise HTTPException(410, f"{name} is not there any more") from error
    same = (status.st_size, status.st_mtime_ns) == (state.size, state.mtime_ns)
    if not (same and stat.S_ISREG(status.st_mode)):
        raise HTTPException(410, f"{name} has changed since it was indexed")
    try:
        media_type, converted = decoders.run(_for_browsers, file.path, most_pixels)
    # Pillow raises many exception types.
    except Exception as error:
        raise HTTPException(422, f"{name} cannot be shown: {error}") from error
    if converted is not None:
        return Response(converted, headers=CACHE, media_type=media_type)
    return FileResponse(
        file.path,
        headers=CACHE,
        media_type=media_type,
        filename=name,
        stat_result=status,
        content_disposition_type="inline",
    )


def _for_browsers(path: str, most_pixels: int) -> tuple[str, bytes | None]:
    """The media type of a picture, and its content if it has to be converted."""
    with open_picture(path) as image:
        media_type = SHOWN_BY_BROWSERS.get(image.format or "")
    if media_type is not None:
        return media_type, None
    content = io.BytesIO()
    image = decode_image(Path(path).read_bytes(), most_pixels)
    image.save(content, format="JPEG", quality=QUALITY)
    return "image/jpeg", content.getvalue()

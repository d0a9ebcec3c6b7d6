"""Send an indexed picture as a browser shows it."""

import io
import os
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from gcahng.files import printable
from gcahng.pictures import FileState, PictureFile, decode_image, file_state, open_picture

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


def original(file: PictureFile, state: FileState, most_pixels: int) -> Response:
    """Answer with the file of a picture, if it is still the one that was indexed."""
    name = printable(os.path.basename(file.path))
    try:
        same = file_state(file.path) == state
    except OSError as error:
        raise HTTPException(410, f"{name} is not there any more") from error
    if not same:
        raise HTTPException(410, f"{name} has changed since it was indexed")
    try:
        with open_picture(file.path) as image:
            media_type = SHOWN_BY_BROWSERS.get(image.format or "")
        if media_type is None:
            content = io.BytesIO()
            image = decode_image(Path(file.path).read_bytes(), most_pixels)
            image.save(content, format="JPEG", quality=QUALITY)
            return Response(content.getvalue(), headers=CACHE, media_type="image/jpeg")
    # Pillow raises many exception types.
    except Exception as error:
        raise HTTPException(422, f"{name} cannot be shown: {error}") from error
    return FileResponse(
        file.path,
        headers=CACHE,
        media_type=media_type,
        filename=name,
        content_disposition_type="inline",
    )

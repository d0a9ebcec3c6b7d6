"""Render the drawings into the folder of the data set."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from gcahng.data.emoji.icon_set import IconSet, read_icon_set
from gcahng.data.emoji.packages import PACKAGES, Package, Progress, package_files
from gcahng.data.emoji.selection import Picture, select_pictures
from gcahng.files import atomic_write, write_text

FOLDER = "emoji"
ATTRIBUTION = "ATTRIBUTION.md"
SIDE = 96


def build_emoji(
    root: Path, progress: Progress | None = None, packages: Sequence[Package] = PACKAGES
) -> Path:
    """Make the data set emoji in `root`; an interrupted call is continued by the next one.

    Args:
        root: The folder of all data sets. Packages in it are used; others are fetched by npm.
        progress: Called with the number done and the total, of packages and then of pictures.
        packages: The sets of drawings.

    Returns:
        The data set's folder.

    Raises:
        ConnectionError: If a package cannot be fetched.
        ImportError: If the renderer is not installed.
        ValueError: If a package is damaged, or something else is in the way.
    """
    home = root / FOLDER
    if home.exists():
        raise ValueError(f"'{home}' is not a complete data set: move it away and fetch again")
    render = _renderer()
    # Another choice of packages must not find pictures of this one.
    recipe = hashlib.sha256(repr((SIDE, packages)).encode()).hexdigest()[:12]
    unfinished = root / f".{FOLDER}-{recipe}"
    unfinished.mkdir(parents=True, exist_ok=True)
    files = package_files(packages, root, unfinished, progress)
    sets = [read_icon_set(path, p.name) for path, p in zip(files, packages, strict=True)]
    pictures = select_pictures(sets)
    for done, picture in enumerate(pictures, 1):
        _write(picture, unfinished, render)
        if progress is not None:
            progress(done, len(pictures))
    write_text(unfinished / ATTRIBUTION, _attribution(sets))
    for path in files:
        if path.parent == unfinished:
            path.unlink()
    return unfinished.rename(home)


def _renderer() -> Callable[[str], bytes]:
    """Return a function from an SVG to the PNG of its picture on white.

    Raises:
        ImportError: If the library is not installed.
    """
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise ImportError(
            "rendering emoji needs resvg-py, which is not installed: pip install resvg-py"
        ) from error
    return lambda svg: bytes(
        svg_to_bytes(
            svg_string=svg, width=SIDE, height=SIDE, background="#ffffff", skip_system_fonts=True
        )
    )


def _write(picture: Picture, folder: Path, render: Callable[[str], bytes]) -> None:
    path = folder / picture.path
    if not path.exists():
        with atomic_write(path) as temporary:
            temporary.write_bytes(render(picture.svg))


def _attribution(sets: Sequence[IconSet]) -> str:
    lines = "\n".join(one.attribution for one in sets)
    return (
        "# Who drew these pictures\n\nEach folder shows one emoji, as several designers drew it. "
        f"The drawings were rendered at {SIDE} pixels on white and not changed otherwise. A "
        "picture keeps the licence of its set:\n\n"
        f"{lines}\n"
    )

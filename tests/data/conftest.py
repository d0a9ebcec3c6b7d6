import os
from pathlib import Path

import pytest

from gcahng.data import Glyphs


@pytest.fixture(scope="session")
def glyphs_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with every split of the glyphs rendered once, shared by pytest-xdist's workers.

    Workers that start together may each render a split; the cache is written atomically.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    root = folder / "glyphs_root"
    for split in Glyphs.SPLITS:
        Glyphs(root, split)
    return root

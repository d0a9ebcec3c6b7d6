from pathlib import Path

import pytest

from gcahng.data import Glyphs


@pytest.fixture(scope="session")
def glyphs_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root in which every split of the glyphs is rendered."""
    root = tmp_path_factory.mktemp("root")
    for split in Glyphs.SPLITS:
        Glyphs(root, split)
    return root

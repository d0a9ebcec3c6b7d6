"""A search imports little of this project, and none of what only a training needs."""

import subprocess
import sys
from pathlib import Path

import pytest

from gcahng.inference.embedder import load_embedder
from gcahng.inference.indexing import index_folder

MOST = 55
HEAVY = {"torch_geometric", "matplotlib", "networkx", "sklearn", "pandas"}
# What it has imported once LanceDB is there, and once the search is done.
PROGRAM = """
import sys
import lancedb
with_lancedb = set(sys.modules)
from gcahng import cli
try:
    cli.main()
except SystemExit as end:
    assert not end.code
print(*sorted(sys.modules.keys() - with_lancedb))
"""


@pytest.mark.slow
def test_a_search_imports_little(digits_run: Path, photos: Path, tmp_path: Path) -> None:
    model = load_embedder(digits_run)
    index_folder(model, photos, tmp_path / "store")
    command = [sys.executable, "-c", PROGRAM, "search", str(tmp_path / "store")]
    command += [str(photos / "cup" / "0.png"), "-k", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *_, said = done.stdout.splitlines()
    packages = [name.partition(".")[0] for name in said.split()]
    assert "torch" in packages
    assert packages.count("gcahng") <= MOST, [n for n in said.split() if n.startswith("gcahng")]
    assert HEAVY.isdisjoint(packages)

from collections.abc import Callable
from pathlib import Path

import pytest

MINIMAL = """\
data: {name: glyphs}
batch: {classes: 4, samples: 2}
embedder: {backbone: {name: small_conv}, dim: 8}
optim: {embedder: {lr: 1e-3}}
train: {epochs: 5}
"""

Write = Callable[[str, str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write YAML files in an empty current folder, so that error messages have short paths."""
    monkeypatch.chdir(tmp_path)

    def _write(name: str, text: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return name

    return _write


@pytest.fixture
def minimal(write: Write) -> str:
    """The smallest experiment: every required key and nothing else."""
    return write("minimal.yaml", MINIMAL)

"""`gcahng share` and `gcahng export` as a user calls them."""

import re
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from gcahng import load_embedder
from gcahng.inference.embedder import TrainedEmbedder
from tests.conftest import Call

pytestmark = pytest.mark.usefixtures("here")


def test_share_and_share_again(call: Call, digits_run: Path) -> None:
    said = call("share", digits_run, "--to", "./shared/digits").out
    assert said == "shared shared/digits; name a license in its README.md\n"
    # Now that there is a folder `shared`, this is one in it, and not of the Hub.
    said = call("share", "shared/digits", "--to", "shared/copy", "--license", "mit").out
    assert said == "shared shared/copy\n"
    assert "\nlicense: mit\n" in Path("shared/copy/README.md").read_text()
    assert load_embedder("shared/copy").dim == 8


def test_the_last_epoch(call: Call, digits_run: Path) -> None:
    call("share", digits_run, "--to", "./last", "--last")
    assert " after epoch 3, in percent." in Path("last/README.md").read_text()


def test_share_on_the_hub(call: Call, digits_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed: list[Any] = []

    def push(model: TrainedEmbedder, *arguments: Any, **options: Any) -> str:
        pushed.append((model.run.path, arguments, options))
        return "https://huggingface.co/someone/digits"

    monkeypatch.setattr(TrainedEmbedder, "push_to_hub", push)
    said = call("share", digits_run, "--to", "someone/digits", "--private", "--license", "mit").out
    assert said == "shared https://huggingface.co/someone/digits\n"
    options = {"private": True, "license": "mit"}
    assert pushed == [(digits_run / "checkpoints" / "best.pt", ("someone/digits",), options)]
    assert list(Path().iterdir()) == []


@pytest.mark.slow
def test_export_compares_on_test_images(call: Call, digits_run: Path) -> None:
    said = call("export", digits_run, "--onnx", "out/digits.onnx").out
    assert re.fullmatch(
        r"wrote out/digits\.onnx: 0\.2 MiB\n"
        r"compared on test images of Digits in batches of 1, 3, 8: embeddings differ by at most "
        r"\d\.\de-0\d of their norm \(allowed: 1e-04\)\n",
        said,
    )
    onnxruntime.InferenceSession("out/digits.onnx", providers=["CPUExecutionProvider"])

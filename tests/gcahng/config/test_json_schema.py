"""The JSON schema of experiment files: up to date, named in each of them, and right."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gcahng import cli
from gcahng.commands.config import schema_of_experiments
from gcahng.config import dump_config, load_config
from gcahng.config.layers import EXPERIMENTS, GRIDS, STUDIES, packaged_experiments
from gcahng.config.plain_yaml import parse_yaml

jsonschema = pytest.importorskip("jsonschema")
FILES = sorted(
    file for file in EXPERIMENTS.rglob("*.yaml") if file.parent.name not in (GRIDS, STUDIES)
)
SCHEMA = EXPERIMENTS / "schema.json"


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def _mistakes(validator: Any, text: str) -> list[str]:
    found = validator.iter_errors(parse_yaml(text, "it"))
    return [".".join(map(str, error.absolute_path)) for error in found]


def test_the_file_is_up_to_date() -> None:
    written = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert written == schema_of_experiments(), "gcahng config --schema experiments/schema.json"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(EXPERIMENTS)))
def test_every_experiment_names_it_and_follows_it(file: Path, validator: Any) -> None:
    text = file.read_text(encoding="utf-8")
    first = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (file.parent / first).resolve() == SCHEMA
    assert _mistakes(validator, text) == []


@pytest.mark.parametrize("name", ["quickstart", "photos_cpu", "paper/sop_dino"])
def test_a_resolved_experiment_follows_it(name: str, validator: Any) -> None:
    assert packaged_experiments()
    assert _mistakes(validator, dump_config(load_config(name))) == []


VALID = [
    "base: quickstart",
    "base: [a.yaml, b.yaml]",
    "embedder: {backbone: {name: 'my.models:Mine', args: {any: [thing]}}}",
    "embedder: {backbone: {name: timm/vit_tiny_patch16_224}}",
    "data: {name: 'mine:Photos', transform: {name: null}}",
    "generator: {name: 'mine:Generator', graph: {conv: 'mine:Conv', layers: [gca, {name: mlp}]}}",
    "loss: {name: MultiSimilarityLoss}",
    "generator: null",
    "quirks: faithful",
    "quirks: {clip: faithful}",
    "fabric: {devices: [0, 1], precision: bf16-mixed}",
    "optim: {embedder: {lr: 1}, clip: null}",
]
WRONG = {
    "trian: {epochs: 1}": "",
    "train: {epoch: 1}": "train",
    "train: {epochs: -1}": "train.epochs",
    "train: {epochs: many}": "train.epochs",
    "train: {ema: 1.0}": "train.ema",
    "loss: {name: 5}": "loss.name",
    "quirks: published": "quirks",
    "fabric: {precision: 16}": "fabric.precision",
    "embedder: {backbone: {nome: x}}": "embedder.backbone",
    "base: 5": "base",
    "data: {validation: 1}": "data.validation",
}


@pytest.mark.parametrize("text", VALID)
def test_what_a_training_takes_is_valid(text: str, validator: Any) -> None:
    assert _mistakes(validator, text) == []


@pytest.mark.parametrize("text", WRONG)
def test_what_a_training_refuses_is_not(text: str, validator: Any) -> None:
    assert set(_mistakes(validator, text)) == {WRONG[text]}


def test_names_are_suggested() -> None:
    sections = schema_of_experiments()["$defs"]
    conv = sections["GraphConfig"]["properties"]["conv"]
    assert {"gca", "gatv2", "mlp"} <= set(conv["anyOf"][0]["enum"])
    backbone = sections["EmbedderConfig"]["properties"]["backbone"]["$ref"].rpartition("/")[2]
    names = sections[backbone]["properties"]["name"]["anyOf"]
    assert names == [
        {"enum": ["dino_vits16", "googlenet", "resnet50", "small_conv"]},
        {"type": "string"},
    ]


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["gcahng", "config", *map(str, arguments)])
    with pytest.raises(SystemExit) as info:
        cli.main()
    return int(info.value.code or 0)


def test_the_command_writes_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "--schema", tmp_path / "mine.json") == 0
    assert (tmp_path / "mine.json").read_bytes() == SCHEMA.read_bytes()
    assert capsys.readouterr().out.endswith("# yaml-language-server: $schema=mine.json\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("", "name an experiment, or write the schema of all with --schema FILE"),
        ("digits --schema x.json", "--schema is the schema of every experiment: name none with it"),
        ("--schema x.yaml", "--schema: expected a file ending in .json"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _run(monkeypatch, *arguments.split()) == 1
    assert capsys.readouterr().err.startswith(f"error: {sentence}")
    assert list(tmp_path.iterdir()) == []

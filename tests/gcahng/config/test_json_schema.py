"""The JSON schema of experiment files: up to date, and right."""

import json
from pathlib import Path
from typing import Any

import pytest

from gcahng.commands.config import schema_of_experiments
from gcahng.commands.listing import REGISTRIES, registry
from gcahng.config.layers import EXPERIMENTS
from gcahng.config.plain_yaml import parse_yaml
from tests.conftest import Call

jsonschema = pytest.importorskip("jsonschema")
SCHEMA = EXPERIMENTS / "schema.json"


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def _mistakes(validator: Any, text: str) -> list[str]:
    found = validator.iter_errors(parse_yaml(text, "it"))
    return [".".join(map(str, error.absolute_path)) for error in found]


def _without_names(schema: Any) -> Any:
    """The schema of the sections alone: components may come without a change of this file."""
    for section in schema["$defs"].values():
        section.pop("allOf", None)
        for setting in section.get("properties", {}).values():
            if isinstance(setting, dict) and "enum" in setting.get("anyOf", [{}])[0]:
                setting["anyOf"].pop(0)
    kept = ("Config", "Behaviour")
    schema["$defs"] = {key: value for key, value in schema["$defs"].items() if key.endswith(kept)}
    return schema


def test_the_file_is_up_to_date() -> None:
    written = json.loads(SCHEMA.read_text(encoding="utf-8"))
    now = _without_names(schema_of_experiments())
    assert _without_names(written) == now, "gcahng config --schema experiments/schema.json"


def test_what_a_component_takes_is_up_to_date() -> None:
    now = schema_of_experiments()["$defs"]
    for name, section in json.loads(SCHEMA.read_text(encoding="utf-8"))["$defs"].items():
        for case in section.get("allOf", ()):
            assert case in now[name]["allOf"], "gcahng config --schema experiments/schema.json"


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_new_component_leaves_the_file_as_it_is(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = registry(kind)
    monkeypatch.setitem(found.entries, "another", found[next(iter(found))])
    test_the_file_is_up_to_date()


VALID = [
    "base: quickstart",
    "embedder: {backbone: {name: 'my.models:Mine', args: {any: [thing]}}}",
    "embedder: {backbone: {name: timm/vit_tiny_patch16_224}}",
    "data: {name: 'mine:Photos', transform: {name: null}}",
    "generator: {name: 'mine:Generator', args: {any: thing}}",
    "generator: {name: gca_hng, args: {graph: {conv: 'mine:C', layers: [gca, {name: mlp}]}}}",
    "loss: {name: proxy_anchor, args: {alpha: 4}}",
    "generator: null",
    "quirks: faithful",
    "fabric: {devices: [0, 1], precision: bf16-mixed}",
    "optim: {embedder: {lr: 1}, clip: null}",
]
WRONG = {
    "trian: {epochs: 1}": "",
    "train: {epoch: 1}": "train",
    "train: {epochs: -1}": "train.epochs",
    "loss: {name: 5}": "loss.name",
    "quirks: published": "quirks",
    "embedder: {backbone: {nome: x}}": "embedder.backbone",
    "base: 5": "base",
    "generator: {name: gca_hng, args: {alfa: 1.0}}": "generator",
    "generator: {name: gca_hng, args: {graph: {layers: many}}}": "generator",
    "loss: {name: npair, args: {temperature: hot}}": "loss.args.temperature",
}


@pytest.mark.parametrize("text", VALID)
def test_what_a_training_takes_is_valid(text: str, validator: Any) -> None:
    assert _mistakes(validator, text) == []


@pytest.mark.parametrize("text", WRONG)
def test_what_a_training_refuses_is_not(text: str, validator: Any) -> None:
    assert set(_mistakes(validator, text)) == {WRONG[text]}


def test_the_command_writes_it(call: Call, tmp_path: Path) -> None:
    said = call("config", "--schema", tmp_path / "mine.json")
    assert said.out.endswith("# yaml-language-server: $schema=mine.json\n")
    written = json.loads((tmp_path / "mine.json").read_text(encoding="utf-8"))
    assert written == schema_of_experiments()

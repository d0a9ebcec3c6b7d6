"""Every packaged experiment: it loads, is written and read back, follows the schema, and builds."""

import json
from pathlib import Path
from typing import Any

import pytest

from gcahng.builders.networks import build_generator, build_loss
from gcahng.config import dump_config, load_config
from gcahng.config.layers import EXPERIMENTS, GRIDS, STUDIES, packaged_experiments
from gcahng.config.plain_yaml import parse_yaml

jsonschema = pytest.importorskip("jsonschema")
SCHEMA = EXPERIMENTS / "schema.json"
FILES = sorted(
    file for file in EXPERIMENTS.rglob("*.yaml") if file.parent.name not in (GRIDS, STUDIES)
)


@pytest.fixture(scope="module")
def validator() -> Any:
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", packaged_experiments())
def test_an_experiment(name: str, validator: Any, tmp_path: Path) -> None:
    config = load_config(name)
    assert config.name == Path(name).name
    text = dump_config(config)
    (tmp_path / "dumped.yaml").write_text(text, encoding="utf-8")
    assert load_config(tmp_path / "dumped.yaml") == config
    assert list(validator.iter_errors(parse_yaml(text, "it"))) == []
    build_loss(config, config.batch.classes)
    build_generator(config, config.batch.classes)


def test_every_file_names_the_schema_and_follows_it(validator: Any) -> None:
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        first = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
        assert (file.parent / first).resolve() == SCHEMA
        assert list(validator.iter_errors(parse_yaml(text, "it"))) == [], file

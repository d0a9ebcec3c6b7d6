"""The resolved experiment with the origin of each value: readable again, and true."""

import re

from gcahng.config import load_with_layers, parse_config
from gcahng.config.origins import WIDEST, dump_with_origins
from tests.gcahng.config.conftest import Write


def _origins(path: str, *overrides: str) -> dict[str, str]:
    """Line without its comment and indent → origin."""
    text = dump_with_origins(*load_with_layers(path, overrides))
    lines = (re.fullmatch(r" *(.*?)(?: +# (.*))?", line) for line in text.splitlines())
    return {match[1]: match[2] for match in lines if match}


def test_comments_are_aligned() -> None:
    lines = dump_with_origins(*load_with_layers("quickstart")).splitlines()
    assert len({line.index("  # ") for line in lines if "#" in line}) == 1
    lines = dump_with_origins(*load_with_layers("quickstart", [f"output={'long' * 20}"]))
    found = sorted(line.index("  # ") for line in lines.splitlines() if "#" in line)
    assert found[0] == found[-2] < WIDEST < found[-1], "a single long line is beside the column"


def test_values_name_the_layer_that_set_them_last(write: Write, minimal: str) -> None:
    write("mine.yaml", f"base: {minimal}\nseed: 4\ntrain: {{epochs: 7}}\nquirks: faithful\n")
    found = _origins("mine.yaml", "train.epochs=9", "quirks.clip=corrected")
    assert found["name: mine"] == "name of the file"
    assert found["seed: 4"] == "mine.yaml"
    assert found["epochs: 9"] == "command line"
    assert found["dim: 8"] == "minimal.yaml"
    assert found["output: runs"] == "default"
    assert found["edge_heads: faithful"] == "mine.yaml"
    assert found["clip: corrected"] == "command line"
    assert found["generator:"] is None
    write("word.yaml", "base: mine.yaml\nquirks: {clip: faithful}\n")
    assert _origins("word.yaml", "quirks=corrected")["clip: corrected"] == "command line"


def test_a_packaged_base_is_named_without_its_place(write: Write) -> None:
    write("mine.yaml", "base: paper/cub_dino\nname: other\n")
    found = _origins("mine.yaml")
    assert found["name: other"] == "mine.yaml"
    assert found["epochs: 50"] == "paper/cub_dino.yaml, packaged"


def test_arguments_of_another_component_leave_no_origin(write: Write, minimal: str) -> None:
    text = f"base: {minimal}\nembedder: {{backbone: {{args: {{channels: [4], strides: [2]}}}}}}\n"
    write("mine.yaml", text)
    assert _origins("mine.yaml")["channels: [4]"] == "mine.yaml"
    given = ("mine.yaml", "embedder.backbone.name=resnet50")
    text = dump_with_origins(*load_with_layers(given[0], given[1:]))
    assert re.search(r"name: resnet50 +# command line\n +args: {} +# default\n", text)


def test_text_with_line_breaks_and_signs_stays_in_its_line(write: Write, minimal: str) -> None:
    text = "loss:\n  args: {a: \"two\\nlines\", 'odd: key #': 'x # y', c: [{d: null}, ä]}\n"
    write("mine.yaml", f"base: {minimal}\n{text}")
    config, layers = load_with_layers("mine.yaml")
    written = dump_with_origins(config, layers)
    assert parse_config(written, "it") == config
    assert '"two\\nlines"' in written


def test_values_filled_in_later_name_the_backbone() -> None:
    config, layers = load_with_layers("digits")
    backbone = config.embedder.backbone.model_copy(update={"args": {"in_channels": 1}})
    embedder = config.embedder.model_copy(update={"backbone": backbone})
    text = dump_with_origins(config, layers, config.model_copy(update={"embedder": embedder}))
    assert re.search(r"in_channels: 1 +# expected by the backbone\n", text)

"""`gcahng config`: what it prints is an experiment again."""

import re
from pathlib import Path

from gcahng.builders.settings import adopt_image_settings
from gcahng.config import load_config
from tests.conftest import Call


def test_what_is_printed_is_what_a_training_uses(call: Call, tmp_path: Path) -> None:
    given = ["embedder.backbone.name=timm/vit_tiny_patch16_224", "embedder.freeze=[]", "seed=3"]
    text = call("config", "photos", *given).out
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    expected = adopt_image_settings(load_config("photos", given))
    assert load_config(tmp_path / "mine.yaml") == expected
    assert adopt_image_settings(load_config(tmp_path / "mine.yaml")) == expected


def test_arguments_that_are_not_set_are_listed_with_their_defaults(call: Call) -> None:
    settings = call("config", "digits").out.partition("not set")[2]
    listed = re.findall(r"^#   (\S+)$", settings, re.M)
    assert {"generator.args.graph.dropout=0.1", "generator.args.beta=20.0"} <= set(listed)
    assert "generator.args.linear_ce_weight=0.0" in listed, "of its base class"
    assert "generator.args.graph.heads" not in settings
    # Each can be given as it is.
    generator = load_config("digits", listed).generator
    assert generator is not None
    assert generator.args["graph"]["conv"] == "gca"

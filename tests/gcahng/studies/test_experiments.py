"""What a cell changes in the reference."""

import pytest

from gcahng.config import load_config
from gcahng.studies.experiments import changed_settings

NULL = ["generator=null"]
CASES = [
    (NULL, [], NULL),
    (["generator.name=unmoved"], NULL, ["generator.name='unmoved'"]),
    (["generator.name=unmoved"], [], ["generator.name='unmoved'"]),
    (
        [],
        NULL,
        [
            "generator.name='gca_hng'",
            "generator.args.graph.layers=1",
            "generator.args.graph.heads=4",
            "generator.args.alpha=2.0",
        ],
    ),
    (["quirks.clip=faithful"], [], ["quirks.clip='faithful'"]),
    (["loss.name=proxy_anchor", "loss.lr=0.1"], [], ["loss.name='proxy_anchor'", "loss.lr=0.1"]),
    (["loss.args.temperature=0.5"], [], ["loss.args.temperature=0.5"]),
    (["embedder.warm_start={}"], [], ["embedder.warm_start.steps=500"]),
]


@pytest.mark.parametrize(("cell", "reference", "expected"), CASES)
def test_settings_that_differ(cell: list[str], reference: list[str], expected: list[str]) -> None:
    ours, theirs = load_config("digits", cell), load_config("digits", reference)
    assert changed_settings(ours, theirs) == expected

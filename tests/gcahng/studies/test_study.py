"""Study files, their mistakes, and what a trial's experiment is."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gcahng.config.layers import EXPERIMENTS, STUDIES
from gcahng.studies.study import Study, read_study
from tests.conftest import Call

HEAD = "base: digits\nsettings: {data.validation: 0.4, batch.classes: 3}\n"


@pytest.mark.parametrize("name", [file.stem for file in (EXPERIMENTS / STUDIES).glob("*.yaml")])
def test_packaged_studies_can_be_trained(name: str) -> None:
    assert read_study(f"{STUDIES}/{name}").trials > 0


def test_a_trial_is_the_base_with_what_was_drawn(write_study: Callable[..., Study]) -> None:
    study = write_study(
        HEAD + "search: {embedder.dim: [8, 16], train.epochs: {low: 1, high: 3}}\n"
        "rivals:\n  full: {search: {generator.args.graph.layers: [[gca], [gca, gat]]}}\n"
        "  npair: {settings: {generator: null}}\n"
    )
    full, npair = study.rivals.values()
    drawn = {"embedder.dim": 16, "train.epochs": 2, "generator.args.graph.layers": '["gca", "gat"]'}
    config = full.config(drawn, 5)
    assert (config.embedder.dim, config.train.epochs, config.seed) == (16, 2, 5)
    assert config.generator is not None
    assert config.generator.args["graph"]["layers"] == ["gca", "gat"]
    assert config.eval.select == "map@r"
    assert npair.config({}, 0).generator is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD, "study.yaml: no search"),
        (HEAD + "search: {embedder.dmi: [8, 16]}", "did you mean 'embedder.dim'?"),
        *(
            (HEAD + f"search: {{embedder.dim: {wrong}}}", "search.embedder.dim: expected a list of")
            for wrong in ("8", "[8, 8]", "{low: 8, high: 4}", "{low: 2, high: 4, lgo: true}")
        ),
        (HEAD + "search: {seed: [0, 1]}", "search.seed: the study sets it itself"),
        ("base: digits\nsearch: {embedder.dim: [8, 16]}", "data.validation above 0"),
        (HEAD + "metric: recall@3\nsearch: {embedder.dim: [8, 16]}", "eval.select: expected one"),
        (HEAD + "trails: 3", "study.yaml: unknown key 'trails' (did you mean 'trials'?)"),
        (
            HEAD + "search: {embedder.dim: [8, 16]}\nrivals: {a b: {}, a_b: {}}",
            "two rivals are called 'a_b' in files",
        ),
        ("data: {name: digits}", "study.yaml is not a study: give it to gcahng train"),
    ],
)
def test_mistakes(text: str, words: str, write_study: Callable[..., Study]) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        write_study(text)
    assert not Path("runs").exists()


def test_a_dry_run_says_what_varies(call: Call, write_study: Callable[..., Study]) -> None:
    write_study(HEAD + "search: {embedder.dim: [8, 16], optim.embedder.lr: {low: 1e-4, high: 1}}")
    said = call("tune", "study.yaml", "--dry-run").out
    assert "  embedder.dim: 8, 16\n  optim.embedder.lr: 0.0001 to 1.0\nmaximises MAP@R on" in said
    assert not Path("runs").exists()


def test_no_such_study() -> None:
    with pytest.raises(FileNotFoundError, match=r"'studies/glyph' \(did you mean 'studies/glyphs'"):
        read_study("studies/glyph")

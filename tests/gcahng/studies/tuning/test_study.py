"""Study files, their mistakes, and what a trial's experiment is."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gcahng.config.layers import EXPERIMENTS, STUDIES
from gcahng.studies.study import Study, read_study

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
    ("text", "sentence"),
    [
        (HEAD, "rival 'study': study.yaml: no search: give settings to vary, by dotted path"),
        (
            HEAD + "search: {embedder.dmi: [8, 16]}",
            "rival 'study': study.yaml: unknown key 'embedder.dmi' (did you mean 'embedder.dim'?); "
            "allowed here: ",
        ),
        (
            HEAD + "search: {embedder.dim: [8, eight]}",
            "rival 'study': study.yaml: embedder.dim: expected an integer",
        ),
        *(
            (
                HEAD + f"search: {{embedder.dim: {wrong}}}",
                "rival 'study': study.yaml: search.embedder.dim: expected a list of different",
            )
            for wrong in (
                "8",
                "[8, 8]",
                "{low: 8, high: 4}",
                "{low: 0, high: 4, log: true}",
                "{low: 2, high: 4, lgo: true}",
                "{low: 2}",
            )
        ),
        (
            HEAD + "search: {seed: [0, 1]}",
            "rival 'study': study.yaml: search.seed: the study sets it itself",
        ),
        (
            "base: digits\nsearch: {embedder.dim: [8, 16]}",
            "rival 'study': a study needs classes held out: data.validation above 0 and "
            "quirks.select as 'corrected'",
        ),
        (
            HEAD + "metric: recall@3\nsearch: {embedder.dim: [8, 16]}",
            "rival 'study': study.yaml: eval.select: expected one of recall@1, recall@2, ",
        ),
        (HEAD + "trails: 3", "study.yaml: unknown key 'trails' (did you mean 'trials'?)"),
        ("data: {name: digits}", "study.yaml is not a study: give it to gcahng train"),
    ],
)
def test_mistakes(text: str, sentence: str, write_study: Callable[..., Study]) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}") as info:
        write_study(text)
    assert "\n" not in str(info.value)
    assert not Path("runs").exists()


def test_no_such_study() -> None:
    with pytest.raises(FileNotFoundError, match=r"'studies/glyph' \(did you mean 'studies/glyphs'"):
        read_study("studies/glyph")

from pathlib import Path

import pytest
from pydantic import ValidationError

from gcahng.config import data_root, dump_config, load_config
from gcahng.config.layers import EXPERIMENTS, packaged_experiments
from gcahng.config.sections import QuirksConfig
from tests.gcahng.config.conftest import MINIMAL, Write

PACKAGED = [f"{name}.yaml" for name in packaged_experiments()]
QUIRKS = list(QuirksConfig.model_fields)


def test_defaults(minimal: str) -> None:
    config = load_config(minimal)
    assert (config.name, config.seed, config.output) == ("minimal", 0, "runs")
    assert config.generator is not None
    assert (config.generator.name, config.generator.graph.heads) == ("gca_hng", 4)
    assert config.optim.embedder.lr == 1e-3
    assert config.optim.graph.schedule.name == "cosine"
    assert config.eval.ks == [1, 2, 4, 8]
    assert {getattr(config.quirks, quirk) for quirk in QUIRKS} == {"corrected"}


def test_an_experiment_cannot_be_changed(minimal: str) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_config(minimal).seed = 1


@pytest.mark.parametrize("path", PACKAGED)
def test_every_packaged_experiment_loads_and_round_trips(path: str, write: Write) -> None:
    config = load_config(EXPERIMENTS / path)
    assert config.name == Path(path).stem
    assert load_config(write("dumped.yaml", dump_config(config))) == config


def test_quickstart_recipes_differ_only_where_they_say() -> None:
    full = load_config("quickstart").model_dump(exclude={"name"})
    npair = load_config("quickstart/npair").model_dump(exclude={"name"})
    control = load_config("quickstart/npair_node_ce").model_dump(exclude={"name"})
    assert npair == {**full, "generator": None}
    off = ("gamma", "similarity_weight", "diversity_weight", "synthetic_weight")
    assert control == {**full, "generator": {**full["generator"], **dict.fromkeys(off, 0.0)}}


def test_overrides(minimal: str) -> None:
    config = load_config(
        minimal,
        ["optim.embedder.lr=1e-5", "generator=null", "fabric.devices=[0, 1]", "name=mine"],
    )
    assert config.optim.embedder.lr == 1e-5
    assert config.generator is None
    assert config.fabric.devices == [0, 1]
    assert config.name == "mine"


def test_round_trip_with_everything_changed(minimal: str, write: Write) -> None:
    config = load_config(
        minimal,
        [
            "loss={name: proxy_anchor, args: {alpha: 32, tag: '1e-5', when: 'no'}, lr: 1e-2}",
            "embedder.freeze=[bn, patch]",
            "embedder.warm_start={}",
            "quirks=faithful",
            "data.transform={name: crop, train: {scale: [0.2, 1.0]}}",
            "optim.clip=null",
        ],
    )
    again = load_config(write("again.yaml", dump_config(config)))
    assert again == config
    assert again.loss.args == {"alpha": 32, "tag": "1e-5", "when": "no"}


@pytest.mark.parametrize("word", ["faithful", "corrected"])
def test_one_word_sets_all_quirks(minimal: str, word: str) -> None:
    quirks = load_config(minimal, [f"quirks={word}"]).quirks
    assert {getattr(quirks, quirk) for quirk in QUIRKS} == {word}


def test_single_quirks_leave_the_others_corrected(minimal: str) -> None:
    quirks = load_config(minimal, ["quirks.clip=faithful"]).quirks
    assert quirks.clip == "faithful"
    assert {getattr(quirks, quirk) for quirk in QUIRKS if quirk != "clip"} == {"corrected"}


def test_every_quirk_is_explained() -> None:
    for quirk, field in QuirksConfig.model_fields.items():
        assert "faithful" in (field.description or ""), quirk


@pytest.mark.parametrize(
    ("overrides", "on_test"),
    [([], False), (["quirks.select=faithful"], True), (["data.validation=0"], True)],
)
def test_selects_on_test(minimal: str, overrides: list[str], on_test: bool) -> None:
    assert load_config(minimal, overrides).selects_on_test is on_test


def test_data_root(minimal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GCAHNG_DATA", raising=False)
    assert data_root(load_config(minimal)) == Path("datasets")
    monkeypatch.setenv("GCAHNG_DATA", "/big/disk")
    assert data_root(load_config(minimal)) == Path("/big/disk")
    assert data_root(load_config(minimal, ["data.root=~/x"])) == Path.home() / "x"


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "train.epoch=3",
            "override: unknown key 'train.epoch' (did you mean 'train.epochs'?); "
            "allowed here: epochs, warmup_epochs, max_seconds, keep_every, save_minutes, "
            "patience, ema, loggers",
        ),
        (
            "batch.epochs=3",
            "override: unknown key 'batch.epochs' (did you mean 'train.epochs'?); "
            "allowed here: classes, samples, chunk",
        ),
        ("batch.zzz=3", "override: unknown key 'batch.zzz'; allowed here: classes, samples, chunk"),
        (
            "generatr.alpha=3",
            "override: unknown key 'generatr' (did you mean 'generator'?); allowed here: name, "
            "seed, output, data, batch, embedder, loss, generator, quirks, optim, train, eval, "
            "fabric",
        ),
        ("train.epochs=ten", "override: train.epochs: expected an integer ≥ 0, got 'ten'"),
        ("train.epochs='5'", "override: train.epochs: expected an integer ≥ 0, got '5'"),
        ("train.epochs=-1", "override: train.epochs: expected an integer ≥ 0, got -1"),
        ("train.epochs=1.5", "override: train.epochs: expected an integer ≥ 0, got 1.5"),
        ("train.epochs=true", "override: train.epochs: expected an integer ≥ 0, got true"),
        ("train.epochs=null", "override: train.epochs: expected an integer ≥ 0, got null"),
        (
            "train.max_seconds=0",
            "override: train.max_seconds: expected a number > 0 or null, got 0",
        ),
        ("data.validation=1", "override: data.validation: expected a number ≥ 0 and < 1, got 1"),
        ("optim.embedder.lr=.inf", "override: optim.embedder.lr: expected a number > 0, got inf"),
        ("seed=-1", "override: seed: expected an integer ≥ 0 and ≤ 4294967295, got -1"),
        ("loss.name=null", "override: loss.name: expected text, got null"),
        ("loss.args=3", "override: loss.args: expected a mapping, got 3"),
        ("embedder.normalize=1", "override: embedder.normalize: expected true or false, got 1"),
        (
            "embedder.backbone=resnet50",
            "override: embedder.backbone: expected a mapping (keys: name, args), got 'resnet50'",
        ),
        (
            "embedder.freeze=[bn, pach]",
            "override: embedder.freeze[1]: expected 'backbone' or 'bn' or 'bn_affine' or "
            "'patch', got 'pach' (did you mean 'patch'?)",
        ),
        (
            "embedder.freeze=bn",
            "override: embedder.freeze: expected a list of 'backbone' or 'bn' or 'bn_affine' or "
            "'patch', got 'bn'",
        ),
        ("eval.ks=[]", "override: eval.ks: expected a non-empty list of integers ≥ 1, got []"),
        ("eval.ks=[1, 0]", "override: eval.ks[1]: expected an integer ≥ 1, got 0"),
        (
            "fabric.devices=[1.5]",
            "override: fabric.devices: expected an integer or text or a list of integers, "
            "got [1.5]",
        ),
        (
            "generator.graph.path=dens",
            "override: generator.graph.path: expected 'dense' or 'sparse', got 'dens' "
            "(did you mean 'dense'?)",
        ),
        (
            "quirks=fathful",
            "override: quirks: expected 'faithful', 'corrected' or a mapping of single quirks, "
            "got 'fathful' (did you mean 'faithful'?)",
        ),
        (
            "quirks.clip=norm",
            "override: quirks.clip: expected 'faithful' or 'corrected', got 'norm'",
        ),
        ("name=a/b", "override: name: expected text matching ^[^/\\\\]+$, got 'a/b'"),
        (
            "train.warmup_epochs=5",
            "override: train.warmup_epochs: expected fewer than train.epochs (5), got 5",
        ),
        (
            "eval.select=recall@3",
            "override: eval.select: expected one of recall@1, recall@2, recall@4, recall@8, "
            "map@r, r_precision, got 'recall@3' (did you mean 'recall@8'?)",
        ),
    ],
)
def test_mistakes(minimal: str, override: str, sentence: str) -> None:
    with pytest.raises(ValueError, match="override") as info:
        load_config(minimal, [override])
    assert str(info.value) == sentence


def test_long_values_are_shortened(minimal: str) -> None:
    with pytest.raises(ValueError, match=r"got '9{56}\.\.\.$"):
        load_config(minimal, [f"train.epochs='{'9' * 200}'"])


def test_mistakes_name_the_file_they_are_in(write: Write) -> None:
    write("parent.yaml", f"{MINIMAL}seed: one\n")
    path = write("child.yaml", "base: parent.yaml\ntrain: {epoch: 3, epochs: -1}\nloss: {lr: -1}\n")
    with pytest.raises(ValueError, match="unknown key") as info:
        load_config(path, ["eval.every=0"])
    assert sorted(str(info.value).splitlines()) == [
        "child.yaml: loss.lr: expected a number > 0 or null, got -1",
        "child.yaml: train.epochs: expected an integer ≥ 0, got -1",
        "child.yaml: unknown key 'train.epoch' (did you mean 'train.epochs'?); "
        "allowed here: epochs, warmup_epochs, max_seconds, keep_every, save_minutes, patience, "
        "ema, loggers",
        "override: eval.every: expected an integer ≥ 1, got 0",
        "parent.yaml: seed: expected an integer ≥ 0 and ≤ 4294967295, got 'one'",
    ]


def test_missing_keys_are_the_experiments_own_mistake(write: Write) -> None:
    path = write("x.yaml", MINIMAL.replace("samples: 2", "").replace("train: {epochs: 5}", ""))
    with pytest.raises(ValueError, match="missing key") as info:
        load_config(path)
    assert str(info.value).splitlines() == [
        "x.yaml: missing key 'batch.samples'; expected an integer ≥ 2 and ≤ 10000",
        "x.yaml: missing key 'train'; expected a mapping (keys: epochs, warmup_epochs, "
        "max_seconds, keep_every, save_minutes, patience, ema, loggers)",
    ]


def test_without_a_generator_any_width_will_do(minimal: str) -> None:
    assert load_config(minimal, ["generator=null", "embedder.dim=10"]).embedder.dim == 10


def test_defaults_are_not_shared_by_two_experiments(minimal: str) -> None:
    first, second = load_config(minimal), load_config(minimal)
    first.loss.args["margin"] = 1
    assert second.loss.args == {}
    assert load_config(minimal).loss.args == {}

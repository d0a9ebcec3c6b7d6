from pathlib import Path

import pytest

from gcahng.config import load_config
from gcahng.config.experiment import changed_experiment, data_root, with_runtime_settings
from gcahng.config.sections import QuirksConfig
from tests.gcahng.config.conftest import MINIMAL, Write

QUIRKS = list(QuirksConfig.model_fields)


def test_defaults(minimal: str) -> None:
    config = load_config(minimal)
    assert (config.name, config.seed, config.output) == ("minimal", 0, "runs")
    assert config.generator is not None
    assert (config.generator.name, config.generator.args) == ("gca_hng", {})
    assert config.optim.embedder.lr == 1e-3
    assert config.optim.graph.schedule.name == "cosine"
    assert config.eval.ks == [1, 2, 4, 8]
    assert {getattr(config.quirks, quirk) for quirk in QUIRKS} == {"corrected"}


def test_quickstart_recipes_differ_only_where_they_say() -> None:
    full = load_config("quickstart").model_dump(exclude={"name"})
    npair = load_config("quickstart/npair").model_dump(exclude={"name"})
    control = load_config("quickstart/npair_node_ce").model_dump(exclude={"name"})
    assert npair == {**full, "generator": None}
    off = {
        "synthetic_weight": 0.0,
        "weights": dict.fromkeys(("gamma", "similarity", "diversity"), 0.0),
    }
    args = {**full["generator"]["args"], **off}
    assert control == {**full, "generator": {"name": "gca_hng", "args": args}}


def test_one_word_sets_all_quirks_and_a_mapping_single_ones(minimal: str) -> None:
    assert set(load_config(minimal, ["quirks=faithful"]).quirks.model_dump().values()) == {
        "faithful"
    }
    quirks = load_config(minimal, ["quirks.clip=faithful"]).quirks
    assert [q for q in QUIRKS if getattr(quirks, q) == "faithful"] == ["clip"]


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
        ("train.epoch=3", "unknown key 'train.epoch' (did you mean 'train.epochs'?); allowed"),
        ("batch.epochs=3", "unknown key 'batch.epochs' (did you mean 'train.epochs'?)"),
        ("batch.zzz=3", "unknown key 'batch.zzz'; allowed here: classes, samples, chunk"),
        ("generatr.alpha=3", "unknown key 'generatr' (did you mean 'generator'?)"),
        ("generator.alpha=3", "'generator.alpha' (did you mean 'generator.args.alpha'?)"),
        ("train.epochs=ten", "train.epochs: expected an integer, got 'ten'"),
        ("train.epochs=-1", "train.epochs: expected a value greater than or equal to 0, got -1"),
        ("data.validation=1", "data.validation: expected a value less than 1, got 1"),
        ("optim.embedder.lr=.inf", "optim.embedder.lr: expected a finite number, got inf"),
        ("loss.name=null", "loss.name: expected text, got null"),
        ("embedder.backbone=resnet50", "embedder.backbone: expected a mapping, got 'resnet50'"),
        ("embedder.freeze=[bn, pach]", "got 'pach' (did you mean 'patch'?)"),
        ("eval.ks=[]", "eval.ks: list should have at least 1 item"),
        ("eval.ks=[1, 0]", "eval.ks[1]: expected a value greater than or equal to 1, got 0"),
        ("fabric.devices={}", "fabric.devices: expected an integer or text or a list, got {}"),
        ("quirks=fathful", "quirks: expected 'faithful', 'corrected' or a mapping of single"),
        ("quirks.clip=norm", "quirks.clip: expected 'faithful' or 'corrected', got 'norm'"),
        ("name=a/b", "name: string should match pattern"),
        ("train.warmup_epochs=5", "expected fewer than train.epochs (5), got 5"),
        ("eval.select=recall@3", "eval.select: expected one of recall@1, recall@2, recall@4,"),
        ("train.lr=1", "did you mean 'loss.lr' or 'optim.embedder.lr' or "),
        ("embedder={finish: whitening, freeze: [backbone]}", "embedder.finish: expected null"),
    ],
)
def test_mistakes(minimal: str, override: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^override: ") as info:
        load_config(minimal, [override])
    assert sentence in str(info.value)


def test_mistakes_name_the_file_they_are_in(write: Write) -> None:
    write("parent.yaml", f"{MINIMAL}seed: one\n")
    path = write("child.yaml", "base: parent.yaml\ntrain: {epoch: 3, epochs: -1}\nloss: {lr: -1}\n")
    with pytest.raises(ValueError, match="unknown key") as info:
        load_config(path, ["eval.every=0"])
    found = (line.partition(" (did")[0] for line in str(info.value).splitlines())
    assert sorted(found) == [
        "child.yaml: loss.lr: expected a value greater than 0, got -1",
        "child.yaml: train.epochs: expected a value greater than or equal to 0, got -1",
        "child.yaml: unknown key 'train.epoch'",
        "override: eval.every: expected a value greater than or equal to 1, got 0",
        "parent.yaml: seed: expected an integer, got 'one'",
    ]


def test_missing_keys_are_the_experiments_own_mistake(write: Write) -> None:
    path = write("x.yaml", MINIMAL.replace("samples: 2", "").replace("train: {epochs: 5}", ""))
    with pytest.raises(ValueError, match="missing key") as info:
        load_config(path)
    lines = str(info.value).splitlines()
    assert lines == ["x.yaml: missing key 'batch.samples'", "x.yaml: missing key 'train'"]


def test_runtime_settings_are_no_change_of_the_experiment(minimal: str) -> None:
    first = load_config(minimal)
    second = load_config(minimal, ["generator.args.graph.memory=low", "data.workers=2", "seed=1"])
    assert changed_experiment(first, second) == ["seed"]
    moved = with_runtime_settings(first, second)
    assert moved == with_runtime_settings(second, second).model_copy(update={"seed": 0})
    assert changed_experiment(first, moved) == []
    assert changed_experiment(first, load_config(minimal, ["loss.args.a.b=1"])) == ["loss.args.a.b"]

from pathlib import Path
from typing import Any

import pytest

from gcahng.config.layers import EXPERIMENTS, find_config, load_layers, merge
from tests.gcahng.config.conftest import Write


def test_merge_goes_deep_and_changes_neither() -> None:
    base = {"a": {"b": 1, "c": {"d": 2}}, "e": [1, 2]}
    layer = {"a": {"c": {"d": 3}}, "e": [4]}
    assert merge(base, layer) == {"a": {"b": 1, "c": {"d": 3}}, "e": [4]}
    assert base == {"a": {"b": 1, "c": {"d": 2}}, "e": [1, 2]}
    assert layer == {"a": {"c": {"d": 3}}, "e": [4]}


def test_merge_drops_the_arguments_of_another_transform() -> None:
    def merged(base: str | None, layer: str | None) -> dict[str, Any]:
        before = {"data": {"transform": {"name": base, "train": {"size": 96}, "test": {}}}}
        after = {"data": {"transform": {"name": layer, "train": {"scale": 1}}}}
        transform: dict[str, Any] = merge(before, after)["data"]["transform"]
        assert transform.pop("name") == layer
        return transform

    dropped, kept = {"train": {"scale": 1}}, {"train": {"size": 96, "scale": 1}, "test": {}}
    assert merged("imagenet", "digits") == merged("glyphs", None) == dropped
    # Without a name it is the data set's own, which may be the one named.
    assert merged(None, "digits") == dropped
    assert merged(None, "imagenet") == merged("imagenet", None) == merged(None, None) == kept
    elsewhere = {"loss": {"transform": {"name": "a", "train": 1}}}
    renamed = {"loss": {"transform": {"name": "b"}}}
    assert merge(elsewhere, renamed)["loss"]["transform"] == {"name": "b", "train": 1}


def test_bases_are_relative_to_their_file_and_reach_any_depth(write: Write) -> None:
    write("grand.yaml", "a: 1\nb: 1\nc: 1\n")
    write("sub/parent.yaml", "base: ../grand.yaml\nb: 2\nc: 2\n")
    path = write("sub/deep/child.yaml", "base: ../parent.yaml\nc: 3\n")
    layers, found = load_layers(path)
    assert layers.values == {"a": 1, "b": 2, "c": 3}
    assert found == Path(path).resolve()
    assert layers.source == "sub/deep/child.yaml"
    assert [layers.origin((key,)) for key in "abcx"] == [
        "grand.yaml",
        "sub/parent.yaml",
        "sub/deep/child.yaml",
        "sub/deep/child.yaml",
    ]


def test_a_later_base_wins_and_the_name_is_not_inherited(write: Write) -> None:
    write("root.yaml", "name: mother\na: 0\nb: 0\n")
    write("left.yaml", "base: root.yaml\na: 1\n")
    write("right.yaml", "base: root.yaml\nb: 2\n")
    layers, _ = load_layers(write("x.yaml", "base: [left.yaml, right.yaml]\n"))
    # The shared base is read again before `right`, because bases are merged from left to right.
    assert layers.values == {"a": 0, "b": 2}


def test_overrides_win_and_are_one_layer(write: Write) -> None:
    path = write("x.yaml", "loss: {name: triplet, args: {margin: 0.2}}\na: {b: 1}\n")
    layers, _ = load_layers(path, ["loss.args.p=2", "loss.name=npair", "a.b=3", "a.b = 1e-5"])
    assert layers.values == {"loss": {"name": "npair", "args": {"p": 2}}, "a": {"b": 1e-5}}
    assert layers.origin(("a", "b")) == "override"
    assert layers.origin(("a", "c")) == "override"


def test_arguments_are_merged_deeply_until_the_name_changes(write: Write) -> None:
    graph = (
        "generator: {args: {graph: {layers: 1, conv: {name: gat, args: {heads: 2}}}, alpha: 2}}\n"
    )
    write("base.yaml", graph)
    path = write(
        "x.yaml", "base: base.yaml\ngenerator: {name: gca_hng, args: {graph: {heads: 8}}}\n"
    )
    args = load_layers(path, ["generator.args.graph.layers=3"])[0].values["generator"]["args"]
    conv = {"name": "gat", "args": {"heads": 2}}
    assert args == {"graph": {"layers": 3, "conv": conv, "heads": 8}, "alpha": 2}
    args = load_layers(path, ["generator.args.graph.conv.name=pna"])[0].values["generator"]["args"]
    assert args["graph"]["conv"] == {"name": "pna"}
    other = load_layers(path, ["generator.args.value=1", "generator.name=scalar"])[0]
    assert other.values["generator"] == {"name": "scalar", "args": {"value": 1}}


@pytest.mark.parametrize(
    ("text", "override", "sentence"),
    [
        ("", "train", "override 'train': expected key.path=value"),
        ("", "a..b=3", "override 'a..b=3': expected key.path=value"),
        ("", "a.b= ", "override 'a.b= ': no value given"),
        ("", "a=[1", "override 'a=[1', line 1, column 3: not valid YAML: expected ',' or ']'"),
        ("", "train=5 train.epochs=2", "override 'train.epochs=2': train was set to 5 before"),
        ("a: {b: null}", "a.b.c=1", "override 'a.b.c=1': a.b is null; set it as a whole"),
        ("a: {c: 1}", "a=null a.b=1", "override 'a.b=1': a is null; set it as a whole"),
        ("- a\n", "", "x.yaml: expected 'key: value' lines, got ['a']"),
        ("base: 3\n", "", "x.yaml: base: expected a path or a list of paths, got 3"),
        ("base: loop.yaml\n", "", "loop.yaml: circular base: loop.yaml → loop.yaml"),
        ("base: turn.yaml\n", "", "turn.yaml: circular base: x.yaml → turn.yaml → x.yaml"),
    ],
)
def test_wrong_files_and_overrides(write: Write, text: str, override: str, sentence: str) -> None:
    write("loop.yaml", "base: loop.yaml\n")
    write("turn.yaml", "base: x.yaml\n")
    overrides = override.split() if override[-1:] != " " else [override]
    with pytest.raises(ValueError, match=r"override|yaml") as info:
        load_layers(write("x.yaml", text), overrides)
    assert str(info.value).startswith(sentence)


def test_a_missing_base_names_its_file_and_the_nearest(write: Write) -> None:
    write("quickstart.yaml", "")
    path = write("sub/x.yaml", "base: ../quikstart.yaml\n")
    with pytest.raises(FileNotFoundError, match=r"^sub/x.yaml: .* mean '../quickstart.yaml'\?"):
        load_layers(path)


def test_packaged_experiments_are_found_by_bare_name(write: Write) -> None:
    assert find_config("quickstart") == EXPERIMENTS / "quickstart.yaml"
    assert find_config("quickstart/npair") == EXPERIMENTS / "quickstart" / "npair.yaml"
    own = write("quickstart.yaml", "")
    assert find_config("quickstart") == Path(own).resolve(), "a file here goes first"


def test_a_missing_file_lists_what_comes_close(write: Write) -> None:
    write("sub/mine.yaml", "")
    with pytest.raises(FileNotFoundError) as info:
        find_config("sub/mien.yaml")
    assert str(info.value) == "no config file 'sub/mien.yaml'; close to it: sub/mine.yaml"
    with pytest.raises(FileNotFoundError, match=r"; close to it: quickstart,?"):
        find_config("quikstart")
    with pytest.raises(FileNotFoundError, match=r"^no config file '\.'; packaged: .*quickstart,"):
        find_config(".")


def test_a_base_may_be_a_packaged_experiment(write: Write) -> None:
    layers, _ = load_layers(write("mine.yaml", "base: quickstart/npair\nseed: 3\n"))
    assert layers.values["generator"] is None
    assert layers.values["data"] == {"name": "glyphs"}
    write("quickstart.yaml", "a: 1\n")
    own, _ = load_layers(write("x.yaml", "base: quickstart.yaml\n"))
    assert own.values == {"a": 1}, "a file beside this one goes first"


def test_one_quirk_changes_the_others_stay(write: Write) -> None:
    path = write("x.yaml", "quirks: faithful\n")
    for overrides in (["quirks.clip=corrected"], ["quirks=faithful", "quirks.clip=corrected"]):
        quirks = load_layers(path, overrides)[0].values["quirks"]
        assert quirks["clip"] == "corrected"
        assert quirks["select"] == "faithful"

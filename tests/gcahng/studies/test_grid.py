"""Grid files: what they become, and one sentence for each mistake."""

from pathlib import Path

import pytest

from gcahng.config import load_config
from gcahng.config.layers import EXPERIMENTS, GRIDS
from gcahng.studies.experiments import nested
from gcahng.studies.grid import EqualTime, read_grid
from tests.gcahng.studies.conftest import HEAD, TWO_CELLS, WriteGrid


def test_a_cell_is_its_base_under_the_settings(write_grid: WriteGrid) -> None:
    grid = write_grid()
    assert (grid.name, grid.title, grid.reference) == ("grid", "grid", "npair")
    assert (grid.seeds, grid.folder) == (range(2), Path("runs/ablations/grid"))
    shared = ["train.epochs=2", "batch.samples=3", "embedder.dim=8"]
    assert grid.cells["full"].config == load_config("digits", [*shared, "name=full"])
    assert grid.cells["npair"].config == load_config(
        "digits", [*shared, "name=npair", "generator=null"]
    )


def test_bases_are_relative_to_the_file_or_packaged(write_grid: WriteGrid, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("data: {name: glyphs}\n")
    with pytest.raises(ValueError, match=r"mine\.yaml: missing key 'optim'"):
        write_grid(HEAD.replace("digits", "mine.yaml") + "cells: {npair: {}}")
    grid = write_grid(HEAD + "cells: {npair: {base: quickstart/npair}}")
    assert grid.cells["npair"].config.data.name == "glyphs"
    assert grid.cells["npair"].config.embedder.dim == 8


def test_axes_are_multiplied(write_grid: WriteGrid) -> None:
    grid = write_grid(
        HEAD
        + "cells: {npair: {generator: null}}\n"
        + "axes:\n"
        + "  generator: {gca: {}, unmoved: {generator.name: unmoved}}\n"
        + "  dim: {small: {embedder: {dim: 4}}, large: {embedder.dim: 16}}\n"
    )
    names = ["npair", "gca-small", "gca-large", "unmoved-small", "unmoved-large"]
    assert list(grid.cells) == names
    config = grid.cells["unmoved-large"].config
    assert config.generator is not None
    assert (config.name, config.generator.name, config.embedder.dim) == (
        "unmoved-large",
        "unmoved",
        16,
    )
    assert grid.cells["gca-small"].config.embedder.dim == 4


def test_a_later_layer_wins_and_may_fill_what_was_null(write_grid: WriteGrid) -> None:
    grid = write_grid(
        HEAD.replace("{train.epochs: 2", "{generator: null, train.epochs: 2")
        + "cells: {npair: }\n"
        + "axes:\n  a: {none: {}, gca: {generator: {args: {alpha: 3.0}}}}\n"
        + "  b: {'': {train.epochs: 7}}"
    )
    assert list(grid.cells) == ["npair", "none-", "gca-"]
    config = grid.cells["gca-"].config
    assert config.generator is not None
    assert (config.generator.args["alpha"], config.train.epochs) == (3.0, 7)


def test_equal_time_takes_over_the_cell(write_grid: WriteGrid) -> None:
    grid = write_grid(TWO_CELLS + "equal_time: {long: {of: npair, as: full}}")
    cell = grid.cells["long"]
    assert cell.equal_time == EqualTime.model_validate({"of": "npair", "as": "full"})
    assert cell.waits_for == ("npair", "full")
    assert cell.config.generator is None
    assert cell.config.name == "long"


def test_changes_are_those_to_the_reference(write_grid: WriteGrid) -> None:
    grid = write_grid(TWO_CELLS + "equal_time: {long: {of: npair, as: full}}")
    assert grid.changes(grid.cells["npair"]) == []
    assert grid.changes(grid.cells["long"]) == ["as long as full"]
    assert grid.changes(grid.cells["full"]) == [
        "generator.name='gca_hng'",
        "generator.args.graph.layers=1",
        "generator.args.graph.heads=4",
        "generator.args.alpha=2.0",
    ]


def test_dotted_keys_are_taken_apart_and_nothing_is_shared() -> None:
    settings = {"a": {"b": 1}, "a.c.d": 2, "e": [3]}
    assert nested(settings, {}, "here") == {"a": {"b": 1, "c": {"d": 2}}, "e": [3]}
    assert settings == {"a": {"b": 1}, "a.c.d": 2, "e": [3]}
    assert nested({"a": {"b": 1}, "a.c": 2}, {"a": None}, "here") == {"a": {"b": 1, "c": 2}}


CELLS = "cells: {npair: {}}\n"
MISTAKES = [
    ("- 1", "grid.yaml: expected 'key: value' lines, got [1]"),
    ("base: digits\ncells: {a: {}}", "grid.yaml: missing key 'reference'"),
    (HEAD + "cell: {a: {}}", "grid.yaml: unknown key 'cell' (did you mean 'cells'?); allowed"),
    (HEAD + CELLS + "seeds: 0", "grid.yaml: seeds: expected"),
    (HEAD + "cells: {npair: 3}", "grid.yaml: cells"),
    (HEAD + "axes: {loss: {a: b}}", "grid.yaml: axes"),
    (HEAD, "grid.yaml: no cells: give 'cells', 'axes' or both"),
    (
        HEAD + "cells: {npair: {}, npair: {}}",
        "grid.yaml, line 4, column 20: not valid YAML: key 'npair' was given before, on line 4",
    ),
    (
        HEAD + "cells: {npair: {}, a-b: {}}\naxes: {one: {a: {}}, two: {b: {}}}",
        "grid.yaml: two cells are called 'a-b': rename one, or a label of it",
    ),
    (
        HEAD + "cells: {npiar: {}}",
        "grid.yaml: reference: unknown cell 'npair' (did you mean 'npiar'?); choose from: npiar",
    ),
    (HEAD + CELLS + "show: npiar", "grid.yaml: show: unknown cell 'npiar' (did you mean 'npair'?)"),
    (
        HEAD + CELLS + "equal_time: {long: {of: npair}}",
        "grid.yaml: missing key 'equal_time.long.as'",
    ),
    (
        HEAD + CELLS + "equal_time: {long: {of: npair, as: nobody}}",
        "grid.yaml: equal_time.long.as: unknown cell 'nobody'; choose from: npair",
    ),
    (
        HEAD + "cells: {npair: , none: {train.epochs: 0}}\nequal_time: {l: {of: npair, as: none}}",
        "cell 'l': 'none' takes no time",
    ),
    (
        HEAD + "cells: {npair: , none: {train.epochs: 0}}\nequal_time: {l: {of: none, as: npair}}",
        "cell 'l': 'none' takes no time",
    ),
    (
        HEAD.replace("digits", "digist") + CELLS,
        "cell 'npair': grid.yaml: base: no config file 'digist'; close to it: digits",
    ),
    (
        HEAD + "cells: {npair: {train.epoch: 3}}",
        "cell 'npair': grid.yaml: unknown key 'train.epoch' (did you mean 'train.epochs'?)",
    ),
    (
        HEAD + "cells: {npair: {generator: null, generator.args.alpha: 3.0}}",
        "cell 'npair': grid.yaml: cells.npair: generator.args.alpha: generator is null; give",
    ),
    (
        HEAD + "cells: {npair: {train: {epochs: 3}, train.epochs: 4}}",
        "cell 'npair': grid.yaml: cells.npair: train.epochs is given twice",
    ),
    (
        HEAD + "cells: {npair: {train: 3, train.epochs: 4}}",
        "cell 'npair': grid.yaml: cells.npair: train.epochs: train is no mapping",
    ),
    (
        HEAD + "cells: {npair: {seed: 3}}",
        "cell 'npair': grid.yaml: cells.npair.seed: each run is given its seed",
    ),
    (HEAD + "cells: {npair: {}, a/b: {}}", "cell 'a/b': grid.yaml: name: "),
    (
        HEAD + "cells: {npair: {loss.name: npiar}}",
        "cell 'npair': loss.name: unknown metric loss 'npiar' (did you mean 'npair'?); choose from",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), MISTAKES, ids=lambda value: str(value)[-40:])
def test_mistakes(text: str, sentence: str, write_grid: WriteGrid) -> None:
    with pytest.raises((ValueError, FileNotFoundError)) as info:
        write_grid(text)
    assert str(info.value).startswith(sentence)
    assert len(str(info.value).splitlines()) == len(sentence.splitlines())


@pytest.mark.parametrize("name", [file.stem for file in (EXPERIMENTS / GRIDS).glob("*.yaml")])
def test_every_packaged_grid_is_sound(name: str) -> None:
    grid = read_grid(f"{GRIDS}/{name}")
    assert len(grid.cells) > 1
    resolved = [cell.config.model_copy(update={"name": ""}) for cell in grid.cells.values()]
    ordinary = [
        c for c, cell in zip(resolved, grid.cells.values(), strict=True) if not cell.equal_time
    ]
    assert all(one not in ordinary[:place] for place, one in enumerate(ordinary)), "two are alike"


def test_no_such_file() -> None:
    sentence = (
        r"^no grid file 'ablations/layer' \(did you mean 'ablations/layers'\?\); packaged: abl"
    )
    with pytest.raises(FileNotFoundError, match=sentence):
        read_grid("ablations/layer")


def test_validation_figures_need_validation_classes(write_grid: WriteGrid) -> None:
    text = TWO_CELLS.replace("embedder.dim: 8", "embedder.dim: 8, data.validation: 0.0")
    with pytest.raises(ValueError, match=r"cell 'npair': grid.yaml: split: 'val' needs classes"):
        write_grid(text + "split: val\n")
    with pytest.raises(ValueError, match=r"grid.yaml: split: expected 'test' or 'val'"):
        write_grid(TWO_CELLS + "split: vel\n")

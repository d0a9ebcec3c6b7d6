"""Grid files: what they become, and one sentence for each mistake."""

from pathlib import Path

import pytest

from gcahng.config import load_config
from gcahng.config.layers import EXPERIMENTS, GRIDS
from gcahng.studies.experiments import changed_settings
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


def test_a_section_after_its_keys_replaces_none_of_them(write_grid: WriteGrid) -> None:
    settings = "{train.epochs: 9, train: {patience: 3}}"
    train = write_grid(HEAD + f"cells: {{npair: {settings}}}").cells["npair"].config.train
    assert (train.epochs, train.patience) == (9, 3)


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
    changes = [grid.changes(grid.cells[name]) for name in ("npair", "long", "full")]
    assert changes == [[], ["as long as full"], GCA]


GCA = [
    *("generator.name='gca_hng'", "generator.args.graph.layers=1"),
    *("generator.args.graph.heads=4", "generator.args.alpha=2.0"),
]


@pytest.mark.parametrize(
    ("cell", "reference", "expected"),
    [
        ([], ["generator=null"], GCA),
        (["generator.name=unmoved"], [], ["generator.name='unmoved'"]),
        (["embedder.warm_start={}"], [], ["embedder.warm_start.steps=500"]),
    ],
)
def test_settings_that_differ(cell: list[str], reference: list[str], expected: list[str]) -> None:
    ours, theirs = load_config("digits", cell), load_config("digits", reference)
    assert changed_settings(ours, theirs) == expected


@pytest.mark.parametrize("name", [file.stem for file in (EXPERIMENTS / GRIDS).glob("*.yaml")])
def test_every_packaged_grid_is_sound(name: str) -> None:
    grid = read_grid(f"{GRIDS}/{name}")
    assert len(grid.cells) > 1
    resolved = [cell.config.model_copy(update={"name": ""}) for cell in grid.cells.values()]
    ordinary = [
        c for c, cell in zip(resolved, grid.cells.values(), strict=True) if not cell.equal_time
    ]
    assert all(one not in ordinary[:place] for place, one in enumerate(ordinary)), "two are alike"


CELLS = HEAD + "cells: {npair: {}}\n"
MISTAKES = [
    ("base: digits\ncells: {a: {}}", "missing key 'reference'"),
    (HEAD + "cell: {a: {}}", "unknown key 'cell' (did you mean 'cells'?)"),
    (CELLS + "split: vel", "split: expected 'test' or 'val'"),
    (CELLS.replace("dim: 8", "dim: 8, data.validation: 0.0") + "split: val", "split: 'val' needs"),
    (HEAD, "no cells"),
    (HEAD + "cells: {npair: {}, npair: {}}", "line 4, column 20: not valid YAML: key 'npair' was"),
    (HEAD + "cells: {a-b: {}}\naxes: {one: {a: {}}, two: {b: {}}}", "two cells are called 'a-b'"),
    (HEAD + "cells: {npiar: {}}", "reference: unknown cell 'npair' (did you mean 'npiar'?)"),
    (CELLS + "equal_time: {a: {of: npair, as: b}}", "equal_time.a.as: unknown cell 'b'"),
    (CELLS[:-2] + ", a: {train.epochs: 0}}\nequal_time: {l: {of: npair, as: a}}", "takes no time"),
    (HEAD + "cells: {npair: {train.epoch: 3}}", "unknown key 'train.epoch' (did you mean"),
    (HEAD + "cells: {npair: {generator: null, generator.args.a: 3}}", "generator is null; set"),
    (HEAD + "cells: {npair: {seed: 3}}", "cells.npair.seed: each run is given its seed"),
    (HEAD + "cells: {npair: {loss.name: npiar}}", "loss.name: unknown metric loss 'npiar'"),
]


@pytest.mark.parametrize(("text", "words"), MISTAKES, ids=lambda value: str(value)[-40:])
def test_mistakes(text: str, words: str, write_grid: WriteGrid) -> None:
    with pytest.raises((ValueError, FileNotFoundError)) as info:
        write_grid(text)
    assert words in str(info.value)
    assert "grid.yaml" in str(info.value) or "cell " in str(info.value)


def test_no_such_file() -> None:
    with pytest.raises(FileNotFoundError, match=r"'ablations/layer' \(did you mean 'ablations/la"):
        read_grid("ablations/layer")

"""What the README shows is what happens."""

import csv
import re
import shlex
import statistics
from pathlib import Path

import pytest

from gcahng.builders.networks import build_embedder, build_generator, build_loss
from gcahng.config import load_config
from gcahng.data import DATASETS
from gcahng.generators import GENERATORS
from gcahng.graph import CONVS
from gcahng.losses import LOSSES
from gcahng.models import BACKBONES
from gcahng.studies import read_grid

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDES = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
PAGES = README + "".join(GUIDES.values())
RESULTS = (ROOT / "docs/results/README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\$ python -m gcahng train (.+)\n((?:.+\n)+?)(?=\n|```)", PAGES, re.M)
# Rows of two columns that end in a difference.
FIGURES = re.findall(r"^\| ([^|]*) \| ([+-]\d+\.\d\d) \|$", RESULTS, re.M)
COMMANDS = re.findall(r"^(?:python -m )?gcahng train (?!--)(.+)$", PAGES, re.M)


@pytest.mark.parametrize(("arguments", "sentences"), EXAMPLES)
def test_mistakes_read_as_shown(
    arguments: str, sentences: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path, *overrides = shlex.split(arguments)
    with pytest.raises((ValueError, FileNotFoundError)) as info:
        load_config(path, overrides)
    assert f"error: {info.value}" == sentences.strip()


@pytest.mark.parametrize("arguments", COMMANDS)
def test_commands_have_a_valid_config(arguments: str) -> None:
    path, *overrides = shlex.split(arguments)
    config = load_config(path, overrides)
    assert config.train.epochs != 1
    build_embedder(config, pretrained=False)
    build_loss(config, config.batch.classes)
    if "my_parts" not in arguments:
        build_generator(config, config.batch.classes)


@pytest.mark.parametrize("grid", re.findall(r"^(?:python -m )?gcahng ablate (\S+)", PAGES, re.M))
def test_grids_named_are_there(grid: str) -> None:
    assert read_grid(grid).cells


def test_names_listed_are_there() -> None:
    rows = dict(re.findall(r"^\| `([a-z.]+)`[^|]* \| (.*) \|$", PAGES, re.M))
    for setting, registry in {
        "generator.args.graph.conv": CONVS,
        "generator.name": GENERATORS,
        "loss.name": LOSSES,
        "embedder.backbone.name": BACKBONES,
        "data.name": DATASETS,
    }.items():
        named = re.findall(r"`([a-z]\w*)`", rows[setting].replace("`out_channels`", ""))
        assert named
        for name in named:
            registry.find(name)


def test_the_yaml_shown_is_the_file() -> None:
    shown = re.findall(r"```yaml\n# (experiments/\S+\.yaml): .*\n((?:.+\n)+)```", PAGES)
    assert shown
    for path, text in shown:
        assert (ROOT / path).read_text(encoding="utf-8").endswith(text)


def test_folders_and_links_exist() -> None:
    folders = re.findall(r"^\| `(\w+)/` \|", README, re.M)
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert folders
    assert links
    assert [name for name in [*folders, *links] if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("guide", [*GUIDES, ROOT / "docs/results/README.md"], ids=str)
def test_links_of_the_guides_exist(guide: Path) -> None:
    links = re.findall(r"\]\((?!http|#)([^)#]+)", guide.read_text(encoding="utf-8"))
    assert links
    assert [name for name in links if not (guide.parent / name).exists()] == []


def _means(grid: str, figure: str = "map@r", epoch: str = "last") -> dict[str, float]:
    """A figure in percent, the mean over the seeds of each cell."""
    by_cell: dict[str, list[float]] = {}
    with (ROOT / f"docs/results/{grid}.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["epoch"] == epoch:
                by_cell.setdefault(row["cell"], []).append(100 * float(row[figure]))
    return {cell: statistics.mean(values) for cell, values in by_cell.items()}


def test_quickstart_figures_are_those_measured() -> None:
    mean, cells = _means("quickstart"), list(read_grid("ablations/quickstart").cells)
    gains = [f"{mean[cell] - mean['N-pair']:+.2f}" for cell in cells if cell != "N-pair"]
    assert [figure for _, figure in FIGURES[: len(gains)]] == gains


@pytest.mark.parametrize(
    ("grid", "reference", "shown"),
    [
        ("attribution", "full", [row for row in FIGURES[3:] if "`" not in row[0]]),
        ("moved_proxy_anchor", "alone", [row for row in FIGURES if "`" in row[0]]),
    ],
)
def test_gains_are_those_measured(grid: str, reference: str, shown: list[tuple[str, str]]) -> None:
    mean = _means(grid)
    assert len(shown) > 3
    for name, figure in shown:
        cell = name.split("`")[1] if "`" in name else name
        assert float(figure) == pytest.approx(mean[cell] - mean[reference], abs=0.00501), cell


def _measured(grid: str, cell: str, epoch: str) -> str:
    """The figures of a cell as the README shows them: means over the seeds, in percent."""
    return " | ".join(f"{_means(grid, name, epoch)[cell]:.1f}" for name in ("recall@1", "map@r"))


def test_emoji_figures_are_those_measured() -> None:
    shown = re.findall(r"^\| ([^|]+) \| (\d+\.\d \| \d+\.\d) \|$", README, re.M)
    starts = {"no training": "features", "last layer in closed form": "last"}
    for row, figures in shown:
        if cell := re.search(r"`(\w+)`", row):
            assert figures == _measured("emoji_finish", cell[1], "last"), row
        else:
            what, size = row.split(", ")
            size = size.removeprefix("pictures of ")
            assert figures == _measured("emoji_start", size, starts[what]), row
    assert len(shown) == 12


def test_emoji_gains_are_those_measured() -> None:
    rows = re.findall(r"^\| `(.+)` \| ([+-]\d+\.\d\d) \| ([+-]\d+\.\d\d) \|$", RESULTS, re.M)
    finished = [("emoji_finish", "map@r"), ("emoji_finish", "recall@1")]
    trained = [("emoji_npair", "map@r"), ("emoji_proxy_anchor", "map@r")]
    assert len(rows) == 11
    for number, (cell, *gains) in enumerate(rows):
        for (grid, figure), gain in zip(finished if number < 5 else trained, gains, strict=True):
            mean = _means(grid, figure)
            assert float(gain) == pytest.approx(mean[cell] - mean["alone"], abs=0.00501), cell


def test_figures_at_one_rate_are_those_measured() -> None:
    mean, text = _means("emoji_rate"), " ".join(README.split())
    assert f"alone ends at {mean['alone']:.1f} and GCA-HNG at {mean['gca_hng']:.1f}, " in text

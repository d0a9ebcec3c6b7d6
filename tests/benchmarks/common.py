"""What the scripts of this folder share: sizes of a batch, generators, and tables."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import typer
from torch import Tensor
from torch.nn import functional as F

from gcahng.files import csv_text
from gcahng.generators import HardNegativeGenerator
from gcahng.reports.tables import Column, markdown_table

CPU, CLASS_SIZE = torch.device("cpu"), 50
Rows = list[dict[str, Any]]
RESULTS = Path(__file__).parents[2] / "docs/results"
Out = typer.Option(RESULTS, help="Folder for the tables.")


class Shape(NamedTuple):
    """Classes and samples of a batch, D, graph layers, heads, and classes of the classifiers."""

    classes: int
    samples: int
    dim: int
    layers: int
    heads: int
    outputs: int

    @property
    def nodes(self) -> int:
        return self.classes * self.samples

    @property
    def pairs(self) -> int:
        return self.nodes * (self.nodes + 1) // 2

    def __str__(self) -> str:
        return (
            f"{self.classes} classes × {self.samples}, D = {self.dim}, layers = {self.layers}, "
            f"heads = {self.heads}, {self.outputs} training classes"
        )


# With the training classes of CUB-200-2011, Stanford Online Products and In-Shop.
SHAPES = {
    "A": Shape(27, 3, 512, 2, 4, 100),
    "B": Shape(40, 2, 512, 1, 2, 11_318),
    "C": Shape(120, 3, 384, 1, 4, 3_997),
    "tiny": Shape(4, 3, 16, 2, 2, 8),
}


def build_generator(shape: Shape, device: torch.device, **settings: Any) -> HardNegativeGenerator:
    """The generator of a shape, the same each time."""
    torch.manual_seed(0)
    sizes = {"layers": shape.layers, "heads": shape.heads, "edge_heads": 1}
    graph: Any = {"edge_dropout": "off", **sizes, **settings}
    return HardNegativeGenerator(shape.dim, shape.outputs, graph=graph).to(device)


def draw_vectors(count: int, dim: int, spread: float = 1.0) -> Tensor:
    """Unit vectors [count, dim] around random centres; row i has class i modulo count/50."""
    generator = torch.Generator().manual_seed(0)
    classes = max(1, count // CLASS_SIZE)
    centres = F.normalize(torch.randn(classes, dim, generator=generator))
    noise = torch.randn(count, dim, generator=generator) * (spread / dim**0.5)
    return F.normalize(centres[torch.arange(count) % classes] + noise)


def report(name: str, rows: Rows, out: Path, *others: Rows) -> None:
    """Write `name.csv`, and `name.md` with new tables in the text that docs/results has.

    Args:
        name: Of the files in docs/results, which say what is written: the header of the CSV names
            the keys, the tables in the text the titles.
        rows: Of the first table.
        out: Folder to write to.
        others: Rows of further tables, with their keys in order.
    """
    header = (RESULTS / f"{name}.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    text = (RESULTS / f"{name}.md").read_text(encoding="utf-8")
    processor = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("model name\t: ")[1]
    processor = torch.cuda.get_device_name() if name == "gpu" else processor.splitlines()[0]
    machine = f"{processor}, {torch.get_num_threads()} thread(s), torch {torch.__version__}."
    text = re.sub(r"(?<=^Machine: ).*", machine, text, count=1, flags=re.MULTILINE)
    tables = iter([(rows, header), *((other, list(other[0])) for other in others)])
    text = re.sub(
        r"(^\|.*\n)+", lambda old: _table(old[0], *next(tables)), text, flags=re.MULTILINE
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.csv").write_text(csv_text(rows, header), encoding="utf-8")
    (out / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)


def _table(old: str, rows: Rows, keys: Sequence[str]) -> str:
    """A table with the titles of an old one."""
    titles, columns = [cell.strip() for cell in old.splitlines()[0].split("|")[1:-1]], []
    for key, title in zip(keys, titles, strict=True):
        kinds = {type(row.get(key)) for row in rows}
        kind = "" if str in kinds else ".0f" if kinds <= {int, type(None)} else ".4g"
        columns.append(Column(key, title, ".2%" if "%" in title else kind))
    return markdown_table(rows, columns)

"""Every command with input that cannot be: one sentence, and nothing left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gcahng.commands.conftest import Refused

COMMANDS = [
    ("nope", "No such command 'nope'"),
    ("train --nope", "No such option"),
    ("train", "name a config to train, or a run to continue with --resume"),
    ("train seed=1", "'seed=1' is a setting: name an experiment before it"),
    ("train paper/_cub", "'paper/_cub' is a part that experiments are based on"),
    ("train nothing-like-this", "no config file 'nothing-like-this'"),
    ("train file.yaml", "file.yaml: expected 'key: value' lines, got 'just text'"),
    ("train list.yaml", "list.yaml: expected 'key: value' lines, got [1]"),
    ("train binary.yaml", "binary.yaml: not a text file in UTF-8"),
    ("train itself.yaml", "itself.yaml, line 1, column 8: not valid YAML: the value of &x"),
    (
        "train deep.yaml",
        "deep.yaml, line 1, column 51: not valid YAML: values are nested more than",
    ),
    ("train nul_name.yaml", "nul_name.yaml, line 2, column 7: not valid YAML: text contains a NUL"),
    ("train nul_output.yaml", "nul_output.yaml, line 2, column 9: not valid YAML: text contains"),
    (
        "train nul_root.yaml",
        "nul_root.yaml, line 2, column 14: not valid YAML: text contains a",
    ),
    ("train train_list.yaml train.epochs=1", "train_list.yaml: train: expected a mapping"),
    ("train circle.yaml", "circle.yaml: circular base"),
    ("train no_base.yaml", "no_base.yaml: base 'nope.yaml' does not exist"),
    ("train base_number.yaml", "base_number.yaml: base: expected a path or a list of paths, got 5"),
    (
        "train twice.yaml",
        "twice.yaml, line 3, column 1: not valid YAML: key 'seed' was given",
    ),
    ("train unmoved.yaml", "generator.gamma has no effect: generator 'unmoved' takes"),
    ("train digits --run file.yaml", "'file.yaml' is a file: choose a folder with --run"),
    ("train digits --run run", "'run' already holds a run"),
    ("train digits --run .", "which is not of a run: choose a new or empty folder with --run"),
    ("train digits --root .", "--root goes with --resume"),
    ("train --resume nowhere", "no run to resume in 'nowhere'"),
    ("train --resume nothing", "no run to resume in 'nothing'"),
    ("train --resume file.yaml", "no run to resume in 'file.yaml'"),
    ("train --resume broken", "broken/config.yaml: expected 'key: value' lines, got [1]"),
    ("train --resume run seed=1", "--resume: seed would change the experiment"),
    ("train digits --resume run", "--resume takes a run folder and settings: no config"),
    ("train --resume run --root nowhere", "--root: there is no folder 'nowhere'"),
    ("evaluate nowhere", "no checkpoint at 'nowhere'"),
    ("evaluate nothing", "no run in 'nothing'"),
    ("evaluate file.yaml", "'file.yaml' cannot be read as a checkpoint"),
    ("evaluate empty.yaml", "'empty.yaml' cannot be read as a checkpoint"),
    ("evaluate garbage.pt", "'garbage.pt' cannot be read as a checkpoint"),
    ("evaluate half.pt", "'half.pt' cannot be read as a checkpoint"),
    ("evaluate run/report.html", "'run/report.html' is a web page, not weights"),
    ("evaluate run --split nope", "--split: expected one of train, test, val, got 'nope'"),
    ("evaluate run --split val", "--split: data.validation is 0 in this run"),
    ("evaluate run --root nowhere", "--root: there is no folder 'nowhere'"),
    ("evaluate", "Missing argument"),
    ("visualize nowhere", "no checkpoint at 'nowhere'"),
    ("visualize run --split nope", "--split: expected one of"),
    ("visualize run --batch 1000000", "--batch: expected 0 to"),
    ("visualize run --batch -1", "--batch"),
    ("visualize run --classes 1000", "--classes: expected at most"),
    ("visualize run --samples 100000", "--samples: expected at most"),
    ("visualize run --layer 9", "--layer: expected 1 to 1, got 9"),
    ("visualize run --layer 1 --head 9", "--head: expected 1 to 4, got 9"),
    ("visualize run --head 1", "--head: also give --layer"),
    ("visualize run --strongest 0", "--strongest"),
    ("visualize run --out file.yaml", "--out: 'file.yaml' is a file: name a folder"),
    (
        "visualize run --out file.yaml/x",
        "is a file, so 'file.yaml/x' cannot be made",
    ),
    ("visualize run --export png", "--export: expected graphml or gexf, got 'png'"),
    ("visualize run/model.safetensors", "choose a folder for the pictures with --out"),
    ("visualize run/model.safetensors --out x", "is an embedder alone"),
    ("visualize evil.pt --out x", "'evil.pt' asks to import 'evil:X'"),
    ("data show nope", "unknown data set 'nope'"),
    ("data show digits --split dev", "has no split 'dev'"),
    ("data show digits --out nothing", "cannot write 'nothing': it is a folder; name a file"),
    ("data show digits --out file.yaml/x.png", "'file.yaml' is a file"),
    ("data show digits --classes 0", "--classes"),
    ("data show digits foo=1", "data set 'digits' takes no 'foo'"),
    (
        "data show digits split=train",
        "data set 'digits' takes no 'split'",
    ),
    ("data show folder --root nowhere", "There is no folder 'nowhere'"),
    ("data show glyphs a", "override 'a': expected key.path=value"),
    ("data verify nope", "unknown data set 'nope'"),
    ("data verify cub root=x", "data set 'cub' takes no 'root'"),
    ("data verify cub --root nothing", "There is no CUB in 'nothing'"),
    ("data verify csv --root nothing", "There is no *.csv in 'nothing'"),
    ("data verify folder --root file.yaml", "There is no folder 'file.yaml'"),
    ("data verify folder path=2021", "expected 'path' as text or null, got 2021"),
    ("data verify folder test_share=half", "expected 'test_share' as a number, got 'half'"),
    ("data verify folder seed=x", "expected 'seed' as an integer, got 'x'"),
    ("data verify folder classes=[1", "override 'classes=[1'"),
    ("data verify digits --download", "has nothing to download"),
    ("ablate nope", "no grid file 'nope'"),
    ("ablate file.yaml", "file.yaml: expected 'key: value' lines, got 'just text'"),
    ("ablate digits", "digits is an experiment, not a grid"),
    ("ablate seed=1", "'seed=1' is a setting"),
    ("ablate grid_empty.yaml", "grid_empty.yaml: no cells: give 'cells', 'axes' or both"),
    ("ablate grid_base.yaml", "cell 'a': grid_base.yaml: base: no config file 'nope'"),
    ("ablate grid_reference.yaml", "grid_reference.yaml: reference: unknown cell 'b'"),
    ("ablate grid_key.yaml", "cell 'a': grid_key.yaml: unknown key 'nope'"),
    ("ablate grid_name.yaml", "cell '../a': grid_name.yaml: name: expected text matching"),
    ("ablate grid_seed.yaml", "grid_seed.yaml: cells.a.seed: the grid gives each run its seed"),
    ("ablate grid_seeds.yaml", "grid_seeds.yaml: seeds: expected an integer ≥ 1 and ≤ 1000"),
    ("ablate grid_vain.yaml", "cell 'b': generator.gamma has no effect"),
    ("ablate ablations/quickstart --only nope", "unknown cell 'nope'"),
    ("ablate ablations/quickstart --only nope --dry-run", "unknown cell 'nope'"),
    ("ablate ablations/quickstart --out file.yaml", "--out: 'file.yaml' is a file: name a folder"),
    ("ablate ablations/quickstart --seeds 99999999999 --dry-run", "--seeds"),
    ("ablate ablations/quickstart --jobs 0", "--jobs"),
    ("demo --seeds 0", "--seeds"),
    ("demo --out file.yaml", "--out: 'file.yaml' is a file: name a folder"),
    ("demo extra", "extra"),
    ("benchmark --shapes Z", "unknown shape 'Z'"),
    ("benchmark --threads 100000", "--threads"),
    ("benchmark --repetitions 0", "--repetitions"),
    ("benchmark --device gpu", "--device: expected cpu or cuda, got 'gpu'"),
    ("benchmark --experiment digits --device tpu", "--device: expected cpu or cuda"),
    ("benchmark --out file.yaml", "--out: 'file.yaml' is a file: name a folder"),
    ("benchmark seed=1", "'seed=1' is a setting of an experiment: add --experiment NAME"),
    ("benchmark --experiment nope", "no config file 'nope'"),
    ("benchmark --experiment digits nope=1", "unknown key 'nope'"),
    ("benchmark --experiment digits loss.lr=0.1", "loss.lr has no effect"),
    ("import-checkpoint nowhere", "no checkpoint at 'nowhere'"),
    ("import-checkpoint garbage.pt", "'garbage.pt' cannot be read as a checkpoint"),
    ("import-checkpoint run/checkpoints/last.pt", "is not a published GCA-HNG checkpoint"),
    ("export-checkpoint nowhere x.pth", "no checkpoint at 'nowhere'"),
    ("export-checkpoint garbage.pt x.pth", "'garbage.pt' cannot be read as a checkpoint"),
    ("export-checkpoint run x.pth", "The published format has the backbones"),
    ("export-checkpoint run", "Missing argument"),
]


@pytest.mark.parametrize(("line", "sentence"), COMMANDS, ids=lambda value: value[:50])
def test_a_command_is_refused(line: str, sentence: str, refused: Refused) -> None:
    refused(line, sentence)


@pytest.mark.parametrize("line", ["train digits fabric.threads=100000", "evaluate garbage.pt"])
def test_a_process_of_its_own_ends_the_same(line: str, stage: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "gcahng", *line.split()],
        cwd=stage,
        env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: ")
    assert len(answer.stderr.splitlines()) == 1

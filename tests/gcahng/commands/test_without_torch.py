"""What needs no torch does not wait for it."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from gcahng import cli
for line in open("commands.txt"):
    sys.argv[1:] = line.split()
    try:
        cli.main()
    except SystemExit as end:
        print("status", end.code)
    slow = {"torch", "torchvision", "torch_geometric", "timm", "lancedb"} & sys.modules.keys()
    assert not slow, (line, slow)
"""
# Commands, and what the last one says.
COMMANDS = {
    "list": "status 0",
    "list experiments": "status 0",
    "train --help": "Example: gcahng train quickstart",
    "config digits": "status 0",
    "train digits generator=gca_hgn": "expected a mapping, got 'gca_hgn'",
    "train digits generator.name=gca_hgn": "(did you mean 'gca_hng'?)",
    "train digits generator.args.alhpa=1": "takes no 'alhpa' (did you mean 'alpha'?)",
    "train digits generator.args.graph.conv=gta": "unknown layer 'gta' (did you mean 'gca'?)",
    "train digits optim.lrr=1": "unknown key 'optim.lrr'",
    "train digits data.name=digts": "unknown data set 'digts' (did you mean 'digits'?)",
    "train digits generator.name=own:Mien": "'own.py' has no class 'Mien' (did you mean 'Mine'?)",
    "train digits generator.name=nobody:Mine": "there is no module 'nobody'",
    "compare run": "name two models or more to compare (got 'run' alone)",
    "ablate wrong.yaml": "unknown key 'refrence' (did you mean 'reference'?)",
    "tune wrong.yaml": "unknown key 'trails' (did you mean 'trials'?)",
}


def test_names_and_settings_are_checked_first(tmp_path: Path) -> None:
    (tmp_path / "commands.txt").write_text("\n".join(COMMANDS))
    (tmp_path / "own.py").write_text("import torch\n\nclass Mine: ...\n")
    (tmp_path / "wrong.yaml").write_text("base: digits\ntrails: 5\nrefrence: a\n")
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert [words for words in COMMANDS.values() if words not in said] == []

import csv
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console

from gcahng.benchmark import processes, workers
from gcahng.benchmark.processes import run_processes
from gcahng.benchmark.workers import check_processes, parse_counts, run_workers
from gcahng.benchmark.workloads import SHAPES, Shape
from gcahng.graph.dense import own_anchors
from gcahng.graph.dense.pairs import rows_sent_in_step
from gcahng.processes import bounds

REPOSITORY = Path(__file__).parents[3]
TINY = Shape(3, 2, 8, 1, 2)
ALL_REDUCED = {"sums", "features", "gradients"}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the started processes find the code."""
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("KINETO_LOG_LEVEL", "99")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


@pytest.mark.usefixtures("here")
def test_one_and_two_processes_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(SHAPES, "tiny", TINY)
    rows = run_processes("1,2", ["tiny"], 1, 1, tmp_path, Console(width=200))
    assert [(row["part"], row["processes"]) for row in rows] == [
        (part, count) for part in processes.PARTS for count in (1, 2)
    ]
    for row in rows:
        assert row["seconds"] > 0
        assert row["cpu"] > 0
        if row["processes"] == 1:
            assert row["speedup"] == row["work"] == 1
            assert not ALL_REDUCED & row.keys()
        if row["part"] != processes.STEP:
            assert row["share"] == 1 if row["processes"] == 1 else 0 < row["share"] < 1
    step = rows[-1]
    # Features of 6 rows of 8 float32 numbers, forward and backward, half of each sent twice.
    assert step["features"] == pytest.approx(2 * 6 * 8 * 4 / 1e6)
    assert step["coefficients"] == pytest.approx(rows_sent_in_step(TINY.nodes, 2) * 8 * 4 / 1e6)
    output = capsys.readouterr().out
    text = (tmp_path / "processes.md").read_text(encoding="utf-8")
    for words in ("PROJECTION to GPUs, calculated and not measured", "In float64 on a small batch"):
        assert words in output
        assert words in text
    difference = float(text.partition("differ by at most ")[2].split()[0])
    assert difference < 1e-12
    with (tmp_path / "processes.csv").open(encoding="utf-8", newline="") as file:
        assert [row["processes"] for row in csv.DictReader(file)] == ["1", "2"] * 3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0", "--processes: expected whole numbers from 1, as in 1,2, got '0'"),
        ("1,", "--processes: expected whole numbers from 1, as in 1,2, got '1,'"),
        ("two", "--processes: expected whole numbers from 1, as in 1,2, got 'two'"),
        ("-1", "--processes: expected whole numbers from 1, as in 1,2, got '-1'"),
        ("1.5", "--processes: expected whole numbers from 1, as in 1,2, got '1.5'"),
    ],
)
def test_senseless_counts_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        parse_counts("--processes", text)
    assert str(caught.value) == sentence


def test_more_processes_than_cores_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    check_processes([1, 4], 1, "cpu")
    with pytest.raises(
        ValueError, match=r"^--processes: 5 processes were asked for, but this mach"
    ):
        check_processes([1, 5], 1, "cpu")
    with pytest.raises(ValueError, match="3 processes × 2 threads were asked for"):
        check_processes([3], 2, "cpu")
    with pytest.raises(ValueError, match="are measured on the CPU only"):
        check_processes([1], 1, "cuda")


@pytest.mark.usefixtures("here")
def test_a_failed_process_stops_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.py").write_text(
        "import os, signal, sys, time\n"
        "if sys.argv[1] == '1':\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "time.sleep(600)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    started: list[subprocess.Popen[bytes]] = []
    real = workers._start
    monkeypatch.setattr(workers, "_start", lambda *a: started.append(real(*a)) or started[-1])
    with pytest.raises(ChildProcessError) as caught:
        run_workers("broken", {"threads": 1}, 2)
    assert str(caught.value) == (
        "the benchmark stopped: process 1 of 2 failed: killed by signal 9, perhaps because memory "
        "ran out"
    )
    assert [process.poll() is not None for process in started] == [True, True]


@pytest.mark.usefixtures("here")
def test_the_last_line_of_a_failed_process_is_its_reason() -> None:
    with pytest.raises(ChildProcessError, match=r"process 0 of 1 failed: .*no_such_module"):
        run_workers("gcahng.benchmark.no_such_module", {"threads": 1}, 1)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_rows_sent_in_step_are_those_of_the_plans(count: int) -> None:
    nodes = 9
    pairs = [(i, j) for i in range(nodes) for j in range(i, nodes)]
    owner = [r for r, (a, b) in enumerate(_ranges(nodes, count)) for _ in range(a, b)]
    sent = [
        sum(len({owner[i], owner[j]} - {r}) for i, j in pairs[a:b])
        for r, (a, b) in enumerate(_ranges(len(pairs), count))
    ]
    cpu = own_anchors.torch.device("cpu")
    plans = [own_anchors._plan(nodes, cpu, r, count) for r in range(count)]
    assert [sum(plan.sent) for plan in plans] == sent
    received = [sum(plan.received) for plan in plans]
    rows = [2 * out + back for out, back in zip(sent, received, strict=True)]
    assert rows_sent_in_step(nodes, count) == max(rows)
    for r, plan in enumerate(plans):
        assert plan.received == [other.sent[r] for other in plans]
        assert len(plan.pairs.row) == sum(plan.received)


def _ranges(total: int, parts: int) -> list[tuple[int, int]]:
    edges = bounds(total, parts)
    return list(pairwise(edges))


def test_modules_are_run_as_the_command_does(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gcahng", "benchmark", "--processes", "0"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: --processes: expected whole numbers from 1")

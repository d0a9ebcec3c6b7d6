"""Several processes take the steps of one: same losses, weights and statistics."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.conftest import MakeOnce
from tests.gcahng.training.process_steps import OWN_BATCHES, SETUPS, all_steps
from tests.golden import method_golden_files

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[3]
Steps = dict[str, dict[str, Tensor]]


@pytest.fixture(scope="module")
def by_one(make_once: MakeOnce) -> Steps:
    def build(folder: Path) -> None:
        folder.mkdir()
        torch.save(all_steps(), folder / "0.pt")

    return torch.load(make_once("steps-1", build) / "0.pt", weights_only=True)


@pytest.fixture(scope="module", params=[2, 3])
def by_several(make_once: MakeOnce, request: pytest.FixtureRequest) -> list[Steps]:
    """What each of several processes found."""
    count: int = request.param

    def build(folder: Path) -> None:
        folder.mkdir()
        module = "tests.gcahng.training.process_steps"
        commands = [
            [sys.executable, "-m", module, str(i), str(count), str(folder / "store"), str(folder)]
            for i in range(count)
        ]
        running = [subprocess.Popen(command, cwd=REPOSITORY) for command in commands]
        assert [process.wait(timeout=300) for process in running] == [0] * count

    folder = make_once(f"steps-{count}", build)
    return [torch.load(folder / f"{process}.pt", weights_only=True) for process in range(count)]


@pytest.mark.parametrize(
    "name",
    [*SETUPS, "in chunks", *(str(file.id) for file in method_golden_files())],
)
def test_three_steps_are_those_of_one_process(
    name: str, by_one: Steps, by_several: list[Steps]
) -> None:
    expected = by_one[name]
    for found in by_several:
        assert found[name].keys() == expected.keys()
        for key, value in expected.items():
            scale = max(1.0, float(value.abs().max()))
            error = float((found[name][key] - value).abs().max()) / scale
            assert error < 1e-10, f"{name}: {key} differs by {error:.1e}"


def test_all_processes_have_the_same_weights_to_the_last_bit(by_several: list[Steps]) -> None:
    first, *others = by_several
    for other in others:
        for name, values in first.items():
            if name == OWN_BATCHES:
                continue
            assert all(torch.equal(values[key], other[name][key]) for key in values)


def test_without_a_group_each_process_has_a_graph_of_its_own(
    by_one: Steps, by_several: list[Steps]
) -> None:
    for number, found in enumerate(by_several):
        expected = {
            key: value for key, value in by_one[OWN_BATCHES].items() if key.startswith(f"{number} ")
        }
        assert found[OWN_BATCHES].keys() == expected.keys()
        assert {"synthetic", "node_ce", "diversity"} <= {key.split()[1] for key in expected}
        for key, value in expected.items():
            torch.testing.assert_close(found[OWN_BATCHES][key], value, rtol=1e-12, atol=1e-12)


def test_dropout_of_the_backbone_differs_between_steps_and_processes(
    by_several: list[Steps],
) -> None:
    steps = list(by_several[0]["dropout"].values())
    assert not torch.equal(steps[0], steps[1])
    first, last = steps[0][0], steps[0][-1]  # images of different processes
    assert not torch.equal(first, last)
    assert all(torch.equal(found["dropout"]["0"], steps[0]) for found in by_several)

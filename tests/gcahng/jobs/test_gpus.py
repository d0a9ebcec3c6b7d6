"""A process that is started does not take itself for one of several, and gets its own GPU."""

import os

import pytest
import torch

from gcahng.jobs.process import GPUS, child_environment, choose_gpus

# As torchrun, srun, mpirun and Lightning set them.
LAUNCHED = [
    *("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE"),
    *("ROLE_RANK", "ROLE_WORLD_SIZE", "ROLE_NAME", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT"),
    *("TORCHELASTIC_RUN_ID", "TORCHELASTIC_USE_AGENT_STORE"),
    *("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_JOB_ID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"),
]


@pytest.fixture(autouse=True)
def _not_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (GPUS, *LAUNCHED):
        monkeypatch.delenv(name, raising=False)


def test_children_start_with_a_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(os.environ)
    for name in LAUNCHED:
        monkeypatch.setenv(name, "1")
    assert child_environment() == before
    assert child_environment({"RANK": "0", "MORE": "2"}) == {**before, "RANK": "0", "MORE": "2"}


@pytest.mark.parametrize(
    ("given", "taken", "count", "expected"),
    [
        (None, [], 1, "0"),
        (None, ["0"], 1, "1"),
        # The first and the third of three processes are done.
        (None, ["1"], 1, "0"),
        (None, ["0", "1", "2"], 1, "0"),
        (None, ["0", "1", "2", "0"], 1, "1"),
        (None, ["0"], 2, "1,2"),
        (None, [], 3, None),
        ("4,2, GPU-5f", ["4"], 1, "2"),
        ("4,2,GPU-5f", ["4", "2"], 1, "GPU-5f"),
        ("7", [], 1, None),
        ("", [], 1, None),
    ],
)
def test_gpus_in_turn(
    given: str | None,
    taken: list[str],
    count: int,
    expected: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if given is not None:
        monkeypatch.setenv(GPUS, given)
    there = 3 if given is None else len([name for name in given.split(",") if name])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    assert choose_gpus(count, taken) == ({} if expected is None else {GPUS: expected})

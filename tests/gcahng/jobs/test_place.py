"""Which of several processes this one is, and what those that it starts are told."""

import pytest

from gcahng.jobs.process import Place, place
from gcahng.jobs.together import train_together


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WORLD_SIZE": "1", "RANK": "0"}, None),
        ({"WORLD_SIZE": "4"}, None),
        ({"WORLD_SIZE": "4", "RANK": "2"}, Place(2, 4, 4)),
        ({"WORLD_SIZE": "8", "RANK": "5", "LOCAL_WORLD_SIZE": "2"}, Place(5, 8, 2)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, None),  # the script of a batch job
        (
            {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2"},
            Place(3, 4, 2),
        ),
    ],
)
def test_place_of_a_launched_process(environment: dict[str, str], expected: Place | None) -> None:
    found = place(environment)
    assert found == expected
    assert found is None or found.nodes * found.local_size == found.size


def test_one_process_is_not_started() -> None:
    assert train_together(1) is None

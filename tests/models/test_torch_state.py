"""What a program sets in torch has no effect inside `usual_torch_state`, and is restored."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch

from gcahng.models.torch_state import usual_torch_state
from tests.ambient import AMBIENT


@pytest.mark.parametrize("name", AMBIENT)
def test_state_is_that_of_a_new_process_and_restored(name: str) -> None:
    def seen() -> list[object]:
        return [
            torch.get_default_dtype(),
            torch.get_default_device(),
            torch.is_autocast_enabled("cpu"),
            torch.is_inference_mode_enabled(),
            _products_are_exact(),
        ]

    new = seen()
    with AMBIENT[name]():
        around = seen()
        assert around != new or name in ("deterministic", "threads")
        with usual_torch_state(), usual_torch_state():
            assert seen() == new
        assert seen() == around
        with pytest.raises(RuntimeError, match="mine"), usual_torch_state():
            raise RuntimeError("mine")
        assert seen() == around
    assert seen() == new


def test_threads_share_what_is_of_the_process() -> None:
    both_inside, one_left = Barrier(2), Barrier(2)

    def first() -> None:
        with usual_torch_state():
            both_inside.wait()
        one_left.wait()

    def second() -> torch.dtype:
        with usual_torch_state():
            both_inside.wait()
            one_left.wait()
            return torch.ones(1).dtype

    with AMBIENT["float64"](), ThreadPoolExecutor(2) as pool:
        waiting, found = pool.submit(first), pool.submit(second)
        waiting.result()
        assert found.result() == torch.float32
        assert torch.get_default_dtype() == torch.float64


def _products_are_exact() -> bool:
    """Whether matrix products on a CPU are float32."""
    kind = torch.backends.mkldnn
    if hasattr(kind, "matmul"):
        return kind.matmul.fp32_precision in ("none", "ieee")
    return torch.get_float32_matmul_precision() == "highest"

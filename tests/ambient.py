"""What a program may have set in torch when it calls this project."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch


@contextmanager
def _setting(change: Callable[[Any], object], value: Any, before: Any) -> Iterator[None]:
    change(value)
    try:
        yield
    finally:
        change(before)


def _dtype(dtype: torch.dtype) -> AbstractContextManager[None]:
    return _setting(torch.set_default_dtype, dtype, torch.float32)


# By name; each makes a context manager.
AMBIENT: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "float64": partial(_dtype, torch.float64),
    "bfloat16": partial(_dtype, torch.bfloat16),
    "default device": partial(_setting, torch.set_default_device, "meta", None),
    "device context": partial(torch.device, "meta"),
    "autocast": partial(torch.autocast, "cpu", torch.bfloat16),
    "inference mode": torch.inference_mode,
    "bfloat16 products": partial(_setting, torch.set_float32_matmul_precision, "medium", "highest"),
    "deterministic": partial(_setting, torch.use_deterministic_algorithms, True, False),
    "threads": lambda: _setting(torch.set_num_threads, 2, torch.get_num_threads()),
}

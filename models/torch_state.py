"""Open and use models as a new process does, whatever the program around has set in torch."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from operator import attrgetter
from threading import Lock
from types import TracebackType
from typing import Any

import torch

DEVICES = ("cpu", "cuda", "mps", "xpu")
# What a new process computes in where numbers are float32, by `torch.backends` of torch 2.9, with
# another name of the same.
PRECISIONS = {
    "cuda.matmul": ("ieee", "none"),
    "mkldnn.matmul": ("ieee", "none"),
    "mkldnn.conv": ("ieee", "none"),
    "cudnn.conv": ("tf32",),
}


@contextmanager
def usual_torch_state() -> Iterator[None]:
    """Set what torch takes from the program around to what a new process has.

    These are type and device of new tensors, autocast, inference mode, and the precision of float32
    products. Deterministic algorithms and numbers of threads stay as they are: they may change how
    sums are rounded, but not what is computed.

    Example:
        >>> with torch.device("meta"), torch.autocast("cpu"), usual_torch_state():
        ...     torch.ones(2, 2) @ torch.ones(2, 1)
        tensor([[2.],
                [2.]])
    """
    with ExitStack() as stack:
        stack.enter_context(_OF_ALL_THREADS)
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        for kind in filter(torch.amp.is_autocast_available, DEVICES):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def float32_products() -> Iterator[None]:
    """Compute products of float32 in the precision of a new process: no TF32 or bfloat16.

    Except for convolutions on a GPU, which use TF32 by default.
    """
    if not hasattr(torch.backends.cuda.matmul, "fp32_precision"):  # torch before 2.9
        before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = True
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before[0])
            torch.backends.cudnn.allow_tf32 = before[1]
        return
    changed: list[tuple[Any, str]] = []
    try:
        for name, usual in PRECISIONS.items():
            kind = attrgetter(name)(torch.backends)
            if kind.fp32_precision not in usual:
                changed.append((kind, kind.fp32_precision))
                kind.fp32_precision = usual[0]
        yield
    finally:
        for kind, precision in changed:
            kind.fp32_precision = precision


@contextmanager
def _float32() -> Iterator[None]:
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with float32_products():
            yield
    finally:
        torch.set_default_dtype(dtype)


class _Shared:
    """A context that the first of several threads enters and the last one leaves."""

    def __init__(self, make: Callable[[], AbstractContextManager[None]]) -> None:
        self.make, self.lock, self.inside = make, Lock(), 0
        self.entered = ExitStack()

    def __enter__(self) -> None:
        with self.lock:
            if self.inside == 0:
                self.entered.enter_context(self.make())
            self.inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.entered.close()


_OF_ALL_THREADS = _Shared(_float32)

"""Measure a training step: its time, that of its hard negatives, and its memory."""

import io
import math
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from gcahng.data import ImageDataset
from gcahng.generators import NegativeGenerator
from gcahng.graph import BatchLayout, batch_layout
from gcahng.graph.precision import half_to_float32
from gcahng.pictures import decode_image
from gcahng.training.experiment import Experiment, build_step
from gcahng.training.features import HeadOfEmbedder
from gcahng.training.generator_pass import Pass
from gcahng.training.measurements import LossLog

# A common size of the photographs in the four published data sets.
PHOTO_SIZE = (500, 375)

T = TypeVar("T")
MIB = 2**20

Work = Callable[[], object]


class Times(NamedTuple):
    """Seconds of a function: by the wall clock, and CPU time over all threads."""

    seconds: float
    cpu: float


class StepCost(NamedTuple):
    """What a training step costs."""

    batch: tuple[int, ...]
    losses: dict[str, float]
    data_seconds: float
    step: list[Times]
    negatives: list[Times]
    peak_mib: float
    step_mib: float | None


def measure_steps(
    experiments: Mapping[str, Experiment],
    repetitions: int,
    *,
    limit: float = math.inf,
    memory: bool = True,
) -> dict[str, StepCost]:
    """Measure the steps of several experiments in turn, and the memory of one more step each."""
    batches = {name: _OneBatch(experiment) for name, experiment in experiments.items()}
    work = {(name, part): run for name, one in batches.items() for part, run in one.work.items()}
    device = next(iter(experiments.values())).device
    times = time_in_turn(work, repetitions, device, limit=limit, warm_up=False)
    return {
        name: StepCost(
            one.batch,
            one.losses,
            one.data_seconds,
            times[name, "step"],
            times.get((name, "negatives"), []),
            one.peak_mib,
            tensor_peak_mib(one.work["step"], device) if memory else None,
        )
        for name, one in batches.items()
    }


class _OneBatch:
    """A batch of an experiment, and its step and hard negatives as functions that ran once."""

    def __init__(self, experiment: Experiment) -> None:
        config, device = experiment.config, experiment.device
        mixed = config.fabric.precision == "bf16-mixed"
        autocast = partial(torch.autocast, device.type, torch.bfloat16, enabled=mixed)
        step = build_step(experiment, autocast=autocast)
        experiment.embedder.train()
        reset_peak_memory(device)
        self.data_seconds, (images, labels) = measure_time(
            lambda: next(iter(experiment.loader)), device
        )
        self.batch = tuple(images.shape)
        images = experiment.to_device(images)
        if "backbone" in config.embedder.freeze:
            with torch.no_grad():
                images = experiment.embedder.backbone(images)
            step.embedder = HeadOfEmbedder(experiment.embedder)
        log = LossLog(epoch=1)
        log.add(step(images, labels))
        self.losses, self.peak_mib = log.means(), peak_memory_mib(device)
        self.work: dict[str, Work] = {"step": lambda: step(images, labels)}
        generator = experiment.generator
        if generator is not None:
            layout, classes = batch_layout(labels).to(device), labels.to(device)
            with torch.no_grad(), autocast():
                embeddings = half_to_float32(step.embedder(images))

            def negatives() -> None:
                generator.zero_grad(set_to_none=True)
                passes, leaf = (step.forward_pass, step.generator_pass), embeddings.detach()
                differentiate_negatives(
                    generator, leaf.requires_grad_(), classes, layout, autocast, passes
                )

            negatives()
            self.work["negatives"] = negatives


def differentiate_negatives(
    generator: NegativeGenerator,
    embeddings: Tensor,
    labels: Tensor,
    layout: BatchLayout,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    passes: tuple[Pass, Pass] | None = None,
) -> None:
    """Run forward and backward of both passes of a generator, as a training step does.

    `passes` are those of a step, if it compiles or replays them.
    """
    forward_pass, generator_pass = passes or (generator, generator.generator_losses)
    with autocast():
        made = forward_pass(embeddings, labels, layout=layout)
    total = made.total
    del made  # Frees the negatives before backward.
    if total.requires_grad:
        total.backward()
    if not generator.has_generator_losses:
        return
    with autocast():
        total = generator_pass(embeddings.detach(), labels, layout=layout).total
    total.backward(inputs=[p for p in generator.head_parameters() if p.requires_grad])


def time_in_turn(
    work: Mapping[Any, Work],
    repetitions: int,
    device: torch.device,
    *,
    limit: float = math.inf,
    warm_up: bool = True,
) -> dict[Any, list[Times]]:
    """Time several functions, round after round, so that a slower machine slows all of them."""
    if warm_up:
        for run in work.values():
            run()
    times: dict[Any, list[Times]] = {name: [] for name in work}
    start = time.perf_counter()
    for number in range(repetitions):
        if number and time.perf_counter() - start > limit:
            break
        for name, run in work.items():
            cpu = time.process_time()
            seconds, _ = measure_time(run, device)
            times[name].append(Times(seconds, time.process_time() - cpu))
    return times


def measure_time(run: Callable[[], T], device: torch.device) -> tuple[float, T]:
    """Wall seconds that a function takes, a device's part included, and its result."""
    _synchronize(device)
    start = time.perf_counter()
    result = run()
    _synchronize(device)
    return time.perf_counter() - start, result


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":  # pragma: no cover (needs a GPU)
        torch.cuda.synchronize(device)


def median_times(times: Sequence[Times]) -> Times:
    """Median of the seconds, and of the CPU seconds."""
    return Times(*(median(values) for values in zip(*times, strict=True)))


def median_ratio(above: Sequence[Times], below: Sequence[Times], device: torch.device) -> float:
    """Median over the rounds of the ratio of two functions' times."""
    cpu = device.type == "cpu" and torch.get_num_threads() == 1
    return median(a[cpu] / b[cpu] for a, b in zip(above, below, strict=True))


def reset_peak_memory(device: torch.device) -> None:
    """Reset the peak; where the system does not support this, the earlier peak remains."""
    clear = Path("/proc/self/clear_refs")
    if device.type == "cuda":  # pragma: no cover (needs a GPU)
        torch.cuda.reset_peak_memory_stats(device)
    elif clear.exists():
        # Linux: 5 resets the peak resident set size. Not allowed in some containers.
        with suppress(OSError):
            clear.write_text("5")


def peak_memory_mib(device: torch.device) -> float:
    """Peak since the last reset in MiB: allocated on a GPU, else resident in the process."""
    if device.type == "cuda":  # pragma: no cover (needs a GPU)
        return torch.cuda.max_memory_allocated(device) / MIB
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    # Kibibytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def tensor_peak_mib(run: Callable[[], object], device: torch.device) -> float:
    """Most MiB of tensors that a function allocates at a time; run it once before."""
    if device.type == "cuda":  # pragma: no cover (needs a GPU)
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return (torch.cuda.max_memory_allocated(device) - before) / MIB
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events = profiler.profiler.kineto_results.events()
    alive = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            alive += event.nbytes()
            peak = max(peak, alive)
    return peak / MIB


class DrawnPhotos(ImageDataset):
    """A JPEG file of the size of a photograph for every image, where the data set is not here."""

    transform_name = "imagenet"

    def __init__(self, classes: int, samples: int) -> None:
        super().__init__(None, "train")
        self.classes = [str(number) for number in range(classes)]
        self.labels = torch.arange(classes).repeat_interleave(samples)
        noise = np.random.default_rng(0).integers(0, 256, (75, 100, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(noise).resize(PHOTO_SIZE, Image.Resampling.BICUBIC).save(file, "JPEG")
        self.file = file.getvalue()

    def load(self, index: int) -> Image.Image:
        """Decode the file."""
        return decode_image(self.file)

    def load_reduced(self, index: int, shortest: int | None) -> Image.Image:
        """Decode the file, at a reduced size if it is large."""
        return decode_image(self.file, shortest=shortest)

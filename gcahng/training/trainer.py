"""Train one configuration: epochs of steps, evaluation, checkpoints, results."""

import os
import time
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric, seed_everything
from lightning_fabric.loggers import TensorBoardLogger
from torch import Tensor, nn

from gcahng.builders.networks import (
    build_embedder,
    build_generator,
    build_loss,
    build_optimizers,
    build_schedules,
    build_spare_split,
    build_splits,
    build_train_loader,
)
from gcahng.config import (
    ExperimentConfig,
    data_root,
    differing_keys,
    dump_config,
    parse_config,
)
from gcahng.data import ImageDataset
from gcahng.evaluation.evaluate import evaluate
from gcahng.generators import HardNegatives
from gcahng.runs.checkpoint import load_checkpoint, restore_random_states, save_checkpoint
from gcahng.runs.folder import RunFolder, write_shared_model
from gcahng.training.hardness_log import hardness_row
from gcahng.training.loss_log import LossLog
from gcahng.training.peak_memory import peak_memory_mib, reset_peak_memory
from gcahng.training.step import TrainingStep
from gcahng.training.warm_start import warm_start

DTYPES = {"64-true": torch.float64}
# Seconds between two looks at the losses on a device that computes on its own.
REFRESH = 1.0


class Display(Protocol):
    """What a trainer tells somebody who watches."""

    def warm_start(self, step: int, steps: int, loss: float) -> None:
        """Called after each step of the warm start."""

    def step(self, epoch: int, step: int, steps: int, losses: dict[str, float]) -> None:
        """Called about once a second with the means of the epoch so far."""

    def evaluation(self, done: int, images: int) -> None:
        """Called during an evaluation with how many images are embedded and how many there are."""

    def epoch(self, row: dict[str, float], best: float | None) -> None:
        """Called after each epoch with its figures and the best value so far."""


class Trainer:
    """One run from its configuration to its results.

    Args:
        config: The experiment.
        folder: Where the run is kept.
        display: Told about the progress.
        pretrained: Whether to fetch pretrained weights; not needed by a run that is resumed.

    Raises:
        ValueError: If the configuration does not fit the data or the machine.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        folder: RunFolder,
        display: Display,
        pretrained: bool = True,
    ) -> None:
        self.config, self.folder, self.display = config, folder, display
        self.fabric = build_fabric(config, folder)
        self.device = self.fabric.device
        self.dtype = DTYPES.get(config.fabric.precision, torch.float32)
        if config.fabric.threads is not None:
            torch.set_num_threads(config.fabric.threads)
        seed_everything(config.seed, verbose=False)
        self.splits = build_splits(config)
        self.spare = build_spare_split(config)
        self.loader, self.sampler = build_train_loader(config, self.splits.train)
        num_classes = self.splits.train.num_classes
        self.embedder = build_embedder(config, pretrained)
        self.loss = build_loss(config, num_classes)
        self.generator = build_generator(config, num_classes)
        self._place()
        self.optimizers = build_optimizers(config, self.embedder, self.loss, self.generator)
        self.schedules = build_schedules(config, self.optimizers)
        self.step = TrainingStep(
            self.embedder,
            self.loss,
            self.generator,
            self.optimizers,
            clip=config.optim.clip,
            clip_by="value" if config.quirks.clip == "faithful" else "norm",
            backward=self.fabric.backward,
            autocast=self.fabric.autocast,
        )
        self.epoch = 0
        self.seconds = 0.0
        self.peak_memory_mib = 0.0
        self.history: list[dict[str, float]] = []
        self.hardness: list[dict[str, Any]] = []
        self.best: dict[str, float] | None = None

    def resume(self) -> None:
        """Go back to the state after the last whole epoch; the run continues from there exactly.

        Raises:
            ValueError: If the run's config.yaml is not the one it was trained by.
        """
        state = load_checkpoint(self.folder.last)
        changed = differing_keys(self.config, parse_config(state["config"], str(self.folder.last)))
        if changed:
            raise ValueError(
                f"'{self.folder.config}' was changed since the run began ({', '.join(changed)}): "
                "a run continues as it began; put it back, or start a new run"
            )
        for name, module in self._modules().items():
            module.load_state_dict(state[name])
        for optimizer, saved in zip(self._all_optimizers(), state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        for schedule, saved in zip(self.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(saved)
        self.epoch, self.seconds = state["epoch"], state["seconds"]
        self.peak_memory_mib = state["peak_memory_mib"]
        self.history, self.best = state["history"], state["best"]
        self.hardness = state.get("hardness", [])
        restore_random_states(state["random"])

    def fit(self) -> dict[str, Any]:
        """Train to the end, evaluate on the test split and write results and model.

        Raises:
            NonFiniteLossError: If a loss or gradient is not finite; the last checkpoint is kept.
        """
        if self.epoch == 0:
            self._warm_start()
        reset_peak_memory(self.device)
        while not self._is_over():
            self._end_epoch(self._train_epoch())
        results = self._results()
        self.folder.write_results(results)
        write_shared_model(self.folder, self.embedder, self.config)
        return results

    def _place(self) -> None:
        """Bring the modules to the device and into the configured number and memory format."""
        section = self.config.fabric
        for module in self._modules().values():
            module.to(self.device, self.dtype)
        if section.channels_last:
            self.embedder.to(memory_format=torch.channels_last)
        if section.compile:
            self.embedder.compile()

    def _modules(self) -> dict[str, nn.Module]:
        modules = {"embedder": self.embedder, "loss": self.loss}
        return modules if self.generator is None else {**modules, "generator": self.generator}

    def _all_optimizers(self) -> list[torch.optim.Optimizer]:
        optimizers = self.optimizers
        return [
            optimizer
            for optimizer in (optimizers.embedder, optimizers.graph, optimizers.classifier)
            if optimizer is not None
        ]

    def _warm_start(self) -> None:
        section = self.config.embedder.warm_start
        if section is not None and self.spare is not None:
            warm_start(
                self.embedder.backbone,
                self.spare,
                seed=self.config.seed,
                steps=section.steps,
                cache=data_root(self.config) / "warm_starts",
                progress=self.display.warm_start,
            )

    def _train_epoch(self) -> dict[str, float]:
        """One walk through the sampler's batches: its number, losses and learning rates."""
        self.sampler.set_epoch(self.epoch)
        frozen = self.epoch < self.config.train.warmup_epochs
        # Without a warm-up, the published code has no end of one either.
        ended = not frozen and self.config.train.warmup_epochs > 0
        thaw = ended and self.config.quirks.bn_affine == "faithful"
        self.embedder.train_backbone(not frozen, thaw)
        self.embedder.train()
        self.epoch += 1
        log = LossLog(self.epoch)
        rates = {f"lr/{name}": rate for name, rate in self._learning_rates().items()}
        shown = start = time.perf_counter()
        for number, (images, labels) in enumerate(self.loader, start=1):
            observe = self._observe if number == len(self.loader) else None
            log.add(self.step(self._to_device(images), labels, observe=observe))
            if time.perf_counter() - shown > REFRESH:
                shown = time.perf_counter()
                self.display.step(self.epoch, number, len(self.loader), log.means())
        losses = {f"loss/{name}": value for name, value in log.means().items()}
        self.seconds += time.perf_counter() - start
        self.peak_memory_mib = max(self.peak_memory_mib, peak_memory_mib(self.device))
        return {"epoch": self.epoch, "seconds": self.seconds, **rates, **losses}

    def _observe(self, made: HardNegatives) -> None:
        """Keep how hard the negatives of an epoch's last batch are."""
        if made.negatives is not None:
            self.hardness.append(hardness_row(self.epoch, made))

    def _to_device(self, images: Tensor) -> Tensor:
        layout = torch.channels_last if self.config.fabric.channels_last else torch.preserve_format
        return images.to(self.device, self.dtype, non_blocking=True, memory_format=layout)

    def _learning_rates(self) -> dict[str, float]:
        names = ("embedder", "graph", "classifier")
        return {
            name: float(schedule.get_last_lr()[0])
            for name, schedule in zip(names, self.schedules, strict=False)
        }

    def _end_epoch(self, row: dict[str, float]) -> None:
        """Move hardness and schedules on, evaluate, and write what the epoch leaves."""
        if self.generator is not None:
            self.generator.hardness.end_epoch()
        for schedule in self.schedules:
            schedule.step()
        section = self.config
        if self.epoch % section.eval.every == 0 or self._is_over():
            row |= self._watch()
        self.history.append(row)
        improved = self._improved(row)
        self.fabric.log_dict(row, step=self.epoch)
        self.folder.write_metrics(self.history)
        if self.hardness:
            self.folder.write_hardness(self.hardness)
        if improved:
            save_checkpoint(self.folder.best, self._state())
        every = section.train.keep_every
        if every is not None and self.epoch % every == 0:
            kept = self.folder.last.with_name(f"epoch{self.epoch:04d}.pt")
            save_checkpoint(kept, self._state())
        save_checkpoint(self.folder.last, self._state())
        self.display.epoch(row, None if self.best is None else self.best["value"])

    def _watch(self) -> dict[str, float]:
        """Figures on the split that chooses the best epoch."""
        dataset = self.splits.test if self.selected_on == "test" else self.splits.validation
        assert dataset is not None
        figures = self._evaluate(dataset)
        return {f"{self.selected_on}/{name}": value for name, value in figures.items()}

    def _evaluate(self, dataset: ImageDataset) -> dict[str, float]:
        return evaluate(self.embedder, dataset, self.config, self.display.evaluation)

    @property
    def whole_epochs(self) -> int:
        """How many epochs have ended; those are in the last checkpoint."""
        return len(self.history)

    @property
    def selected_on(self) -> str:
        """The split that chooses the best epoch: `val` or `test`."""
        return "test" if self.config.selects_on_test else "val"

    def _improved(self, row: dict[str, float]) -> bool:
        value = row.get(f"{self.selected_on}/{self.config.eval.select}")
        if value is None or (self.best is not None and value <= self.best["value"]):
            return False
        self.best = {"epoch": self.epoch, "value": value}
        return True

    def _state(self) -> dict[str, Any]:
        return {
            **{name: module.state_dict() for name, module in self._modules().items()},
            "optimizers": [optimizer.state_dict() for optimizer in self._all_optimizers()],
            "schedules": [schedule.state_dict() for schedule in self.schedules],
            "config": dump_config(self.config),
            "num_classes": self.splits.train.num_classes,
            "epoch": self.epoch,
            "seconds": self.seconds,
            "peak_memory_mib": self.peak_memory_mib,
            "history": self.history,
            "hardness": self.hardness,
            "best": self.best,
        }

    def _is_over(self) -> bool:
        section = self.config.train
        out_of_time = section.max_seconds is not None and self.seconds >= section.max_seconds
        return self.epoch >= section.epochs or out_of_time

    def _results(self) -> dict[str, Any]:
        """Test figures of the last and of the best epoch; leaves the best embedder in place."""
        assert self.best is not None
        last = self._evaluate(self.splits.test)
        best = last
        if self.best["epoch"] != self.epoch:
            self.embedder.load_state_dict(load_checkpoint(self.folder.best)["embedder"])
            best = self._evaluate(self.splits.test)
        return {
            **{f"last/{name}": value for name, value in last.items()},
            **{f"best/{name}": value for name, value in best.items()},
            "best_epoch": self.best["epoch"],
            "selected_on": self.selected_on,
            "selected_by": self.config.eval.select,
            "epochs": self.epoch,
            "seconds": self.seconds,
            "peak_memory_mib": self.peak_memory_mib,
        }


def build_fabric(config: ExperimentConfig, folder: RunFolder) -> Fabric:
    """Device, precision and logger as configured.

    Raises:
        ValueError: If more than one process is asked for: the batch graph spans one.
    """
    section = config.fabric
    logger = TensorBoardLogger(folder.path, name="tensorboard", version="")
    asked = len(section.devices) if isinstance(section.devices, list) else 1
    try:
        fabric = Fabric(
            accelerator=section.accelerator,
            devices=section.devices if asked == 1 else asked,
            num_nodes=section.num_nodes,
            strategy=section.strategy,
            precision=section.precision,
            loggers=logger,
        )
    except (RuntimeError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"fabric: accelerator {section.accelerator!r} with devices {section.devices!r} and "
            f"strategy {section.strategy!r} does not work on this machine: {reason}"
        ) from error
    processes = max(fabric.world_size, int(os.environ.get("WORLD_SIZE", "1")))
    if processes > 1:
        raise ValueError(
            f"{processes} processes were asked for (fabric.devices, fabric.num_nodes or torchrun), "
            "but the batch graph spans one process only: set fabric.devices=1 and "
            "fabric.num_nodes=1"
        )
    return fabric

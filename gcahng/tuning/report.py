"""The report of a study: tables, pictures in one page, all trials, the best as experiments."""

import io
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from gcahng.ablation.start import Figures, starts
from gcahng.config import dump_config
from gcahng.files import write_text
from gcahng.pages import data_uri
from gcahng.reports.page import PageImage, render
from gcahng.reports.result_table import figure_columns
from gcahng.reports.tables import Column, markdown_table
from gcahng.runs.csv_rows import csv_text
from gcahng.runs.folder import RunFolder
from gcahng.runs.record import RunRecord, read_record
from gcahng.tuning.study import Study
from gcahng.tuning.trial_run import TrialRun

#: User attribute of a failed trial.
REASON = "reason"
TOP = 10
NOTE = (
    "Figures are of classes held out from training, for choosing settings; the best of many trials "
    "is ahead partly by chance. So train the best settings anew, with other seeds, and compare "
    "these on the test split."
)


@dataclass(frozen=True)
class _Part:
    """What the page shows of one rival."""

    name: str
    columns: list[Column]
    rows: list[dict[str, Any]]
    failures: list[str]
    pictures: list[PageImage]


def title_of(metric: str) -> str:
    """What tables call a metric.

    >>> title_of("map@r")
    'MAP@R'
    """
    return figure_columns([metric])[0].title


def rival_columns(metric: str) -> list[Column]:
    """Columns of the table of rivals."""
    states = ("finished", "pruned", "failed")
    return [
        Column("rival", "rival"),
        Column("best", f"best {title_of(metric)}", "percent"),
        Column("median", "median", "percent"),
        *(Column(state, state, "integer") for state in states),
        Column("settings", "best settings"),
    ]


def rival_rows(study: Study, trials: Mapping[str, optuna.Study]) -> list[dict[str, Any]]:
    """The start, then a row for each rival: its best figure and settings, how its trials ended."""
    rows: list[dict[str, Any]] = [
        {"rival": name, "best": mean(figures[study.metric].values()) / 100}
        for name, figures in _starts(study, trials).items()
    ]
    for name, one in trials.items():
        found = _of_budget(study, one)
        states = [trial.state for trial in found]
        finished = _finished(found)
        figures = [trial.value for trial in finished if trial.value is not None]
        rows.append(
            {
                "rival": name,
                "best": figures[0] if figures else None,
                "median": median(figures) if figures else None,
                "finished": len(finished),
                "pruned": states.count(TrialState.PRUNED),
                "failed": states.count(TrialState.FAIL),
                "settings": _settings(finished[0]) if finished else None,
            }
        )
    return rows


def _starts(study: Study, trials: Mapping[str, optuna.Study]) -> dict[str, Figures]:
    """The network before training, in the best trial of each rival; of the first one if unequal."""
    runs: dict[str, dict[int, RunRecord]] = {name: {} for name in study.rivals}
    for name, one in trials.items():
        for best in _finished(_of_budget(study, one))[:1]:
            folder = TrialRun(study, study.rivals[name], best.number, best.params).folder
            for seed in study.seeds:
                # Absent where another machine, without a shared folder, trained it.
                if (run := RunFolder(folder / f"seed{seed}")).results.is_file():
                    runs[name][seed] = read_record(run, name)
    return starts(runs, next(iter(runs)), [study.metric], "val")


def report_study(study: Study, trials: Mapping[str, optuna.Study]) -> Path:
    """Write the report of a study, finished or not.

    Args:
        study: The study.
        trials: Of each rival.

    Returns:
        The Markdown file. Beside it are a page, a CSV table of all trials and, for each rival, the
        experiment with its best setting.
    """
    best = _write_best(study, trials)
    rows, columns = rival_rows(study, trials), rival_columns(study.metric)
    parts = [_part(study, name, one) for name, one in trials.items()]
    seeds = f"{len(study.seeds)} seed{'s' * (len(study.seeds) > 1)}"
    lead = f"{study.trials} trials for each rival, each the mean of {seeds}; {study.source}."
    text = [f"# {study.title}\n", f"{lead}\n", markdown_table(rows, columns), f"{NOTE}\n"]
    for part in parts:
        text += [f"## {part.name}\n", markdown_table(part.rows, part.columns)]
        text += ["".join(f"- {line}\n" for line in part.failures)] if part.failures else []
    commands = [f"python -m gcahng train {file}" for file in best]
    text += ["## To train the best\n", "```console\n" + "\n".join(commands) + "\n```\n"]
    target = study.folder / f"{study.name}.md"
    write_text(target, "\n".join(text))
    page = render(
        "study.html",
        title=study.title,
        lead=lead,
        note=NOTE,
        columns=columns,
        rows=rows,
        parts=parts,
        commands="\n".join(commands),
    )
    write_text(target.with_suffix(".html"), page)
    every = [_row(name, t) for name, one in trials.items() for t in _of_budget(study, one)]
    write_text(target.with_suffix(".csv"), csv_text(every))
    return target


def _of_budget(study: Study, one: optuna.Study) -> list[FrozenTrial]:
    return [trial for trial in one.trials if trial.number < study.trials]


def _finished(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Those that finished, the best first."""
    found = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    return sorted(found, key=lambda trial: -(trial.value or 0.0))


def _write_best(study: Study, trials: Mapping[str, optuna.Study]) -> list[Path]:
    written = []
    for name, one in trials.items():
        if finished := _finished(_of_budget(study, one)):
            # A seed that the study has not used.
            config = study.rivals[name].config(finished[0].params, study.seeds[-1] + 1)
            config = config.model_copy(update={"name": f"{study.name}-{name}-best"})
            written.append(study.folder / f"best-{name}.yaml")
            write_text(written[-1], dump_config(config))
    return written


def _part(study: Study, name: str, one: optuna.Study) -> _Part:
    trials = _of_budget(study, one)
    keys = [dimension.key for dimension in study.rivals[name].search]
    columns = [
        Column("trial", "trial", "integer"),
        *figure_columns([study.metric]),
        *(Column(key, key, "number") for key in keys),
    ]
    rows = [
        {"trial": t.number, study.metric: t.value, **{k: _cell(v) for k, v in t.params.items()}}
        for t in _finished(trials)[:TOP]
    ]
    failed = [trial for trial in trials if trial.state is TrialState.FAIL]
    reasons = [f"trial {t.number}: {t.user_attrs.get(REASON, 'no reason known')}" for t in failed]
    return _Part(name, columns, rows, reasons, _pictures(one, title_of(study.metric)))


def _row(name: str, trial: FrozenTrial) -> dict[str, Any]:
    return {
        "rival": name,
        "trial": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value if trial.state is TrialState.COMPLETE else None,
        **trial.params,
        "reason": trial.user_attrs.get(REASON),
    }


def _pictures(one: optuna.Study, target: str) -> list[PageImage]:
    """Optuna's pictures, those that the trials so far suffice for."""
    from optuna.visualization import matplotlib as plots

    kinds: dict[str, Callable[[], Any]] = {
        "Course": lambda: plots.plot_optimization_history(one, target_name=target),
        "Epochs": lambda: plots.plot_intermediate_values(one),
        "Values": lambda: plots.plot_slice(one, target_name=target),
        "Importance": lambda: plots.plot_param_importances(one, target_name=target),
    }
    images = []
    if len(_finished(one.trials)) > 1:
        for title, draw in kinds.items():
            try:
                images.append(PageImage(title, _png(draw)))
            except (RuntimeError, ValueError):
                # Such as importances where all trials are equally good.
                continue
    return images


def _png(draw: Callable[[], Any]) -> str:
    from matplotlib import pyplot

    pyplot.switch_backend("agg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = draw()
        axes = drawn if hasattr(drawn, "figure") else drawn.flat[0]
        file = io.BytesIO()
        axes.figure.savefig(file, format="png", dpi=110, bbox_inches="tight")
        pyplot.close("all")
    return data_uri(file.getvalue(), "image/png")


def _settings(trial: FrozenTrial) -> str:
    return ", ".join(f"{key}={_cell(value)}" for key, value in trial.params.items())


def _cell(value: Any) -> Any:
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.3g}"
    return "null" if value is None else str(value)

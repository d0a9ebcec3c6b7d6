"""The report of a study: tables, pictures in one page, all trials, the best as experiments."""

import io
import math
import shlex
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import mean, median
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from gcahng.config import dump_config
from gcahng.files import csv_text, file_name, write_text
from gcahng.pages import data_uri
from gcahng.reports.page import PageImage
from gcahng.reports.result_table import figure_columns
from gcahng.reports.tables import Column
from gcahng.runs.folder import RunFolder
from gcahng.runs.record import RunRecord, read_record
from gcahng.studies.page import Details, Item, Page, Part
from gcahng.studies.study import Study
from gcahng.studies.summary import Figures, starts

#: User attribute of a failed trial.
REASON = "reason"
TOP = 10
NOTE = (
    "Figures are of classes held out from training, for choosing settings; the best of many trials "
    "is ahead partly by chance. So train the best settings anew, with other seeds, and compare "
    "these on the test split. In the pictures, a step is an epoch"
)


def title_of(metric: str) -> str:
    """What tables call a metric.

    >>> title_of("map@r")
    'MAP@R'
    """
    return figure_columns([metric])[0].title


def short(value: object) -> str:
    """A value of a setting in few characters.

    >>> short(0.00044123), short(None)
    ('0.000441', 'null')
    """
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.3g}"
    return "null" if value is None else str(value)


def rival_columns(study: Study) -> list[Column]:
    """Columns of the table of rivals, or of the one experiment."""
    states = ("finished", "pruned", "failed")
    return [
        Column("rival", "rival" if study.file.rivals else "experiment"),
        Column("best", f"best {title_of(study.file.metric)} (val)", "percent"),
        Column("median", "median", "percent"),
        *(Column(state, state, "integer") for state in states),
        Column("settings", "best settings"),
    ]


def rival_rows(study: Study, trials: Mapping[str, optuna.Study]) -> list[dict[str, Any]]:
    """The start, then a row for each rival: its best figure and settings, how its trials ended."""
    rows: list[dict[str, Any]] = [
        {"rival": name, "best": mean(figures[study.file.metric].values()) / 100}
        for name, figures in _starts(study, trials).items()
    ]
    for name, one in trials.items():
        found = _of_budget(study, one)
        states = [trial.state for trial in found]
        row: dict[str, Any] = {
            "rival": name,
            "pruned": states.count(TrialState.PRUNED),
            "failed": states.count(TrialState.FAIL),
        }
        finished = _finished(found)
        row["finished"] = len(finished)
        if finished:
            row["best"], row["median"] = finished[0].value, median(t.value or 0 for t in finished)
            pairs = finished[0].params.items()
            row["settings"] = ", ".join(f"{key}={short(value)}" for key, value in pairs)
        rows.append(row)
    return rows


def report_study(study: Study, trials: Mapping[str, optuna.Study]) -> Path:
    """Write the report of a study, finished or not.

    Returns:
        The Markdown file. Beside it are a page, a CSV table of all trials and, for each rival, the
        experiment with its best setting.
    """
    rows, columns = rival_rows(study, trials), rival_columns(study)
    several = len(study.seeds) > 1
    each = f"each the mean of {len(study.seeds)} seeds" if several else "each with one seed"
    note = NOTE + (", of one seed after the other." if several else ".")
    commands = [
        shlex.join(["python", "-m", "gcahng", "train", str(file)])
        for file in _write_best(study, trials)
    ]
    parts = [
        Part(columns=columns, rows=rows, notes=[note]),
        *(_part(study, name, one) for name, one in trials.items()),
        Part("To train the best", commands=commands),
    ]
    rivals = " for each rival" if study.file.rivals else ""
    lead = f"{study.trials} trials{rivals}, {each}; {study.source}."
    target = study.folder / f"{study.name}.md"
    Page(study.title, lead, parts).write(target, Details())
    every = [
        ({"rival": name} if study.file.rivals else {}) | _row(trial)
        for name, one in trials.items()
        for trial in _of_budget(study, one)
    ]
    write_text(target.with_suffix(".csv"), csv_text(every))
    return target


def _starts(study: Study, trials: Mapping[str, optuna.Study]) -> dict[str, Figures]:
    """The network before training, in the best trial of each rival; of the first one if unequal."""
    runs: dict[str, dict[int, RunRecord]] = {name: {} for name in study.rivals}
    for name, one in trials.items():
        for best in _finished(_of_budget(study, one))[:1]:
            folder = study.trial_folder(name, best.number)
            for seed in study.seeds:
                # Absent where another machine, without a shared folder, trained it.
                if (run := RunFolder(folder / f"seed{seed}")).results.is_file():
                    runs[name][seed] = read_record(run, name)
    return starts(runs, next(iter(runs)), [study.file.metric], "val")


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
            label = f"{study.name}-{name}" if study.file.rivals else study.name
            config = config.model_copy(update={"name": f"{label}-best"})
            written.append(study.folder / f"best-{file_name(name)}.yaml")
            write_text(written[-1], dump_config(config))
    return written


def _part(study: Study, name: str, one: optuna.Study) -> Part:
    """The best trials of a rival, why others failed, and Optuna's pictures."""
    trials = _of_budget(study, one)
    keys = [dimension.key for dimension in study.rivals[name].search]
    columns = [
        Column("trial", "trial", "integer"),
        *figure_columns([study.file.metric]),
        *(Column(key, key, "number") for key in keys),
    ]
    rows = [
        {
            "trial": t.number,
            study.file.metric: t.value,
            **{k: short(v) for k, v in t.params.items()},
        }
        for t in _finished(trials)[:TOP]
    ]
    failed = [
        Item(f"trial {t.number}", t.user_attrs.get(REASON, "no reason known"))
        for t in trials
        if t.state is TrialState.FAIL
    ]
    return Part(name, columns, rows, failed, images=_pictures(one, title_of(study.file.metric)))


def _row(trial: FrozenTrial) -> dict[str, Any]:
    return {
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

"""The report of a study: tables, pictures in one page, all trials, the best as experiments."""

import math
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, median
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from gcahng.config import dump_config
from gcahng.files import csv_text, file_name, write_text
from gcahng.reports.markdown import bullets, commands, heading, write_report
from gcahng.reports.tables import Column, figure_columns, markdown_table
from gcahng.runs.folder import RunFolder
from gcahng.runs.record import figure_title, read_record
from gcahng.studies.study import Study
from gcahng.studies.summary import STARTS, Figures, starts

#: User attribute of a failed trial.
REASON = "reason"
TOP = 10
NOTE = (
    "Figures are of classes held out from training, for choosing settings; the best of many trials "
    "is ahead partly by chance. So train the best settings anew, with other seeds, and compare "
    "these on the test split."
)

Trials = Mapping[str, optuna.Study]


def short(value: object) -> str:
    """A value of a setting in few characters."""
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.3g}"
    return "null" if value is None else str(value)


def rival_columns(study: Study) -> list[Column]:
    """Columns of the table of rivals, or of the one experiment."""
    states = ("finished", "pruned", "failed")
    return [
        Column("rival", "rival" if study.file.rivals else "experiment"),
        Column("best", f"best {figure_title(study.file.metric)} (val)", ".2%"),
        Column("median", "median", ".2%"),
        *(Column(state, state, ".0f") for state in states),
        Column("settings", "best settings"),
    ]


def rival_rows(study: Study, trials: Trials) -> list[dict[str, Any]]:
    """The start, then a row for each rival: its best figure and settings, how its trials ended."""
    rows: list[dict[str, Any]] = [
        {"rival": name, "best": mean(figures[study.file.metric].values()) / 100}
        for name, figures in _starts(study, trials).items()
    ]
    for name, one in trials.items():
        found = _of_budget(study, one)
        states, finished = [trial.state for trial in found], _finished(found)
        row: dict[str, Any] = {
            "rival": name,
            "finished": len(finished),
            "pruned": states.count(TrialState.PRUNED),
            "failed": states.count(TrialState.FAIL),
        }
        if finished:
            row["best"], row["median"] = finished[0].value, median(t.value or 0 for t in finished)
            pairs = finished[0].params.items()
            row["settings"] = ", ".join(f"{key}={short(value)}" for key, value in pairs)
        rows.append(row)
    return rows


def report_study(study: Study, trials: Trials) -> Path:
    """Write the report of a study, finished or not."""
    several = len(study.seeds) > 1
    each = f"each the mean of {len(study.seeds)} seeds" if several else "each with one seed"
    rivals = " for each rival" if study.file.rivals else ""
    best = [["train", str(file)] for file in _write_best(study, trials)]
    blocks = [
        f"{study.trials} trials{rivals}, {each}; {study.source}.\n",
        markdown_table(rival_rows(study, trials), rival_columns(study)),
        f"{NOTE} {STARTS}\n",
    ]
    for name, one in trials.items():
        blocks += _part(study, name, one)
    target = study.folder / f"{study.name}.md"
    blocks += heading("To train the best", commands(*best))
    write_report(target, study.title, blocks)
    every = [
        ({"rival": name} if study.file.rivals else {}) | _row(trial)
        for name, one in trials.items()
        for trial in _of_budget(study, one)
    ]
    write_text(target.with_suffix(".csv"), csv_text(every))
    return target


def _starts(study: Study, trials: Trials) -> dict[str, Figures]:
    """The network before training, in the best trial of the first rival that has one."""
    for name, one in trials.items():
        for best in _finished(_of_budget(study, one))[:1]:
            folder = study.trial_folder(name, best.number)
            runs = {seed: RunFolder(folder / f"seed{seed}") for seed in study.seeds}
            records = {seed: read_record(run, name) for seed, run in runs.items()}
            return starts(records, [study.file.metric], "val")
    return {}


def _of_budget(study: Study, one: optuna.Study) -> list[FrozenTrial]:
    return [trial for trial in one.trials if trial.number < study.trials]


def _finished(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Those that finished, the best first."""
    found = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    return sorted(found, key=lambda trial: -(trial.value or 0.0))


def _write_best(study: Study, trials: Trials) -> list[Path]:
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


def _part(study: Study, name: str, one: optuna.Study) -> list[str]:
    """The best trials of a rival, and why others failed."""
    metric, trials = study.file.metric, _of_budget(study, one)
    keys = [dimension.key for dimension in study.rivals[name].search]
    columns = [
        Column("trial", "trial", ".0f"),
        *figure_columns([metric]),
        *(Column(key, key, ".4g") for key in keys),
    ]
    rows = [
        {"trial": t.number, metric: t.value, **{k: short(v) for k, v in t.params.items()}}
        for t in _finished(trials)[:TOP]
    ]
    failed = [
        f"trial {t.number}: {t.user_attrs.get(REASON, 'no reason known')}"
        for t in trials
        if t.state is TrialState.FAIL
    ]
    return heading(name, markdown_table(rows, columns), bullets(failed))


def _row(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value if trial.state is TrialState.COMPLETE else None,
        **trial.params,
        "reason": trial.user_attrs.get(REASON),
    }

"""After tuning: the best trials and the untuned default on fresh seeds, the verdict, the winner as a file, the report.

In: a request and the trials of its studies. Out: an experiment of the study's name in the store, `STORE/studies/NAME.yaml` and `.json`, a
report, and a text. The fresh seeds are those of training and reporting, which no trial has ever seen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from rlbench.config import Cell, PlannedRun, planned_runs, spec_of
from rlbench.config.composing import Composer
from rlbench.runner.rung_pool import Interrupted
from rlbench.store import Member, Store, load, passes_audit
from rlbench.tuning.confirmation import SUPPORTED, Compared, Confirmation, compare, confirm
from rlbench.tuning.importance import importances
from rlbench.tuning.ledger import TWIN
from rlbench.tuning.record import compared_record, study_record, write_file, write_record
from rlbench.tuning.request import Study, TuneRequest, composer_of
from rlbench.tuning.winner import variant_yaml


@dataclass(frozen=True)
class Finalists:
    """What of one study is trained on fresh seeds: the untuned default first, then the best trials."""

    study: Study
    cells: list[Cell]
    tuning_scores: dict[str, float]
    numbers: dict[str, int]


@dataclass(frozen=True)
class Conclusion:
    """What to say at the end; `lost` runs failed or diverged on fresh seeds, or trials failed."""

    text: str
    lost: bool


def conclude(request: TuneRequest, outcomes: Sequence[Sequence[FrozenTrial]], store: Store) -> Conclusion:
    """Confirm, write down and report. Raises Interrupted when a stop was asked for; the same command goes on."""
    with composer_of(request) as composer:
        finalists = [
            finalists_of(study, trials, request.confirm.top, composer)
            for study, trials in zip(request.studies, outcomes, strict=True)
        ]
    confirmations: list[Confirmation | None] = [None] * len(finalists)
    between: list[Compared] = []
    if request.confirm.seeds:
        planned = planned_runs([cell for own in finalists for cell in own.cells], range(request.confirm.seeds))
        _train(request, planned, store)
        values = _fresh_values(request, finalists)
        confirmations = [
            confirm(
                own.study.variant,
                values[own.study.variant],
                {cell.label: values[cell.label] for cell in own.cells[1:]},
                own.tuning_scores,
                own.study.objective.statistic,
            )
            for own in finalists
        ]
        between = _between(confirmations, values)
    record = {
        "name": request.name,
        "question": request.question,
        "seeds": request.confirm.seeds,
        "studies": [
            study_record(study, trials, importances(trials), confirmation)
            for study, trials, confirmation in zip(request.studies, outcomes, confirmations, strict=True)
        ],
        "between_variants": [compared_record(one) for one in between],
    }
    folder = store.root / "studies"
    write_record(folder / f"{request.name}.json", record)
    lines = _export(request, finalists, confirmations, outcomes, store)
    failed = [trial for trials in outcomes for trial in trials if trial.state == TrialState.FAIL]
    lost = bool(failed)
    if request.confirm.seeds:
        page, is_lost = _report(request, store)
        lost |= is_lost
        lines.append(f"report: {page}")
    lost |= not passes_audit(load(request.store).experiment(request.tuning_experiment))
    told = _in_words(finalists, confirmations, between, outcomes)
    told += [f"failed: trial {trial.number}: {trial.user_attrs.get('reason', '')}" for trial in failed]
    return Conclusion("\n".join([*told, *lines]), lost)


def finalists_of(study: Study, trials: Sequence[FrozenTrial], top: int, composer: Composer) -> Finalists:
    """The default and the best `top` completed trials; of trials with the same runs, and of the default's, only one."""
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE and TWIN not in trial.user_attrs]
    done.sort(key=lambda trial: (-trial.values[0], trial.number))
    cells, scores, numbers = [study.base], {}, {}
    for trial in done:
        cell = study.cell(trial.params, f"{study.variant} trial {trial.number}", composer)
        if cell.variant != study.base.variant and len(cells) <= top:
            cells.append(cell)
            scores[cell.label], numbers[cell.label] = float(trial.values[0]), trial.number
    return Finalists(study, cells, scores, numbers)


def _train(request: TuneRequest, planned: Sequence[PlannedRun], store: Store) -> None:
    """Train the finalists on fresh seeds, as any experiment is trained."""
    from rlbench.runner.job import Settings
    from rlbench.runner.launch import launch
    from rlbench.runner.machine import machine
    from rlbench.runner.plan import Task
    from rlbench.runner.progress import Progress

    cells = list(dict.fromkeys((run.variant, run.run.env.id) for run in planned))
    definition = {
        "name": request.name,
        "question": request.question,
        "cells": [{"variant": variant, "env": env, "overrides": {}} for variant, env in cells],
        "seeds": list(range(request.confirm.seeds)),
        "final_window": request.studies[0].objective.window,
        "comparisons": [],
        "confirms": request.tuning_experiment,
        "command": ["python", "-m", "rlbench.tune", *request.argv],
    }
    members = [Member(run.run_id, run.variant, run.position) for run in planned]
    store.record_experiment(
        request.name, {**definition, "machine": machine()}, members, {run.run_id: spec_of(run.run) for run in planned}
    )
    settings = Settings(request.lanes, request.checkpoint_seconds, launcher="local")
    tasks = [Task(run.run_id, run.variant, run.run) for run in planned]
    if launch(store, tasks, num_workers=request.workers, settings=settings, progress=Progress()).interrupted:
        raise Interrupted


def _fresh_values(request: TuneRequest, finalists: Sequence[Finalists]) -> dict[str, list[float]]:
    """Label -> the objective's metric by fresh seed, NaN where that run is not done."""
    runs = load(request.store).experiment(request.name).runs
    metric = {own.study.variant: own.study.objective.metric for own in finalists}
    found: dict[str, list[float]] = {}
    for own in finalists:
        for cell in own.cells:
            rows = runs[(runs["variant"] == cell.label) & (runs["status"] == "done")].set_index("seed")
            column = rows[metric[own.study.variant]]
            found[cell.label] = [float(column.get(seed, math.nan)) for seed in range(request.confirm.seeds)]
    return found


def _between(confirmations: Sequence[Confirmation | None], values: dict[str, list[float]]) -> list[Compared]:
    """Better, or only better tuned: the variants' winners against each other, and their defaults, as one family."""
    known = [one for one in confirmations if one is not None]
    pairs = []
    for index, first in enumerate(known):
        for second in known[index + 1 :]:
            pairs.append((first.variant, second.variant))
            if first.winner and second.winner:
                pairs.append((first.winner.label, second.winner.label))
    return compare(pairs, values)


def _export(
    request: TuneRequest,
    finalists: Sequence[Finalists],
    confirmations: Sequence[Confirmation | None],
    outcomes: Sequence[Sequence[FrozenTrial]],
    store: Store,
) -> list[str]:
    """Write each variant's winner, and the best of them under the name of the study; returns what was written, in words."""
    written: list[tuple[float, str]] = []
    for own, confirmation, trials in zip(finalists, confirmations, outcomes, strict=True):
        label = (
            confirmation.winner.label if confirmation and confirmation.winner else next(iter(own.tuning_scores), None)
        )
        if label is None:
            continue
        cell = next(cell for cell in own.cells if cell.label == label)
        compared = confirmation.winner.against_default if confirmation and confirmation.winner else None
        header = [
            f"Winner of the study {own.study.name}: trial {own.numbers[label]} of {len(trials)}, tuned from {own.study.variant}.",
            f"{own.study.objective} on {len(own.study.seeds)} tuning seeds: {own.tuning_scores[label]:.6g};"
            f" sampler {own.study.sampler.kind}, seed {own.study.seed}.",
            f"On {request.confirm.seeds} fresh seeds, {compared.words}."
            if compared
            else "Not confirmed on fresh seeds.",
            *(f"{key}: {value!r}" for key, value in cell.overrides.items()),
        ]
        text = variant_yaml(cell.variant, header)
        write_file(store.root / "studies" / f"{own.study.name}.yaml", text)
        fresh = confirmation.winner.fresh_score if confirmation and confirmation.winner else own.tuning_scores[label]
        written.append((fresh, text))
    if not written:
        return ["no trial was completed, so there is no winner"]
    write_file(store.root / "studies" / f"{request.name}.yaml", max(written, key=lambda one: one[0])[1])
    return [f"winner: variant=study:{request.name}, written to {store.root / 'studies' / f'{request.name}.yaml'}"]


def _report(request: TuneRequest, store: Store) -> tuple[Any, bool]:
    from rlbench.reports import report_folder, write_report

    results = load(request.store)
    page = write_report(results, request.name, report_folder(store.root, request.name))
    statuses = results.experiment(request.name).runs["status"]
    return page, bool((statuses != "done").any())


def _in_words(
    finalists: Sequence[Finalists],
    confirmations: Sequence[Confirmation | None],
    between: Sequence[Compared],
    outcomes: Sequence[Sequence[FrozenTrial]],
) -> list[str]:
    lines = []
    for own, confirmation, trials in zip(finalists, confirmations, outcomes, strict=True):
        states = [trial.state for trial in trials]
        lines.append(
            f"{own.study.name}: {states.count(TrialState.COMPLETE)} trials completed, {states.count(TrialState.PRUNED)} pruned,"
            f" {states.count(TrialState.FAIL)} failed"
        )
        if confirmation is None:
            continue
        lines.append(f"  untuned {own.study.variant}: {confirmation.default_score:.1f} on fresh seeds")
        for one in confirmation.candidates:
            mark = " *" if one is confirmation.winner else ""
            lines.append(
                f"  {one.label}{mark}: tuning score {one.tuning_score:.1f}, fresh {one.fresh_score:.1f},"
                f" optimism gap {one.gap:+.1f}"
            )
            lines.append(
                f"    {one.against_default.words if one.against_default else 'runs of it diverged or failed: no winner'}"
            )
        if confirmation.verdict != SUPPORTED:
            lines.append("  no tuned configuration is shown to be better than the default")
    lines += [f"between variants: {one.words}" for one in between]
    return lines

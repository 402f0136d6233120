"""After tuning: the best trials and the untuned default on fresh seeds, the verdict, the winner as a file, the report.

In: a request and the trials of its studies. Out: an experiment of the study's name in the store, `studies/NAME.yaml` and `.json` there
or beside it, a report, and a text. The fresh seeds are the study's own: no trial has seen them, and no later experiment takes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlbench.config.yaml_files import with_checksum
from rlbench.runner.pool import Interrupted
from rlbench.runner.worker import Launcher
from rlbench.store import Store, load, passes_audit
from rlbench.text import number, signed
from rlbench.tuning.confirmation import SUPPORTED, Compared, Confirmation, Fresh, compare, confirm
from rlbench.tuning.finalists import Finalists, FreshRuns, finalists_of, fresh_runs, fresh_values
from rlbench.tuning.importance import importances
from rlbench.tuning.ledger import REASON, TWIN
from rlbench.tuning.optuna_names import FrozenTrial, TrialState
from rlbench.tuning.record import compared_record, finite, study_record, write_file, write_record
from rlbench.tuning.request import TuneRequest, composer_of
from rlbench.tuning.winner import variant_yaml


@dataclass(frozen=True)
class Conclusion:
    """What to say at the end; `lost` runs failed or diverged on fresh seeds, or trials failed."""

    text: str
    lost: bool


def conclude(
    request: TuneRequest, launcher: Launcher, outcomes: Sequence[Sequence[FrozenTrial]], store: Store
) -> Conclusion:
    """Confirm, write down and report. Raises Interrupted when a stop was asked for; the same command goes on."""
    from rlbench.reports import report_folder
    from rlbench.reports.report import write_study_report

    with composer_of(request) as composer:
        finalists = [
            finalists_of(study, trials, request.confirm.top, composer)
            for study, trials in zip(request.studies, outcomes, strict=True)
        ]
    confirmations: list[Confirmation | None] = [None] * len(finalists)
    between: list[Compared] = []
    if request.confirm.seeds:
        planned = fresh_runs([cell for own in finalists for cell in own.cells], request.fresh_seeds)
        _train(request, launcher, finalists, planned, store)
        fresh = fresh_values(finalists, planned, load(request.store).experiment(request.name).runs)
        confirmations = [
            confirm(
                own.study.variant,
                fresh.values[own.study.variant],
                {cell.label: fresh.values[cell.label] for cell in own.cells[1:]},
                own.tuning_scores,
                own.study.objective.statistic,
                fresh.lost,
            )
            for own in finalists
        ]
        between = _between(confirmations, fresh.values)
    record = {
        "name": request.name,
        "question": request.question,
        "seeds": len(request.fresh_seeds),
        "fresh_seeds": list(request.fresh_seeds),
        "studies": [
            study_record(study, trials, importances(trials), confirmation)
            for study, trials, confirmation in zip(request.studies, outcomes, confirmations, strict=True)
        ],
        "between_variants": [compared_record(one) for one in between],
    }
    folder = store.root / "studies"
    write_record(folder / f"{request.name}.json", record)
    lines = _export(request, finalists, confirmations, outcomes, store)
    failed = [
        (study, trial)
        for study, trials in zip(request.studies, outcomes, strict=True)
        for trial in trials
        if trial.state == TrialState.FAIL
    ]
    lost = bool(failed)
    if request.confirm.seeds:
        page, is_lost = _report(request, store)
        lost |= is_lost
    else:
        page = write_study_report(finite(record), report_folder(store.root, request.name))
    lines.append(f"report: {page}")
    lost |= not passes_audit(load(request.store).experiment(request.tuning_experiment))
    told = _in_words(finalists, confirmations, between, outcomes)
    told += [
        f"failed: {study.name} trial {trial.number}: {trial.user_attrs.get(REASON, '')}" for study, trial in failed
    ]
    return Conclusion("\n".join([*told, *lines]), lost)


def _train(
    request: TuneRequest, launcher: Launcher, finalists: Sequence[Finalists], fresh: FreshRuns, store: Store
) -> None:
    """Train the finalists on fresh seeds, as any experiment is trained."""
    from rlbench.runner.experiments import recorded
    from rlbench.runner.launch import pool_of, train_runs

    planned = fresh.planned
    cells = list(dict.fromkeys((run.variant, run.run.env.id) for run in planned))
    definition = {
        "name": request.name,
        "question": request.question,
        "cells": [{"variant": variant, "env": env, "overrides": {}} for variant, env in cells],
        "seeds": list(request.fresh_seeds),
        "final_window": request.studies[0].objective.window,
        "comparisons": _declared(finalists, {run.variant for run in planned}),
        "confirms": request.tuning_experiment,
        "command": ["python", "-m", "rlbench.tune", *request.argv],
    }
    store.record_experiment(request.name, *recorded(planned, definition))
    if train_runs(store, planned, pool_of(request, launcher)):
        raise Interrupted


def _declared(finalists: Sequence[Finalists], labels: set[str]) -> list[dict[str, Any]]:
    """What the report tests: each candidate against its untuned default, a family for each variant.

    A label that stands for the same run as another one is not among the labels, and is left to the confirmation's own table.
    """
    found = []
    for own in finalists:
        default, *candidates = (cell.label for cell in own.cells)
        pairs = [[candidate, default] for candidate in candidates if {candidate, default} <= labels]
        if pairs:
            found.append({"family": f"confirmation of {own.study.name}", "pairs": pairs})
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
    """Write each variant's winner, and the best of them under the name of the study; returns what was written, in words.

    After a confirmation the winner is the confirmed one, and variants are compared by fresh scores alone; without one, by tuning scores.
    """
    folder = store.root / "studies"
    written: list[tuple[float, str]] = []
    lines = []
    for own, confirmation, trials in zip(finalists, confirmations, outcomes, strict=True):
        path = folder / f"{own.study.name}.yaml"
        found = _winner(own, confirmation)
        if found is None:
            path.unlink(missing_ok=True)  # one of an earlier, smaller study would no longer be the winner of this one
            why = (
                "no candidate has a result on every fresh seed" if own.numbers else "no trial but the default completed"
            )
            lines.append(f"{own.study.name} has no winner: {why}")
            continue
        label, score = found
        cell = next(cell for cell in own.cells if cell.label == label)
        compared = confirmation.winner.against_default if confirmation and confirmation.winner else None
        header = [
            f"Winner of the study {own.study.name}: trial {own.numbers[label]} of {len(trials)}, tuned from {own.study.variant}.",
            f"{own.study.objective} on {len(own.study.seeds)} tuning seeds: {own.values[label]:.6g};"
            f" sampler {own.study.sampler.kind}, seed {own.study.seed}.",
            f"On {len(request.fresh_seeds)} fresh seeds, {compared.words}."
            if compared
            else "Not confirmed on fresh seeds.",
            *(f"{key}: {value!r}" for key, value in cell.overrides.items()),
        ]
        text = with_checksum(variant_yaml(cell.variant, header))
        write_file(path, text)
        written.append((score, text))
    best = folder / f"{request.name}.yaml"
    if not written:
        best.unlink(missing_ok=True)
        return lines
    write_file(best, max(written, key=lambda one: one[0])[1])
    return [*lines, f"winner: variant=study:{request.name}, written to {best}"]


def _winner(own: Finalists, confirmation: Confirmation | None) -> tuple[str, float] | None:
    """The label of a study's winner and the score that it is compared with; None without any."""
    if confirmation is None:
        return max(own.tuning_scores.items(), key=lambda one: own.values[one[0]], default=None)
    return None if confirmation.winner is None else (confirmation.winner.label, confirmation.winner.fresh.score)


def _report(request: TuneRequest, store: Store) -> tuple[Path, bool]:
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
            f" {states.count(TrialState.FAIL)} failed; {sum(TWIN not in trial.user_attrs for trial in trials)} distinct configurations"
        )
        if confirmation is None:
            continue
        default = confirmation.default
        lines.append(f"  untuned {own.study.variant}: {number(default.score)} on fresh seeds{_seeds(default)}")
        for one in confirmation.candidates:
            mark = " *" if one is confirmation.winner else ""
            lines.append(
                f"  {one.label}{mark}: tuning score {number(one.tuning_score)}, fresh {number(one.fresh.score)}{_seeds(one.fresh)},"
                f" optimism gap {signed(one.gap)}"
            )
            lines.append(
                f"    {one.against_default.words if one.against_default else 'runs of it diverged or failed: no winner'}"
            )
        if confirmation.verdict != SUPPORTED:
            lines.append("  no tuned configuration is shown to be better than the default")
    lines += [f"between variants: {one.words}" for one in between]
    return lines


def _seeds(fresh: Fresh) -> str:
    """The mean beside the score, and lost runs."""
    lost = f", {fresh.lost} runs lost" if fresh.lost else ""
    return f" (mean {number(fresh.mean)} of {fresh.n}{lost})"

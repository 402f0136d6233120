"""After tuning: the best trials and the untuned default on fresh seeds, the verdict, the winner as a file, the report.

In: a request and the trials of its studies. Out: an experiment of the study's name in the store, `studies/NAME.yaml` and `.json` there
or beside it, a report, and a text. The fresh seeds are the study's own: no trial has seen them, and no later experiment takes them.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from rlbench.tuning.study import Study
from rlbench.tuning.winner import variant_yaml


@dataclass(frozen=True)
class Conclusion:
    """What to say at the end; `lost` runs failed or diverged on fresh seeds, or trials failed."""

    text: str
    lost: bool


@dataclass(frozen=True)
class Tuned:
    """One study after tuning: its trials, its finalists, and what the fresh seeds say of them, where there are any."""

    trials: Sequence[FrozenTrial]
    finalists: Finalists
    confirmation: Confirmation | None = None

    @property
    def study(self) -> Study:
        return self.finalists.study

    @property
    def winner(self) -> tuple[str, float] | None:
        """The label of the winner and the score that it is compared with; None without any."""
        if self.confirmation is None:
            values, scores = self.finalists.values, self.finalists.tuning_scores
            return max(scores.items(), key=lambda one: values[one[0]], default=None)
        best = self.confirmation.winner
        return None if best is None else (best.label, best.fresh.score)


def conclude(
    request: TuneRequest, launcher: Launcher, outcomes: Sequence[Sequence[FrozenTrial]], store: Store
) -> Conclusion:
    """Confirm, write down and report. Raises Interrupted when a stop was asked for; the same command goes on."""
    with composer_of(request) as composer:
        tuned = [
            Tuned(trials, finalists_of(study, trials, request.confirm.top, composer))
            for study, trials in zip(request.studies, outcomes, strict=True)
        ]
    between: list[Compared] = []
    if request.confirm.seeds:
        tuned, between = _confirmed(request, launcher, tuned, store)
    record = {
        "name": request.name,
        "question": request.question,
        "seeds": len(request.fresh_seeds),
        "fresh_seeds": list(request.fresh_seeds),
        "studies": [study_record(one.study, one.trials, importances(one.trials), one.confirmation) for one in tuned],
        "between_variants": [compared_record(one) for one in between],
    }
    write_record(store.root / "studies" / f"{request.name}.json", record)
    exported = _export(request, tuned, store)
    page, is_lost = _report(request, record, store)
    is_sound = passes_audit(load(request.store).experiment(request.tuning_experiment))
    failed = [
        f"failed: {one.study.name} trial {trial.number}: {trial.user_attrs.get(REASON, '')}"
        for one in tuned
        for trial in one.trials
        if trial.state == TrialState.FAIL
    ]
    told = [line for one in tuned for line in _in_words(one)] + [f"between variants: {one.words}" for one in between]
    text = "\n".join([*told, *failed, *exported, f"report: {page}"])
    return Conclusion(text, bool(failed) or is_lost or not is_sound)


def _confirmed(
    request: TuneRequest, launcher: Launcher, tuned: Sequence[Tuned], store: Store
) -> tuple[list[Tuned], list[Compared]]:
    """The studies with what their finalists did on fresh seeds, and their variants against each other."""
    finalists = [one.finalists for one in tuned]
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
    confirmed = [replace(one, confirmation=own) for one, own in zip(tuned, confirmations, strict=True)]
    return confirmed, _between(confirmations, fresh.values)


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


def _between(confirmations: Sequence[Confirmation], values: dict[str, list[float]]) -> list[Compared]:
    """Better, or only better tuned: the variants' winners against each other, and their defaults, as one family."""
    pairs = []
    for first, second in itertools.combinations(confirmations, 2):
        pairs.append((first.variant, second.variant))
        if first.winner and second.winner:
            pairs.append((first.winner.label, second.winner.label))
    return compare(pairs, values)


def _export(request: TuneRequest, tuned: Sequence[Tuned], store: Store) -> list[str]:
    """Write each variant's winner, and the best of them under the name of the study; returns what was written, in words.

    After a confirmation the winner is the confirmed one, and variants are compared by fresh scores alone; without one, by tuning scores.
    """
    folder = store.root / "studies"
    written: list[tuple[float, str]] = []
    lines = []
    for one in tuned:
        path = folder / f"{one.study.name}.yaml"
        if one.winner is None:
            path.unlink(missing_ok=True)  # one of an earlier, smaller study would no longer be the winner of this one
            has_candidates = bool(one.finalists.numbers)
            why = "candidate has a result on every fresh seed" if has_candidates else "trial but the default completed"
            lines.append(f"{one.study.name} has no winner: no {why}")
            continue
        label, score = one.winner
        text = _winner_yaml(request, one, label)
        write_file(path, text)
        written.append((score, text))
    best = folder / f"{request.name}.yaml"
    if not written:
        best.unlink(missing_ok=True)
        return lines
    write_file(best, max(written, key=lambda one: one[0])[1])
    return [*lines, f"winner: variant=study:{request.name}, written to {best}"]


def _winner_yaml(request: TuneRequest, tuned: Tuned, label: str) -> str:
    """The winner as a variant file that says where it came from."""
    study, confirmation = tuned.study, tuned.confirmation
    cell = next(cell for cell in tuned.finalists.cells if cell.label == label)
    compared = confirmation.winner.against_default if confirmation and confirmation.winner else None
    trial, value = tuned.finalists.numbers[label], tuned.finalists.values[label]
    header = [
        f"Winner of the study {study.name}: trial {trial} of {len(tuned.trials)}, tuned from {study.variant}.",
        f"{study.objective} on {len(study.seeds)} tuning seeds: {value:.6g};"
        f" sampler {study.sampler.kind}, seed {study.seed}.",
        f"On {len(request.fresh_seeds)} fresh seeds, {compared.words}."
        if compared
        else "Not confirmed on fresh seeds.",
        *(f"{key}: {value!r}" for key, value in cell.overrides.items()),
    ]
    return with_checksum(variant_yaml(cell.variant, header))


def _report(request: TuneRequest, record: dict[str, Any], store: Store) -> tuple[Path, bool]:
    """Write the report: of the confirmation, or without one of the record alone. Returns also whether runs of it were lost."""
    from rlbench.reports import report_folder, write_report
    from rlbench.reports.report import write_study_report

    folder = report_folder(store.root, request.name)
    if not request.confirm.seeds:
        return write_study_report(finite(record), folder), False
    results = load(request.store)
    page = write_report(results, request.name, folder)
    statuses = results.experiment(request.name).runs["status"]
    return page, bool((statuses != "done").any())


def _in_words(tuned: Tuned) -> list[str]:
    """How the trials of a study ended, and what fresh seeds say of the finalists."""
    states, name = [trial.state for trial in tuned.trials], tuned.study.name
    lines = [
        f"{name}: {states.count(TrialState.COMPLETE)} trials completed, {states.count(TrialState.PRUNED)} pruned,"
        f" {states.count(TrialState.FAIL)} failed; {sum(TWIN not in trial.user_attrs for trial in tuned.trials)} distinct configurations"
    ]
    confirmation = tuned.confirmation
    if confirmation is None:
        return lines
    default = confirmation.default
    lines.append(f"  untuned {tuned.study.variant}: {number(default.score)} on fresh seeds{_seeds(default)}")
    for one in confirmation.candidates:
        mark = " *" if one is confirmation.winner else ""
        scores = f"tuning score {number(one.tuning_score)}, fresh {number(one.fresh.score)}{_seeds(one.fresh)}"
        compared = one.against_default
        lines += [
            f"  {one.label}{mark}: {scores}, optimism gap {signed(one.gap)}",
            f"    {compared.words if compared else 'runs of it diverged or failed: no winner'}",
        ]
    if confirmation.verdict != SUPPORTED:
        lines.append("  no tuned configuration is shown to be better than the default")
    return lines


def _seeds(fresh: Fresh) -> str:
    """The mean beside the score, and lost runs."""
    lost = f", {fresh.lost} runs lost" if fresh.lost else ""
    return f" (mean {number(fresh.mean)} of {fresh.n}{lost})"

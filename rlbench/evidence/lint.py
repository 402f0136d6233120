"""What is wrong with the evidence, before anybody draws a conclusion from it.

In: results, a store's or somebody else's, and an experiment's name. Out: findings, none where nothing is wrong; and notes, of
what a reader should know without its being wrong. Never: computes a comparison, or changes anything.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rlbench.evidence.foreign import ForeignResults
from rlbench.evidence.source import TRAINING, Finding, shortened_list, untestable
from rlbench.evidence.twins import curves_of, twins
from rlbench.plain_text import escaped
from rlbench.stats import MIN_RUNS_FOR_BOOTSTRAP
from rlbench.store import Results, audit

_BUDGET_SLACK = 0.05  # of the steps of training: an episode that was under way at the end is not recorded


@dataclass(frozen=True)
class _Evidence:
    """What every check reads: the runs, and the curves of those that ended well."""

    results: Any
    definition: dict[str, Any]
    runs: pd.DataFrame
    done: pd.DataFrame
    curves: dict[str, pd.Series]  # run_id -> return by env_steps
    is_training: bool


def lint(results: Results | ForeignResults, experiment: str) -> list[Finding]:
    """Everything that is wrong with an experiment's evidence, the gravest first. Raises StoreError for an unknown one."""
    selected = results.experiment(experiment)
    runs = selected.runs
    definition = results.experiments[experiment]
    evidence = _Evidence(
        selected,
        definition,
        runs,
        runs[runs["status"] == "done"],
        curves_of(selected.evaluations),
        definition.get("returns") == TRAINING,
    )
    return [finding for check in CHECKS for finding in check(evidence)]


def told(findings: list[Finding], experiment: str) -> str:
    """The list for the terminal: what is wrong, then what is to be known."""
    wrong, notes = ([one for one in findings if one.is_note == is_note] for is_note in (False, True))
    width = max((len(one.kind) for one in wrong), default=0)
    head = f"{experiment}: {len(wrong) or 'nothing'} found wrong with the evidence"
    lines = [*(f"{one.kind.ljust(width)}  {one.text}" for one in wrong), *(f"note: {one.text}" for one in notes)]
    return "\n".join([head, *(f"  {escaped(one)}" for one in lines)])


def _read(evidence: _Evidence) -> Iterator[Finding]:
    """What could not be read, or was left aside."""
    if isinstance(evidence.results, ForeignResults):
        yield from evidence.results.reading.findings


def _duplicates(evidence: _Evidence) -> Iterator[Finding]:
    if isinstance(evidence.results, ForeignResults):
        yield from (Finding("duplicated", text) for text in evidence.results.problems)
        return
    # A store holds a run once; one seed twice in a cell means two configurations under one name.
    named = evidence.runs.assign(variant=evidence.runs["run_id"].map(evidence.results.recorded_names))
    again = named[named.duplicated(["variant", "env", "seed"])]
    for (variant, env), rows in again.groupby(["variant", "env"], sort=False):
        yield Finding("duplicated", f"{variant} on {env}: seeds {shortened_list(rows['seed'])} have more than one run")
    yield from (Finding("audit", text) for text in audit(evidence.results))


def _not_finite(evidence: _Evidence) -> Iterator[Finding]:
    for table in ("evaluations", "episodes"):
        frame = getattr(evidence.results, table)
        wrong = frame[~np.isfinite(frame["episode_return"])]
        if len(wrong):
            yield Finding(
                "nan", f"{table}: {len(wrong)} returns of {wrong['run_id'].nunique()} runs are not finite numbers"
            )


def _unfinished(evidence: _Evidence) -> Iterator[Finding]:
    for status in ("diverged", "failed", "running", "pending"):
        rows = evidence.runs[evidence.runs["status"] == status]
        if len(rows):
            names = (f"{row.variant} on {row.env} seed {row.seed}{_why(row.error)}" for row in rows.itertuples())
            yield Finding(status, f"{len(rows)} of {len(evidence.runs)} runs are {status}: {shortened_list(names)}")


def _why(error: Any) -> str:
    return f" ({str(error).strip().splitlines()[-1]})" if str(error).strip() else ""


def _tuning(evidence: _Evidence) -> Iterator[Finding]:
    tuned = evidence.runs[(evidence.runs["namespace"] == "tune") | evidence.runs["study"].notna()]
    if len(tuned):
        yield Finding(
            "tuning", f"{len(tuned)} runs are of a tuning study: what was chosen by its seeds looks better on them"
        )


def _few_seeds(evidence: _Evidence) -> Iterator[Finding]:
    counts = evidence.done.groupby(["variant", "env"], sort=False)["seed"].nunique()
    few = counts[counts < MIN_RUNS_FOR_BOOTSTRAP]
    if len(few):
        cells = shortened_list(f"{variant} on {env} has {count}" for (variant, env), count in few.items())
        yield Finding("seeds", f"under {MIN_RUNS_FOR_BOOTSTRAP} seeds: {cells}")


def _untestable(evidence: _Evidence) -> Iterator[Finding]:
    """Environments on which no two variants can be compared; a diverged run counts as random play."""
    scored = evidence.runs[evidence.runs["status"].isin(["done", "diverged"])]
    for env, rows in scored.groupby("env", sort=False):
        said = untestable(str(env), {str(name): len(own) for name, own in rows.groupby("variant", sort=False)})
        if said:
            yield Finding("untestable", said)


def _missing_cells(evidence: _Evidence) -> Iterator[Finding]:
    declared = [(cell["variant"], cell["env"]) for cell in evidence.definition.get("cells", [])]
    names = evidence.runs["variant"]
    if not isinstance(evidence.results, ForeignResults):
        names = evidence.runs["run_id"].map(evidence.results.recorded_names)
    present = list(zip(names, evidence.runs["env"], strict=True))
    pairs = [*declared, *present]
    variants, envs = (list(dict.fromkeys(pair[side] for pair in pairs)) for side in (0, 1))
    missing = [
        f"{variant} on {env}" for env, variant in itertools.product(envs, variants) if (variant, env) not in present
    ]
    if missing:
        yield Finding("cells", f"no runs at all: {shortened_list(missing)}")


def _unpaired(evidence: _Evidence) -> Iterator[Finding]:
    is_planned = "sequential" in evidence.definition
    is_unnamed = isinstance(evidence.results, ForeignResults) and not evidence.results.reading.is_paired
    for env, rows in evidence.done.groupby("env", sort=False):
        seeds = {str(variant): set(own) for variant, own in rows.groupby("variant", sort=False)["seed"]}
        shared = set.intersection(*seeds.values())
        if any(own != shared for own in seeds.values()):
            counts = shortened_list(f"{variant} has {len(own)}" for variant, own in seeds.items())
            reason = ", as its sequential plan has it" if is_planned else ", since none are named" if is_unnamed else ""
            yield Finding(
                "unpaired",
                f"{env}: the variants have different seeds, {len(shared)} shared by all; {counts}{reason}",
                is_note=is_planned or is_unnamed,
            )


def _unequal_budgets(evidence: _Evidence) -> Iterator[Finding]:
    specs = evidence.results.store.specs(evidence.done["run_id"])
    for env, rows in evidence.done.groupby("env", sort=False):
        budgets = [specs[run_id].get("budget") for run_id in rows["run_id"]]
        if all(budgets):
            texts = [", ".join(f"{value} {key}" for key, value in one.items() if value) for one in budgets if one]
            is_unequal = len(set(texts)) > 1
            shown = shortened_list(dict.fromkeys(texts))
        else:
            steps = rows["env_steps"]
            slack = _BUDGET_SLACK * steps.max() if evidence.is_training else 0.0
            is_unequal = steps.max() - steps.min() > slack
            shown = f"the last steps go from {steps.min()} to {steps.max()}"
        if is_unequal:
            yield Finding("budgets", f"{env}: the runs have unequal budgets: {shown}")


def _grids(evidence: _Evidence) -> Iterator[Finding]:
    if evidence.is_training:
        return  # looked at on one grid, whatever their own steps
    for env, rows in evidence.done.groupby("env", sort=False):
        curves = [evidence.curves[one] for one in rows["run_id"] if one in evidence.curves]
        if not curves:
            continue
        shortest = min(curve.index.max() for curve in curves)
        grids = {tuple(curve.index[curve.index <= shortest]) for curve in curves}
        if len(grids) > 1:
            yield Finding("grid", f"{env}: the runs are evaluated at different steps, on {len(grids)} grids")
        window = int(evidence.definition.get("final_window") or 1)
        short = sum(len(curve) < window for curve in curves)
        if short:
            yield Finding("curve", f"{env}: {short} curves have fewer points than the final window of {window}")


def _identical(evidence: _Evidence) -> Iterator[Finding]:
    yield from (Finding("identical", said) for said in twins(evidence.done, evidence.curves))


def _kind_of_returns(evidence: _Evidence) -> Iterator[Finding]:
    if isinstance(evidence.results, ForeignResults) and evidence.results.note:
        yield Finding("training", evidence.results.note, is_note=True)


CHECKS: tuple[Callable[[_Evidence], Iterator[Finding]], ...] = (
    _read,
    _duplicates,
    _untestable,
    _identical,
    _not_finite,
    _unfinished,
    _missing_cells,
    _tuning,
    _unequal_budgets,
    _grids,
    _unpaired,
    _few_seeds,
    _kind_of_returns,
)

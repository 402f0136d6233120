"""What happened on the way: time to threshold, Q-values against returns, loss, gradients; training returns as an appendix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from rlbench import text
from rlbench.reports.across import Arrival, arrivals, threshold_of
from rlbench.reports.cells import Cell
from rlbench.reports.document import Block, Content, Figures, Picture, Section, captioned, note, table
from rlbench.reports.learning import LAST_ROWS, Trace, overestimations, traces, training_traces
from rlbench.reports.ledger import Ledger, Shown
from rlbench.reports.lines import Curve, draw_lines
from rlbench.reports.sections.design import name_of
from rlbench.reports.sections.scoreboard import metric_cells, metric_titles, record_metric, statistic_of
from rlbench.reports.summary import Summary
from rlbench.rows import PLOTS

_AT_THE_END = {
    "n": Shown("num_runs", "count"),
    "Q, mean": Shown("q_mean"),
    "Q, largest": Shown("q_max"),
    "Discounted return": Shown("discounted"),
    "Mean Q − return": Shown("mean_excess", "signed"),
    "Largest Q − return": Shown("max_excess", "signed"),
    "Loss": Shown("loss"),
    "Gradient norm": Shown("grad_norm"),
}


def threshold_section(summary: Summary, ledger: Ledger) -> Section:
    """When the runs of each variant first get to the threshold."""
    found = {env: arrivals(summary, env) for env in summary.envs}
    rows = {
        f"{env}: {text.number(own[0].threshold)}, horizon {text.count(own[0].result.horizon)} steps": [
            _arrival_row(summary, one, ledger) for one in own
        ]
        for env, own in found.items()
        if own
    }
    pictures = [_arrivals_picture(summary, own, place) for place, own in enumerate(found.values()) if own]
    titles = ["Variant", "At least once", "Median step", "Mean step, restricted", "95 % interval"]
    blocks: list[Block] = []
    if pictures:
        blocks += [Figures(tuple(pictures)), table("Time to threshold", titles, rows, name="time_to_threshold")]
    blocks += [note(one) for one in _about_thresholds(summary, found)]
    return Section("threshold", "Time to threshold", tuple(blocks), is_reference=True)


def _arrival_row(summary: Summary, one: Arrival, ledger: Ledger) -> list[Content]:
    result = one.result
    low, high = (float(np.clip(end, 0.0, result.horizon)) for end in (result.low, result.high))
    key = ledger.add(
        f"threshold/{one.cell.env}/{one.cell.variant}",
        result,
        low=low,
        high=high,
        is_declared=one.is_declared,
        event_steps=result.event_steps,
        waiting=result.waiting,
    )
    return [
        name_of(summary, one.cell.variant),
        [ledger.show(key, "num_reached", "count"), " of ", ledger.show(key, "n", "count")],
        ledger.show(key, "median"),
        ledger.show(key, "restricted_mean", kind="strong"),
        ledger.span(key) if result.num_reached else text.NOTHING,
    ]


def _arrivals_picture(summary: Summary, found: Sequence[Arrival], place: int) -> Picture:
    """The share of each cell's runs that have got to the threshold, which stays as it is after the last that did."""
    curves = []
    for one in found:
        shares = np.concatenate([[0.0], 1.0 - one.result.waiting])
        last = max(one.result.horizon, *one.result.times)
        steps = np.concatenate([[0.0], one.result.event_steps, [last]])
        curves.append(_curve(summary, one.cell, steps, np.append(shares, shares[-1])))
    env, threshold = found[0].cell.env, text.number(found[0].threshold)
    told = "; ".join(f"{one.cell.variant} {one.result.num_reached} of {one.result.n}" for one in found)
    drawing = draw_lines(
        curves, xlabel="environment steps", ylabel=f"share at {threshold} or above", name=f"threshold{place}",
        summary=f"Share of runs that have reached {threshold} on {env}: {told}", is_step=True, ylim=(-0.02, 1.02),
    )  # fmt: skip
    says = f"Share of runs whose evaluation has reached {threshold} (Kaplan-Meier)."
    return captioned(drawing, f"threshold-{place}", env, says)


def _about_thresholds(summary: Summary, found: Mapping[str, Sequence[Arrival]]) -> list[str]:
    every = [one for own in found.values() for one in own]
    says = []
    if every:
        says.append(
            "The first evaluation at the threshold counts, whatever comes after it: a run can fall back. A run that never got "
            "there is not dropped: the restricted mean counts it up to the common horizon (Greenwood, Student t, within 0 and the "
            "horizon). A diverged run never gets there; a failed one is censored where it was last seen."
        )
    says += [
        f"{env} has no declared threshold, and no entry in the normalisation table to take one from."
        for env in summary.envs
        if threshold_of(summary, env)[0] is None
    ]
    if not all(one.is_declared for one in every):
        says.append(
            "Not declared: 0.8 of the way from random actions to the reference. An experiment file declares threshold: RETURN."
        )
    return says or ["No run has an evaluation."]


def diagnostics_section(summary: Summary, ledger: Ledger) -> Section:
    """Q-values against what the policy earns, loss and gradient norm."""
    groups: dict[str, list[list[Content]]] = {}
    pictures = []
    for place, env in enumerate(summary.envs):
        for one in overestimations(summary, env):
            key = ledger.add(f"diagnostics/{env}/{one.cell.variant}", one, statistic="median over runs")
            row = [name_of(summary, one.cell.variant), *ledger.cells(key, _AT_THE_END.values())]
            groups.setdefault(summary.heading_of(env), []).append(row)
        for quantity in PLOTS:
            if found := traces(summary, env, quantity):
                pictures.append(_diagnostics_picture(summary, found, quantity, place))
    blocks: tuple[Block, ...] = (note("There are no diagnostics of done runs."),)
    if groups:
        at_the_end = table("Diagnostics at the end of training", ["Variant", *_AT_THE_END], groups, name="diagnostics")
        blocks = (Figures(tuple(pictures)), at_the_end, _about_diagnostics())
    return Section("diagnostics", "Diagnostics", blocks, is_reference=True)


def _diagnostics_picture(summary: Summary, found: Sequence[Trace], quantity: str, place: int) -> Picture:
    env, plot = found[0].cell.env, PLOTS[quantity]
    lowest = min(float(trace.medians.min()) for trace in found)
    spans_decades = lowest > 0.0 and max(float(trace.medians.max()) for trace in found) > 10.0 * lowest
    drawing = draw_lines(
        [_curve(summary, trace.cell, trace.env_steps, trace.medians) for trace in found],
        xlabel="environment steps",
        ylabel=plot.title,
        name=f"{quantity}{place}",
        summary=f"Median over runs of the {plot.title} on {env}",
        height=240.0,
        is_log=plot.is_log and spans_decades,
    )
    return captioned(drawing, f"{quantity}-{place}", f"{plot.heading}, {env}", "Median over done runs.")


def _about_diagnostics() -> Block:
    return note(
        f"End of training: each run's last {LAST_ROWS} diagnostics, the median over done runs. Mean Q: of the actions in "
        "the minibatch; largest: of all actions in it. The discounted return is that of the final window's greedy "
        "episodes from their first step, each reward taken to be its episode's mean. Compare variants with each other "
        "rather than with 0: the minibatch holds states late in episodes, with less left to earn, which pull the mean below the return "
        "where rewards are positive and above it where they are negative. "
        "Runs that diverged are listed under design and completeness."
    )


def training_section(summary: Summary, ledger: Ledger) -> Section:
    """Training returns, exploration included: an appendix, and never the headline."""
    metric, of = "train_return_last100", statistic_of([cell.metrics["train_return_last100"] for cell in summary.cells])
    groups: dict[str, list[list[Content]]] = {}
    pictures = []
    for place, env in enumerate(summary.envs):
        if found := training_traces(summary, env):
            pictures.append(_training_picture(summary, found, place))
        for cell in summary.cells_of(env):
            record_metric(cell, metric, ledger)
            groups.setdefault(summary.heading_of(env), []).append(metric_cells(summary, cell, metric, of, ledger))
    blocks: list[Block] = [Figures(tuple(pictures))] if pictures else []
    titles = metric_titles("Last 100 episodes", of)
    blocks += [table("Training returns", titles, groups, name="training_returns", texts=("Statistic",))]
    blocks.append(
        note(
            "Training returns include exploration and come from changing policies; they serve to compare "
            "with published training curves only."
        )
    )
    return Section("training", "Appendix: training returns", tuple(blocks), is_reference=True)


def _training_picture(summary: Summary, found: Sequence[Trace], place: int) -> Picture:
    env = found[0].cell.env
    drawing = draw_lines(
        [_curve(summary, trace.cell, trace.env_steps, trace.medians) for trace in found],
        xlabel="environment steps",
        ylabel="training return",
        name=f"training{place}",
        summary=f"Training returns on {env}, median over runs of the last episode ended by each step",
    )
    says = (
        "Median over runs of the return of the last training episode that had ended by each evaluation "
        "step (previous value, no interpolation, no smoothing)."
    )
    return captioned(drawing, f"training-{place}", env, says)


def _curve(summary: Summary, cell: Cell, x: ArrayLike, y: ArrayLike) -> Curve:
    return Curve(cell.variant, summary.variants.index(cell.variant), x, y)

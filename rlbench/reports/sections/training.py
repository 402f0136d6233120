"""What happened on the way: time to threshold, Q-values against returns, loss, gradients; training returns as an appendix."""

from __future__ import annotations

import numpy as np

from rlbench import text
from rlbench.reports.across import arrivals, threshold_of
from rlbench.reports.document import Block, Content, Figures, Part, Picture, Section, line, note, strong, table
from rlbench.reports.learning import LAST_ROWS, overestimations, traces, training_traces
from rlbench.reports.ledger import Ledger
from rlbench.reports.lines import Curve, draw_lines
from rlbench.reports.sections.design import name_of
from rlbench.reports.sections.scoreboard import named_statistic, record_metric, statistic_of
from rlbench.reports.summary import Summary

# quantity -> (title, on a logarithmic axis)
_PANELS = {
    "q_mean": ("mean Q of the minibatch", False),
    "loss": ("loss", True),
    "grad_norm": ("gradient norm", True),
}


def threshold_section(summary: Summary, ledger: Ledger) -> Section:
    """When the runs of each variant first get to the threshold."""
    rows: dict[str, list[list[Content]]] = {}
    pictures, says, default = [], [], False
    for place, env in enumerate(summary.envs):
        found = arrivals(summary, env)
        threshold, is_declared = threshold_of(summary, env)
        if threshold is None:
            says.append(f"{env} has no declared threshold, and no entry in the normalisation table to take one from.")
        if not found:
            continue
        assert threshold is not None
        default = default or not is_declared
        curves = []
        for one in found:
            result, key = one.result, f"threshold/{env}/{one.cell.variant}"
            low, high = (float(np.clip(end, 0.0, result.horizon)) for end in (result.low, result.high))
            ledger.add(
                key,
                result,
                low=low,
                high=high,
                is_declared=is_declared,
                event_steps=result.event_steps,
                waiting=result.waiting,
            )
            row: list[Content] = [
                name_of(summary, one.cell.variant),
                [ledger.show(key, "num_reached", "count"), " of ", ledger.show(key, "n", "count")],
                ledger.show(key, "median"),
                ledger.show(key, "restricted_mean", kind="strong"),
                ledger.span(key) if result.num_reached else text.NOTHING,
            ]
            rows.setdefault(f"{env}: {text.number(threshold)}, horizon {text.count(result.horizon)} steps", []).append(
                row
            )
            x = np.concatenate([[0.0], result.event_steps, [max(result.horizon, *result.times)]])
            y = np.concatenate(
                [[0.0], 1.0 - result.waiting, [1.0 - result.waiting[-1] if len(result.waiting) else 0.0]]
            )
            curves.append(Curve(one.cell.variant, summary.variants.index(one.cell.variant), x, y))
        told = "; ".join(f"{one.cell.variant} {one.result.num_reached} of {one.result.n}" for one in found)
        drawing = draw_lines(
            curves, xlabel="environment steps", ylabel=f"share at {text.number(threshold)} or above", name=f"threshold{place}",
            summary=f"Share of runs that have reached {text.number(threshold)} on {env}: {told}", is_step=True, ylim=(-0.02, 1.02),
        )  # fmt: skip
        pictures.append(
            Picture(
                drawing,
                f"threshold-{place}",
                line(
                    [
                        strong(f"{env}. "),
                        f"Share of runs whose evaluation has reached {text.number(threshold)} (Kaplan-Meier).",
                    ]
                ),
            )
        )
    blocks: list[Block] = []
    if pictures:
        titles = ["Variant", "At least once", "Median step", "Mean step, restricted", "95 % interval"]
        blocks += [Figures(tuple(pictures)), table("Time to threshold", titles, rows, name="time_to_threshold")]
        says.insert(
            0,
            "The first evaluation at the threshold counts, whatever comes after it: a run can fall back. A run that never got "
            "there is not dropped: the restricted mean counts it up to the common horizon (Greenwood, Student t, within 0 and the "
            "horizon). A diverged run never gets there; a failed one is censored where it was last seen.",
        )
    if default:
        says.append(
            "Not declared: 0.8 of the way from random actions to the reference. An experiment file declares threshold: RETURN."
        )
    return Section(
        "threshold",
        "Time to threshold",
        (*blocks, *(note(one) for one in says or ["No run has an evaluation."])),
        is_reference=True,
    )


def diagnostics_section(summary: Summary, ledger: Ledger) -> Section:
    """Q-values against what the policy earns, loss and gradient norm."""
    groups: dict[str, list[list[Content]]] = {}
    pictures = []
    for place, env in enumerate(summary.envs):
        for one in overestimations(summary, env):
            key = ledger.add(f"diagnostics/{env}/{one.cell.variant}", one, statistic="median over runs")
            row: list[Content] = [name_of(summary, one.cell.variant), ledger.show(key, "num_runs", "count")]
            row += [ledger.show(key, name) for name in ("q_mean", "q_max", "discounted")]
            row += [
                ledger.show(key, "mean_excess", "signed"),
                ledger.show(key, "max_excess", "signed"),
                ledger.show(key, "loss"),
                ledger.show(key, "grad_norm"),
            ]
            groups.setdefault(env if len(summary.envs) > 1 else "", []).append(row)
        for quantity, (title, is_log) in _PANELS.items():
            found = traces(summary, env, quantity)
            if not found:
                continue
            lowest = min(float(trace.medians.min()) for trace in found)
            spans_decades = lowest > 0.0 and max(float(trace.medians.max()) for trace in found) > 10.0 * lowest
            drawing = draw_lines(
                [Curve(t.cell.variant, summary.variants.index(t.cell.variant), t.env_steps, t.medians) for t in found],
                xlabel="environment steps",
                ylabel=title,
                name=f"{quantity}{place}",
                summary=f"Median over runs of the {title} on {env}",
                height=240.0,
                is_log=is_log and spans_decades,
            )
            pictures.append(
                Picture(
                    drawing,
                    f"{quantity}-{place}",
                    line([strong(f"{title[0].upper()}{title[1:]}, {env}. "), "Median over done runs."]),
                )
            )
    if not groups:
        return Section(
            "diagnostics", "Diagnostics", (note("There are no diagnostics of done runs."),), is_reference=True
        )
    titles = [
        "Variant",
        "n",
        "Q, mean",
        "Q, largest",
        "Discounted return",
        "Mean Q − return",
        "Largest Q − return",
        "Loss",
        "Gradient norm",
    ]
    says = (
        f"End of training: each run's last {LAST_ROWS} diagnostics, the median over done runs. Mean Q: of the actions in "
        "the minibatch; largest: of all actions in it. The discounted return is that of the final window's greedy "
        "episodes from their first step, each reward taken to be its episode's mean. Compare variants with each other "
        "rather than with 0: the minibatch holds states late in episodes, with less left to earn, which pull the mean below the return "
        "where rewards are positive and above it where they are negative. "
        "Runs that diverged are listed under design and completeness."
    )
    return Section(
        "diagnostics",
        "Diagnostics",
        (
            Figures(tuple(pictures)),
            table("Diagnostics at the end of training", titles, groups, name="diagnostics"),
            note(says),
        ),
        is_reference=True,
    )


def training_section(summary: Summary, ledger: Ledger) -> Section:
    """Training returns, exploration included: an appendix, and never the headline."""
    groups: dict[str, list[list[Content]]] = {}
    pictures = []
    of = statistic_of([cell.metrics["train_return_last100"] for cell in summary.cells])
    several = " or " in of
    for place, env in enumerate(summary.envs):
        found = training_traces(summary, env)
        if found:
            drawing = draw_lines(
                [
                    Curve(t.cell.variant, summary.variants.index(t.cell.variant), t.env_steps, t.medians)
                    for t, _ in found
                ],
                xlabel="environment steps",
                ylabel="training return",
                name=f"training{place}",
                summary=f"Training returns on {env}, median over runs of the last episode ended by each step",
            )
            caption: list[str | Part] = [
                strong(f"{env}. "),
                "Median over runs of the return of the last training episode that had ended by each evaluation "
                "step (previous value, no interpolation, no smoothing).",
            ]
            pictures.append(Picture(drawing, f"training-{place}", line(caption)))
        for cell in summary.cells_of(env):
            key = record_metric(cell, "train_return_last100", ledger)
            row: list[Content] = [
                name_of(summary, cell.variant),
                ledger.show(key, "n", "count"),
                *([named_statistic(cell.metrics["train_return_last100"])] if several else []),
                ledger.show(key),
                ledger.span(key),
                *([ledger.show(key, "mean")] if "IQM" in of else []),
            ]
            groups.setdefault(env if len(summary.envs) > 1 else "", []).append(row)
    titles = ["Variant", "n", *(["Statistic"] if several else []), f"Last 100 episodes, {of}"]
    titles.append("95 % interval" if several else f"95 % interval of the {of}")
    titles += ["Mean"] if "IQM" in of else []
    blocks: list[Block] = [Figures(tuple(pictures))] if pictures else []
    blocks += [table("Training returns", titles, groups, name="training_returns", texts=("Statistic",))]
    blocks.append(
        note(
            "Training returns include exploration and come from changing policies; they serve to compare "
            "with published training curves only."
        )
    )
    return Section("training", "Appendix: training returns", tuple(blocks), is_reference=True)

"""Design and completeness: what was planned, what came of it, what weakens the evidence, and in what the cells differ."""

from __future__ import annotations

from collections.abc import Sequence

from rlbench import text
from rlbench.reports.cells import STATUSES, Cell
from rlbench.reports.comparisons import Family
from rlbench.reports.configuration import (
    Design,
    KeyDifference,
    configurations,
    differing_keys,
    key_differences,
    part_of,
)
from rlbench.reports.document import (
    Badges,
    Block,
    Content,
    Heading,
    Part,
    Section,
    badge,
    code,
    line,
    note,
    paragraph,
    strong,
    table,
)
from rlbench.reports.ledger import Ledger
from rlbench.reports.summary import Summary
from rlbench.stats import wilson_interval

LOST = ("diverged", "failed")
_MAX_LISTED = 50


def design_section(summary: Summary, design: Design, families: Sequence[Family], ledger: Ledger) -> Section:
    """The grid of runs by status, warnings, lost runs, and every key in which compared cells differ."""
    warnings = warnings_of(summary)
    blocks: list[Block] = []
    if warnings:
        blocks.append(Badges(line([badge(warning, "red") for warning in warnings])))
    else:
        blocks.append(Badges(line([badge("every planned run is done, on the same seeds, with one budget", "green")])))
    blocks.append(_completeness(summary, ledger))
    if any(cell.is_small for cell in summary.cells):
        blocks.append(
            note(
                "Under 10 done runs the bootstrap of the IQM covers too little, so the mean is shown instead, with its "
                "Student t interval, and rare failures may not have shown up at all."
            )
        )
    if summary.definition.get("seeds_added"):
        blocks.append(
            note(
                "Looking at results and then adding seeds finds differences that are not there; p-values hold only if the number of "
                "seeds was settled before. A sequential plan (until_decided=true) adds seeds at a level that holds."
            )
        )
    blocks += _lost_runs(summary)
    blocks += _comparability(summary, design, families)
    return Section("design", "Design and completeness", tuple(blocks), is_reference=True)


def warnings_of(summary: Summary) -> list[str]:
    """What weakens the evidence, each as a few words."""
    found = []
    small = [cell for cell in summary.cells if cell.is_small]
    if small:
        least = min(cell.done for cell in small)
        found.append(f"under 10 runs in {text.plural(len(small), 'cell')} (fewest: {least})")
    for status in LOST:
        if summary.count(status):
            found.append(f"{text.plural(summary.count(status), 'run')} {status}")
    if summary.missing:
        found.append(f"{text.plural(summary.missing, 'run')} missing")
    empty = [cell for cell in summary.cells if not cell.done]
    if empty:
        found.append(f"{text.plural(len(empty), 'cell')} without a done run")
    absent = len(summary.variants) * len(summary.envs) - len(summary.cells)
    if absent:
        found.append(f"{text.plural(absent, 'cell')} not planned: variants differ in their environments")
    times = int(summary.definition.get("seeds_added", 0))
    if times:
        found.append(f"seeds were added {text.plural(times, 'time')} to variants that had results, by no plan")
    for env in summary.envs:
        cells = [cell for cell in summary.cells_of(env) if cell.done]
        where = "" if len(summary.envs) == 1 else f" on {env}"
        lengths = sorted(
            {int(run.env_steps[-1]) for cell in cells for run in cell.runs if run.has_score and len(run.env_steps)}
        )
        budgets = _budgets(summary, env)
        if len(budgets) > 1:
            found.append(f"unequal budgets{where}: {', '.join(budgets)}")
        elif len(lengths) > 1:
            found.append(
                f"unequal lengths{where}: last evaluation from {text.count(lengths[0])} to {text.count(lengths[-1])} steps"
            )
        seeds = [set(cell.scores) for cell in cells]
        if len(seeds) > 1 and any(one != seeds[0] for one in seeds):
            shared, every = set.intersection(*seeds), set.union(*seeds)
            found.append(f"seeds differ{where}: {len(shared)} of {len(every)} have a result in every variant")
    return found


def _budgets(summary: Summary, env: str) -> list[str]:
    found = set()
    for (_, where), settings in configurations(summary).items():
        if where == env:
            found.add(
                ", ".join(
                    f"{k.split('.')[1]} {settings[k]}"
                    for k in sorted(settings)
                    if k.startswith("budget.") and settings[k] is not None
                )
            )
    return sorted(found)


def _completeness(summary: Summary, ledger: Ledger) -> Block:
    shown = [status for status in STATUSES if status in ("done", *LOST) or summary.count(status)]
    titles = [
        "Variant",
        "Planned",
        *(status.capitalize() for status in shown),
        *(["Missing"] if summary.missing else []),
        "Lost, rate",
    ]
    groups: dict[str, list[list[Content]]] = {}
    for cell in summary.cells:
        key = ledger.add(f"runs/{cell.env}/{cell.variant}", planned=cell.planned, **cell.counts, missing=cell.missing)
        row: list[Content] = [name_of(summary, cell.variant), ledger.show(key, "planned", "count")]
        for status in shown:
            amount = ledger.show(key, status, "count", _kind(status, cell.counts[status]))
            row.append([badge("under 10", "red"), " ", amount] if status == "done" and cell.is_small else amount)
        if summary.missing:
            row.append(ledger.show(key, "missing", "count", "bad" if cell.missing else "zero"))
        row.append(_loss(cell, ledger))
        groups.setdefault(summary.heading_of(cell.env), []).append(row)
    return table("Runs by status", titles, groups, name="runs_by_status")


def _kind(status: str, amount: int) -> str:
    return "zero" if not amount else "bad" if status in LOST else "text"


def _loss(cell: Cell, ledger: Ledger) -> Content:
    """The rate of diverged and failed runs among those that ended, with Wilson's interval."""
    lost = sum(cell.counts[status] for status in LOST)
    if not cell.done + lost:
        return text.NOTHING
    key = ledger.add(f"lost/{cell.env}/{cell.variant}", wilson_interval(lost, cell.done + lost))
    return [ledger.show(key, "estimate", "share"), " ", *ledger.span(key, how="share")]


def name_of(summary: Summary, variant: str) -> Part:
    """A variant's name with the index of its colour."""
    return Part(variant, "name", style=summary.variants.index(variant))


def _lost_runs(summary: Summary) -> list[Block]:
    lost = summary.runs[summary.runs["status"].isin(LOST)]
    if lost.empty:
        return []
    rows = [
        [
            row.variant,
            row.env,
            str(row.seed),
            row.status,
            text.count(row.env_steps),
            code(row.run_id),
            text.without_folders(str(row.error or "")).strip(),
        ]
        for row in lost.head(_MAX_LISTED).itertuples()
    ]
    titles = ["Variant", "Environment", "Seed", "Status", "At step", "Run", "Error"]
    blocks: list[Block] = [
        Heading("Runs that did not finish well"),
        note(
            "They are counted above and are in no average of a results table, which holds for the runs that survived. Comparisons and "
            "effects count a diverged run as random play where the table of returns has the environment; a failed one is in none."
        ),
        table("Diverged and failed runs", titles, rows, texts=("Environment", "Status", "Run", "Error")),
    ]
    if len(lost) > _MAX_LISTED:
        blocks.append(note(f"{text.plural(len(lost) - _MAX_LISTED, 'more run')} in runs.csv."))
    return blocks


def _comparability(summary: Summary, design: Design, families: Sequence[Family]) -> list[Block]:
    if len(summary.variants) < 2:
        return []
    differences = key_differences(summary)
    blocks: list[Block] = [Heading("In what the compared cells differ")]
    if not differences:
        return [*blocks, note("No configuration key differs between the variants, or none is known.")]
    blocks.append(_keys_table(summary, differences))
    if design.factors and not design.problem:
        blocks += [paragraph(_factor_line(factor.name, factor.keys, factor.parts)) for factor in design.factors]
        if design.shared_keys:
            blocks.append(
                paragraph(
                    [badge("confounded", "red"), f" {', '.join(design.shared_keys)} moves with more than one factor."]
                )
            )
    declared = list(dict.fromkeys((m.x, m.y) for family in families if family.name for m in family.members))
    for x, y in declared:
        keys = _pair_keys(summary, x, y)
        parts = list(dict.fromkeys(part_of(key) for key in keys))
        if len(parts) > 1:
            told: list[str | Part] = [badge("more than one change", "red"), " ", strong(f"{x} against {y}")]
            told += [
                f" differ in {text.listed(parts)}: ",
                code(", ".join(keys)),
                ". Their difference is of all that together.",
            ]
            blocks.append(paragraph(told))
    return blocks


def _factor_line(name: str, keys: Sequence[str], parts: Sequence[str]) -> list[str | Part]:
    if not keys:
        return [badge("unknown", "amber"), " ", strong(name), ": no key is known in which its levels differ."]
    if len(parts) > 1:
        told: list[str | Part] = [f" changes {text.listed(parts)} at once (", code(", ".join(keys))]
        return [
            badge("confounded", "red"),
            " ",
            strong(name),
            *told,
            "): an effect of all that together, not of one factor.",
        ]
    return [badge("one factor", "green"), " ", strong(name), " changes only ", code(", ".join(keys)), "."]


def _keys_table(summary: Summary, differences: Sequence[KeyDifference]) -> Block:
    variants = [v for v in summary.variants if any(v in one.values for one in differences)]
    everywhere = all(len(one.envs) == len(summary.envs) for one in differences)
    titles = ["Key", *([] if everywhere else ["Environment"]), *variants]
    rows: list[list[Content]] = [
        [
            code(one.key),
            *([] if everywhere else [", ".join(one.envs)]),
            *(one.values.get(v, text.NOTHING) for v in variants),
        ]
        for one in differences
    ]
    return table("Configuration keys in which cells differ", titles, rows, name="differences", texts=titles)


def _pair_keys(summary: Summary, x: str, y: str) -> list[str]:
    settings = configurations(summary)
    found: dict[str, None] = {}
    for env in summary.envs:
        if (x, env) in settings and (y, env) in settings:
            found |= dict.fromkeys(differing_keys([settings[x, env], settings[y, env]]))
    return list(found)

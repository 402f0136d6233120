"""Power: what these seeds can show, and what a given effect would take, in seeds and minutes."""

from __future__ import annotations

from collections.abc import Sequence

from rlbench import text
from rlbench.reports.comparisons import LEVEL, POWER, Family, Pairwise
from rlbench.reports.document import Block, Content, Section, note, table
from rlbench.reports.ledger import Ledger
from rlbench.reports.summary import Summary, seconds_a_run
from rlbench.stats import pilot_sd, seeds_needed

CONFIDENCE = 0.8  # of the upper limit of the spread, as Browne (1995) plans
_NUM_WITHOUT_EFFECT = 4  # columns that need no declared effect


def power_section(summary: Summary, families: Sequence[Family], ledger: Ledger) -> Section:
    """For each comparison the smallest effect found now, and the seeds that the declared one, if any, would take."""
    members = [m for family in families for m in family.members if m.test is not None]
    if not members:
        return Section(
            "power",
            "What these seeds can show",
            (note("No comparison has two done runs on each side."),),
            is_reference=True,
        )
    cost = minutes_a_run(summary)
    groups: dict[str, list[list[Content]]] = {}
    is_declared = any(m.smallest_effect is not None for m in members)
    for m in members:
        row = _row(m, cost.get(m.env), ledger)
        group = groups.setdefault(summary.heading_of(m.env), [])
        group.append(row if is_declared else row[:_NUM_WITHOUT_EFFECT])
    titles = ["Comparison", "Runs a side", "Spread", "Could show"]
    if is_declared:
        titles += ["To show", "Seeds needed", f"Seeds, upper {100 * CONFIDENCE:.0f} %", "More seeds", "More time"]
    says = (
        f"Could show: the difference of means that a test at level {LEVEL:g}, at the first step of "
        f"Holm's correction over its family, finds {100 * POWER:.0f} % of the time; "
        "spread: standard deviation of the differences over seeds (paired) or over runs, of this sample; a pilot of "
        "few seeds gets it wrong by a third and more. "
    )
    if is_declared:
        says += (
            f"To show: the declared smallest effect of interest; upper: the seeds at the spread's upper "
            f"{100 * CONFIDENCE:.0f} % confidence limit, on which a plan rarely ends with too few. "
            "Time: training time of both variants' further seeds, at what a run took here; runs with the same "
            "stored time were trained together and share it."
        )
    else:
        says += "No smallest effect of interest is declared, so that how many seeds are enough cannot be said."
    blocks: tuple[Block, ...] = (table("What these seeds can show", titles, groups, name="power"), note(says))
    return Section("power", "What these seeds can show", blocks, is_reference=True)


def minutes_a_run(summary: Summary) -> dict[str, float]:
    """Training minutes of one run on each environment."""
    return {env: seconds / 60.0 for (env,), seconds in seconds_a_run(summary, ("env",)).items()}


def _row(m: Pairwise, minutes: float | None, ledger: Ledger) -> list[Content]:
    n = min(m.n_x, m.n_y)
    spread = pilot_sd(m.x_values, m.y_values, paired=m.is_paired)
    wanted = m.smallest_effect
    upper = pilot_sd(m.x_values, m.y_values, paired=m.is_paired, confidence=CONFIDENCE)
    needed, at_most = (_needed(m, wanted, sd) if wanted else None for sd in (spread, upper))
    more = None if needed is None else max(0, needed - n)
    key = ledger.add(
        f"power/{m.family or 'exploratory'}/{m.env}/{m.x} against {m.y}",
        n=n,
        spread=spread,
        spread_upper=upper,
        confidence=CONFIDENCE,
        paired=m.is_paired,
        detectable=m.detectable,
        wanted=wanted,
        is_declared=m.smallest_effect is not None,
        seeds_needed=needed,
        seeds_needed_upper=at_most,
        more_seeds=more,
        minutes=None if more is None or minutes is None else 2.0 * more * minutes,
        level=LEVEL,
        power=POWER,
        comparisons=m.num_tests,
        method="noncentral t",
        family=m.family or "exploratory",
    )
    return [
        f"{m.x} − {m.y}",
        [ledger.show(key, "n", "count"), " paired" if m.is_paired else ""],
        ledger.show(key, "spread"),
        ledger.show(key, "detectable") if m.can_reject else "nothing",
        ledger.show(key, "wanted"),
        ledger.show(key, "seeds_needed", "count") if needed is not None or wanted is None else "over a million",
        ledger.show(key, "seeds_needed_upper", "count") if at_most is not None or wanted is None else "over a million",
        ledger.show(key, "more_seeds", "count"),
        ledger.show(key, "minutes", "minutes") if minutes is not None else text.NOTHING,
    ]


def _needed(m: Pairwise, wanted: float, spread: float) -> int | None:
    """Runs a side that show `wanted`; None for more than a million."""
    try:
        return seeds_needed(wanted, spread, paired=m.is_paired, level=LEVEL, power=POWER, comparisons=m.num_tests)
    except ValueError:
        return None

"""Verdicts in sentences: each declared comparison with one of four words, then the factors, then what is exploratory."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rlbench import text
from rlbench.reports.comparisons import INCONCLUSIVE, LEVEL, Family, Pairwise, seeds_that_could_reject
from rlbench.reports.document import (
    Block,
    Content,
    Figures,
    Heading,
    Paragraph,
    Part,
    Picture,
    Section,
    badge,
    captioned,
    line,
    note,
    table,
)
from rlbench.reports.effects import EffectsReport
from rlbench.reports.forests import Row, draw_forest
from rlbench.reports.ledger import Ledger, Shown
from rlbench.reports.sections.sentences import TONES, effect_sentence, grey_band, pair_key, pair_sentence
from rlbench.reports.summary import Summary
from rlbench.stats import ALL_EQUAL

_MAX_EXPLORATORY_SENTENCES = 6
_COLUMNS = {
    "Difference": Shown(how="signed"),
    "95 % interval": Shown("low", "signed", high="high"),
    "Hodges-Lehmann": Shown("hodges_lehmann", "signed"),
    "A12": Shown("a12", "share"),
    "p": Shown("p_value", "p"),
    "p corrected": Shown("p_adjusted", "p"),
    "Welch p": Shown("welch_p", "p"),
}


def verdicts_section(
    summary: Summary, families: Sequence[Family], effects: EffectsReport, ledger: Ledger, is_declared_grid: bool
) -> Section:
    """The sentences that answer the experiment's question, and the tests behind them."""
    declared = [family for family in families if family.name]
    exploratory = [family for family in families if not family.name]
    for family in families:
        _record(family, ledger)
    blocks: list[Block] = []
    for family in declared:
        tested = sum(member.test is not None for member in family.members)
        blocks.append(Heading(f"{family.name}: declared, {text.plural(tested, 'test')} corrected together"))
        blocks += [pair_sentence(member, ledger) for member in family.members]
    if any(member.test for family in declared for member in family.members):
        blocks.append(_intervals_note())
    for headline in effects.headlines:
        told = "declared" if is_declared_grid else "exploratory"
        several = f" on {headline.scope}" if len(effects.headlines) > 1 else ""
        size = text.plural(headline.num_together, "contrast")
        over = f" over {len(effects.headlines)} environments" if len(effects.headlines) > 1 else ""
        blocks.append(Heading(f"Factors{several}: {told}, {size} corrected together{over}"))
        blocks += [effect_sentence(headline, effect, ledger) for effect in headline.result.effects]
    if not declared:
        blocks.append(
            note(
                "The experiment file declares no comparison: what follows is exploratory, found by looking, and "
                "asks to be tested on fresh seeds."
            )
            if summary.variants[1:]
            else note("There is one variant: nothing to compare it with.")
        )
    for family in exploratory:
        blocks += _exploratory(family, ledger, with_sentences=not declared)
    members = [member for family in families for member in family.members if member.test is not None]
    if members:
        blocks += [Figures(tuple(_pictures(summary, members))), _table(members, ledger)]
        blocks.append(_reading(members, is_own="source" not in summary.definition))
        blocks += _cut_note(summary, members)
    return Section("verdicts", "Verdicts", tuple(blocks))


def _cut_note(summary: Summary, members: Sequence[Pairwise]) -> list[Block]:
    """Where intervals of differences were cut, and where they are of runs that all agree."""
    cut = dict.fromkeys(m.env for m in members if m.difference is not None and m.difference.is_cut)
    says = [
        f"No two returns on {env} are further apart than {text.number(summary.reach(env))}: intervals were cut there."
        for env in cut
    ]
    if any(m.difference is not None and m.difference.method == ALL_EQUAL for m in members):
        says.append(
            "Where all seeds have the same difference, its interval is the exact one of what so few seeds could have missed."
        )
    return [note(" ".join(says))] if says else []


def _record(family: Family, ledger: Ledger) -> None:
    for m in family.members:
        key = pair_key(m)
        common = {
            "family": family.name or "exploratory",
            "claim": f"{m.x} is better than {m.y}",
            "n_shared": m.num_shared,
        }
        if m.test is None or m.welch is None or m.difference is None:
            ledger.add(key, **common, n_x=m.n_x, n_y=m.n_y, verdict=m.word)
            continue
        ledger.add(
            key,
            m.test,
            decided_by="the sequential plan" if m.planned else "the corrected p",
            num_diverged=m.num_diverged,
            num_failed=m.num_failed,
            **common,
            p_adjusted=m.p_adjusted,
            correction="Holm",
            tests_in_family=m.num_tests,
            verdict=m.word,
            low=m.difference.low,
            high=m.difference.high,
            is_cut=m.difference.is_cut,
            level=m.difference.level,
            interval_method=f"{'paired ' if m.is_paired else ''}{m.difference.method}",
            hodges_lehmann=m.shift,
            a12=m.superiority,
            welch_p=m.welch.p_value,
            correlation=m.correlation,
            detectable=m.detectable,
            could_reject=m.can_reject,
            smallest_p_corrected=min(1.0, m.test.smallest_p * m.num_tests),
            smallest_effect=m.smallest_effect,
            equivalence_p=m.equivalence.p_value if m.equivalence else None,
            equivalence_p_adjusted=m.equivalence_p_adjusted,
        )


def _intervals_note() -> Paragraph:
    return note(
        "Differences are of means, with the 95 % interval of each alone: it can leave out 0 where the p, corrected for all tests"
        " of the family, does not decide."
    )


def _exploratory(family: Family, ledger: Ledger, *, with_sentences: bool) -> list[Block]:
    if family.num_unlisted:
        return [
            note(
                f"{text.count(family.num_unlisted)} comparisons were not declared and are not tested: declare "
                "those that matter. The probabilities of improvement below describe all pairs."
            )
        ]
    if not with_sentences:
        return [
            note(
                f"The table also has {text.plural(len(family.members), 'comparison')} that nobody declared: "
                "exploratory, corrected among themselves."
            )
        ]
    tested = [member for member in family.members if member.test is not None]
    if len(tested) > 1 and not any(member.can_reject for member in tested):
        key = pair_key(max(tested, key=lambda member: min(member.n_x, member.n_y)))
        told = f"None of {text.plural(len(tested), 'comparison')} could be decided: whatever the results, the smallest possible"
        least: list[str | Part] = [f"{told} corrected p is ", ledger.show(key, "smallest_p_corrected", "p")]
        needed = f". It takes {seeds_that_could_reject(len(tested))} shared seeds, or fewer comparisons, declared."
        return [Paragraph(line([badge(INCONCLUSIVE), " ", badge("exploratory"), " ", *least, needed]), "verdict")]
    blocks: list[Block] = [
        pair_sentence(member, ledger, exploratory=True) for member in family.members[:_MAX_EXPLORATORY_SENTENCES]
    ]
    if len(family.members) > _MAX_EXPLORATORY_SENTENCES:
        blocks.append(note(f"{len(family.members) - _MAX_EXPLORATORY_SENTENCES} more are in the table."))
    return blocks


def _pictures(summary: Summary, members: Sequence[Pairwise]) -> list[Picture]:
    found = []
    for place, env in enumerate(summary.envs):
        own = [m for m in members if m.env == env]
        declared = [m for m in own if m.family]
        # Of many that nobody asked for, the table is enough: they would bury those that somebody did.
        is_cut = bool(declared) and len(own) - len(declared) > _MAX_EXPLORATORY_SENTENCES
        rows = [_row(summary, m) for m in (declared if is_cut else own)]
        if rows:
            margin = summary.declared("smallest_effect", env)
            told = "; ".join(f"{row.label} {text.signed(row.estimate, row.place)}, {row.note}" for row in rows)
            drawing = draw_forest(
                rows,
                xlabel="difference of mean final return",
                name=f"verdict{place}",
                summary=f"Differences on {env}: {told}",
                margin=margin,
            )
            says = "Diamond: difference of means; bar: 95 % interval, for this comparison alone." + grey_band(margin)
            says += " The exploratory ones are in the table." if is_cut else ""
            found.append(captioned(drawing, f"differences-{place}", f"Differences on {env}", says))
    return found


def _row(summary: Summary, m: Pairwise) -> Row:
    assert m.difference is not None
    return Row(
        f"{m.x} − {m.y}",
        m.word + ("" if m.family else ", exploratory"),
        m.difference.estimate,
        m.difference.low,
        m.difference.high,
        style=0 if m.family else 7,
        variants=(summary.variants.index(m.x), summary.variants.index(m.y)),
    )


def _table(members: Sequence[Pairwise], ledger: Ledger) -> Block:
    rows: dict[str, list[list[Content]]] = {}
    several = len({m.env for m in members}) > 1
    for m in members:
        where = [m.env] if several else []
        runs = f"{m.n_x} paired" if m.is_paired else f"{m.n_x} + {m.n_y}"
        cells: list[Content] = [f"{m.x} − {m.y}", *where, badge(m.word, TONES[m.word]), runs]
        own = rows.setdefault(m.family or "exploratory", [])
        own.append([*cells, *ledger.cells(pair_key(m), _COLUMNS.values())])
    titles = ["Comparison", *(["Environment"] if several else []), "Verdict", "Runs", *_COLUMNS]
    return table("All comparisons", titles, rows, name="comparisons", texts=("Environment", "Verdict"))


def _reading(members: Sequence[Pairwise], *, is_own: bool) -> Paragraph:
    methods = dict.fromkeys(m.test.method for m in members if m.test)
    unpaired = sum(not m.is_paired and m.num_shared > 0 for m in members)
    says = [
        f"p: {' and '.join(methods)}, two-sided, on final returns (one number a run); corrected: Holm within the family, level {LEVEL:g}. ",
        "Supported: the first is better; opposite: the second is; equivalent: the difference is shown "
        "to be smaller than what was declared to matter. ",
        "The smallest effect is what these seeds find four times out of five. A12: how often a run of the first beats one of the second. ",
    ]
    if any(m.num_diverged for m in members):
        says.append(
            "A diverged run counts with the return of random play, by the fixed table: leaving it out would favour "
            "the variant that diverges. "
        )
    if any(m.num_failed for m in members):
        says.append("A failed run is in no mean: see the next section. ")
    if unpaired:
        says.append(f"{text.plural(unpaired, 'comparison')} shares too few seeds to pair them. ")
    if any(m.is_paired and math.isfinite(m.correlation or 0.0) for m in members):
        says.append(
            "Paired: the same seeds on both sides, which share initial weights, resets and exploration draws."
            if is_own
            else "Paired: runs of one seed number on both sides; whether they share anything is not known of these results."
        )
    return note(says)

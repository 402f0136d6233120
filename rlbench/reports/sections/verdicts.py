"""Verdicts in sentences: each declared comparison with one of four words, then the factors, then what is exploratory."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rlbench import text
from rlbench.reports.comparisons import (
    EQUIVALENT,
    INCONCLUSIVE,
    LEVEL,
    SUPPORTED,
    Family,
    Pairwise,
    seeds_that_could_reject,
)
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
    line,
    note,
    strong,
    table,
)
from rlbench.reports.effects import EffectsReport
from rlbench.reports.forests import Row, draw_forest
from rlbench.reports.ledger import Ledger
from rlbench.reports.sections.effect_sentences import TONES, effect_sentence
from rlbench.reports.summary import Summary
from rlbench.stats import ALL_EQUAL

_MAX_EXPLORATORY_SENTENCES = 6


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
        blocks += [_sentence(member, ledger) for member in family.members]
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


def key_of(member: Pairwise) -> str:
    """Where a comparison stands in stats.json."""
    return f"comparison/{member.family or 'exploratory'}/{member.env}/{member.x} against {member.y}"


def _record(family: Family, ledger: Ledger) -> None:
    for m in family.members:
        key = key_of(m)
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


def _sentence(m: Pairwise, ledger: Ledger, exploratory: bool = False) -> Paragraph:
    key = key_of(m)
    claim = f"{m.x} is better than {m.y}"
    claimed: str | Part = strong(claim) if m.word == SUPPORTED else claim
    head: list[str | Part] = [badge(m.word, TONES[m.word]), " "]
    if exploratory:
        head += [badge("exploratory"), " "]
    head += [claimed, f" on {m.env}: "]
    if m.planned is not None:
        seen = f"after {m.planned.plan.history[-1].n} seeds" if m.planned.plan.history else "before its first look"
        return Paragraph(line([*head, f"by the sequential plan, {seen}; see its looks."]), "verdict")
    if m.test is None:
        return Paragraph(
            line([*head, f"not tested, with {m.n_x} and {m.n_y} done runs; a test needs 2 a side."]), "verdict"
        )
    body: list[str | Part] = [
        "difference ",
        ledger.show(key, "estimate", "signed", "text" if m.word == INCONCLUSIVE else "strong"),
        " ",
        *ledger.span(key, how="signed"),
        f" ({m.n_x} paired seeds), corrected p " if m.is_paired else f" ({m.n_x} + {m.n_y} runs), corrected p ",
        ledger.show(key, "p_adjusted", "p"),
    ]
    return Paragraph(line([*head, *body, *_tail(m, key, ledger), *_lost(m)]), "verdict")


def _lost(m: Pairwise) -> list[str | Part]:
    """The runs that did not finish well, and what is made of them."""
    told: list[str | Part] = []
    if m.num_unscored:
        told += [" ", badge(f"{m.num_unscored} diverged", "red"), " without a number to count them by: no verdict."]
    elif m.num_diverged:
        told += [" ", badge(f"{m.num_diverged} diverged", "red"), " counted as random play."]
    if m.num_failed:
        told += [" ", badge(f"{m.num_failed} failed", "red"), " not counted."]
    return told


def _intervals_note() -> Paragraph:
    return note(
        "Differences are of means, with the 95 % interval of each alone: it can leave out 0 where the p, corrected for all tests"
        " of the family, does not decide."
    )


def _tail(m: Pairwise, key: str, ledger: Ledger) -> list[str | Part]:
    """What the word needs beside it: what could have been shown, or how small the difference is."""
    if m.word == EQUIVALENT:
        return [" and inside ±", ledger.show(key, "smallest_effect"), ", the smallest effect of interest (p ",
                ledger.show(key, "equivalence_p_adjusted", "p"), ")."]  # fmt: skip
    if m.word != INCONCLUSIVE:
        inside = m.equivalence_p_adjusted is not None and m.equivalence_p_adjusted <= LEVEL
        if inside:
            return [", but inside ±", ledger.show(key, "smallest_effect"), ", the smallest effect of interest."]
        return ["."]
    if not m.can_reject:
        assert m.test is not None
        needed = seeds_that_could_reject(m.num_tests) if m.is_paired else None
        more: list[str | Part] = [f"; it takes {needed} shared seeds"] if needed else ["; it takes more runs a side"]
        return [f". No result of {m.n_x} runs a side could reject: the smallest possible corrected p is ",
                ledger.show(key, "smallest_p_corrected", "p"), *more, "."]  # fmt: skip
    return [" (smallest effect these seeds could show: ", ledger.show(key, "detectable"), ")."]


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
        key = key_of(max(tested, key=lambda member: min(member.n_x, member.n_y)))
        least: list[str | Part] = [badge(INCONCLUSIVE), " ", badge("exploratory"), " "]
        least += [
            f"None of {text.plural(len(tested), 'comparison')} could be decided: whatever the results, the smallest possible "
        ]
        least += ["corrected p is ", ledger.show(key, "smallest_p_corrected", "p")]
        needed = seeds_that_could_reject(len(tested))
        return [
            Paragraph(line([*least, f". It takes {needed} shared seeds, or fewer comparisons, declared."]), "verdict")
        ]
    blocks: list[Block] = [
        _sentence(member, ledger, exploratory=True) for member in family.members[:_MAX_EXPLORATORY_SENTENCES]
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
        own = declared if is_cut else own
        if not own:
            continue
        rows = [
            Row(
                f"{m.x} − {m.y}",
                m.word + ("" if m.family else ", exploratory"),
                m.difference.estimate,
                m.difference.low,
                m.difference.high,
                style=0 if m.family else 7,
                variants=(summary.variants.index(m.x), summary.variants.index(m.y)),
            )
            for m in own
            if m.difference is not None
        ]
        margin = summary.declared("smallest_effect", env)
        told = "; ".join(f"{row.label} {text.signed(row.estimate, row.place)}, {row.note}" for row in rows)
        drawing = draw_forest(
            rows,
            xlabel="difference of mean final return",
            name=f"verdict{place}",
            summary=f"Differences on {env}: {told}",
            margin=margin,
        )
        caption: list[str | Part] = [
            strong(f"Differences on {env}. "),
            "Diamond: difference of means; bar: 95 % interval, for this comparison alone.",
        ]
        if margin is not None:
            caption.append(" Grey: too small to matter, as declared.")
        if is_cut:
            caption.append(" The exploratory ones are in the table.")
        found.append(Picture(drawing, f"differences-{place}", line(caption)))
    return found


def _table(members: Sequence[Pairwise], ledger: Ledger) -> Block:
    rows: dict[str, list[list[Content]]] = {}
    several = len({m.env for m in members}) > 1
    for m in members:
        key = key_of(m)
        cells: list[Content] = [
            f"{m.x} − {m.y}",
            *([m.env] if several else []),
            badge(m.word, TONES[m.word]),
            f"{m.n_x} paired" if m.is_paired else f"{m.n_x} + {m.n_y}",
            ledger.show(key, "estimate", "signed"),
            ledger.span(key, how="signed"),
            ledger.show(key, "hodges_lehmann", "signed"),
            ledger.show(key, "a12", "share"),
            ledger.show(key, "p_value", "p"),
            ledger.show(key, "p_adjusted", "p"),
            ledger.show(key, "welch_p", "p"),
        ]
        rows.setdefault(m.family or "exploratory", []).append(cells)
    titles = ["Comparison", *(["Environment"] if several else []), "Verdict", "Runs", "Difference", "95 % interval"]
    titles += ["Hodges-Lehmann", "A12", "p", "p corrected", "Welch p"]
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

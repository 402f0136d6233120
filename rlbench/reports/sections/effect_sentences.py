"""An effect of the grid in words: its key, its claim, and the sentence with its verdict."""

from __future__ import annotations

from rlbench.reports.comparisons import EQUIVALENT, INCONCLUSIVE, OPPOSITE, SUPPORTED, UNDECIDED
from rlbench.reports.document import Paragraph, Part, badge, line, strong
from rlbench.reports.effects import Effects
from rlbench.reports.ledger import Ledger
from rlbench.stats import Effect

TONES = {SUPPORTED: "green", OPPOSITE: "red", EQUIVALENT: "amber", INCONCLUSIVE: "", UNDECIDED: "amber"}


def effect_key(analysis: Effects, effect: Effect) -> str:
    """Where an effect stands in stats.json."""
    return f"effect/{analysis.scope}/{effect.name}"


def effect_claim(analysis: Effects, effect: Effect) -> str:
    """What a positive effect means, in words."""
    names = effect.name.split(":")
    levels = analysis.result.levels
    low, high = levels[names[0]]
    if len(names) == 1:
        return f"{names[0]}: {high} is better than {low}"
    others = " and ".join(f"{name} {levels[name][1]}" for name in names[1:])
    instead = " and ".join(str(levels[name][0]) for name in names[1:])
    more = "" if len(names) == 2 else ", as an interaction of all"
    return f"{' x '.join(names)}: {high} gains more over {low} with {others} than with {instead}{more}"


def effect_sentence(analysis: Effects, effect: Effect, ledger: Ledger) -> Paragraph:
    """One contrast as a sentence with its verdict."""
    key, word = effect_key(analysis, effect), analysis.word(effect)
    where = f" over {len(analysis.envs)} environments" if analysis.scope == "all" else f" on {analysis.scope}"
    claim = effect_claim(analysis, effect)
    parts: list[str | Part] = [
        badge(word, TONES[word]),
        " ",
        strong(claim) if word == SUPPORTED else claim,
        f"{where}: effect ",
    ]
    parts += [
        ledger.show(key, "estimate", "signed", "text" if word == INCONCLUSIVE else "strong"),
        " ",
        *ledger.span(key, "paired_low", "paired_high", "signed"),
    ]
    parts += [f" ({analysis.unit}), corrected p ", ledger.show(key, "p_adjusted", "p")]
    margin = ledger.show(key, "smallest_effect")
    if word == EQUIVALENT:
        parts += [" and inside ±", margin, ", the smallest effect of interest (p "]
        parts += [ledger.show(key, "equivalence_p_adjusted", "p"), ")."]
    elif word != INCONCLUSIVE and analysis.is_inside(effect):
        parts += [", but inside ±", margin, ", the smallest effect of interest."]
    elif word != INCONCLUSIVE:
        parts.append(".")
    elif not analysis.can_reject:
        parts += [
            ". No result of these seeds could reject: the smallest possible p is ",
            ledger.show(key, "smallest_p", "p"),
            ".",
        ]
    else:
        parts += [" (smallest effect these seeds could show: ", ledger.show(key, "detectable"), ")."]
    return Paragraph(line(parts), "verdict")

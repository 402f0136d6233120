"""A comparison, or an effect of the grid, in words: its key, its claim, and the sentence with its verdict."""

from __future__ import annotations

from rlbench.reports.comparisons import (
    EQUIVALENT,
    INCONCLUSIVE,
    LEVEL,
    OPPOSITE,
    SUPPORTED,
    UNDECIDED,
    Pairwise,
    seeds_that_could_reject,
)
from rlbench.reports.document import Paragraph, Part, badge, line, strong
from rlbench.reports.effects import Effects
from rlbench.reports.ledger import Ledger
from rlbench.stats import Effect

TONES = {SUPPORTED: "green", OPPOSITE: "red", EQUIVALENT: "amber", INCONCLUSIVE: "", UNDECIDED: "amber"}


def grey_band(margin: float | None) -> str:
    """What a caption says of the band of differences that were declared too small to matter."""
    return "" if margin is None else " Grey: too small to matter, as declared."


def pair_key(member: Pairwise) -> str:
    """Where a comparison stands in stats.json."""
    return f"comparison/{member.family or 'exploratory'}/{member.env}/{member.x} against {member.y}"


def pair_sentence(m: Pairwise, ledger: Ledger, *, exploratory: bool = False) -> Paragraph:
    """One comparison as a sentence with its verdict."""
    key = pair_key(m)
    head = _begun(m.word, f"{m.x} is better than {m.y}", exploratory=exploratory)
    head.append(f" on {m.env}: ")
    if m.planned is not None:
        seen = f"after {m.planned.plan.history[-1].n} seeds" if m.planned.plan.history else "before its first look"
        return Paragraph(line([*head, f"by the sequential plan, {seen}; see its looks."]), "verdict")
    if m.test is None:
        told = f"not tested, with {m.n_x} and {m.n_y} done runs; a test needs 2 a side."
        return Paragraph(line([*head, told]), "verdict")
    runs = f"{m.n_x} paired seeds" if m.is_paired else f"{m.n_x} + {m.n_y} runs"
    body: list[str | Part] = [
        "difference ",
        ledger.show(key, "estimate", "signed", "text" if m.word == INCONCLUSIVE else "strong"),
        " ",
        *ledger.span(key, how="signed"),
        f" ({runs}), corrected p ",
        ledger.show(key, "p_adjusted", "p"),
    ]
    is_inside = m.equivalence_p_adjusted is not None and m.equivalence_p_adjusted <= LEVEL
    cannot = None if m.can_reject else _cannot_reject(m, key, ledger)
    return Paragraph(line([*head, *body, *_ended(m.word, key, ledger, is_inside, cannot), *_lost(m)]), "verdict")


def _cannot_reject(m: Pairwise, key: str, ledger: Ledger) -> list[str | Part]:
    told = f". No result of {m.n_x} runs a side could reject: the smallest possible corrected p is "
    needed = f"{seeds_that_could_reject(m.num_tests)} shared seeds" if m.is_paired else "more runs a side"
    return [told, ledger.show(key, "smallest_p_corrected", "p"), f"; it takes {needed}."]


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
    parts = [
        *_begun(word, effect_claim(analysis, effect)),
        f"{where}: effect ",
        ledger.show(key, "estimate", "signed", "text" if word == INCONCLUSIVE else "strong"),
        " ",
        *ledger.span(key, "paired_low", "paired_high", "signed"),
        f" ({analysis.unit}), corrected p ",
        ledger.show(key, "p_adjusted", "p"),
    ]
    least = ledger.show(key, "smallest_p", "p")
    cannot: list[str | Part] = [". No result of these seeds could reject: the smallest possible p is ", least, "."]
    ended = _ended(word, key, ledger, analysis.is_inside(effect), None if analysis.can_reject else cannot)
    return Paragraph(line([*parts, *ended]), "verdict")


def _begun(word: str, claim: str, *, exploratory: bool = False) -> list[str | Part]:
    """The verdict, and the claim that it is on."""
    begun: list[str | Part] = [badge(word, TONES[word]), " "]
    begun += [badge("exploratory"), " "] if exploratory else []
    return [*begun, strong(claim) if word == SUPPORTED else claim]


def _ended(word: str, key: str, ledger: Ledger, is_inside: bool, cannot: list[str | Part] | None) -> list[str | Part]:
    """What the word needs beside it: how small the difference is, or what could have been shown; `cannot`: that nothing could."""
    margin: list[str | Part] = [ledger.show(key, "smallest_effect"), ", the smallest effect of interest"]
    if word == EQUIVALENT:
        return [" and inside ±", *margin, " (p ", ledger.show(key, "equivalence_p_adjusted", "p"), ")."]
    if word != INCONCLUSIVE:
        return [", but inside ±", *margin, "."] if is_inside else ["."]
    return cannot or [" (smallest effect these seeds could show: ", ledger.show(key, "detectable"), ")."]

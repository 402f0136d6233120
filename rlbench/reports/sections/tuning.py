"""How a winner was tuned and what of it lasted: confirmation, optimism gap, history, importance, parallel lines, slices.

In: the record of a study. Out: a section, its numbers recorded. Never: computes a statistic; tuning has, and the record holds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlbench import text
from rlbench.reports.document import (
    Block,
    Content,
    Figures,
    Heading,
    Picture,
    Section,
    badge,
    captioned,
    line,
    note,
    paragraph,
    strong,
    table,
)
from rlbench.reports.ledger import Ledger, Shown
from rlbench.reports.study_figures import draw_history, draw_parallel, draw_slice

_STATES = {"complete": "completed", "pruned": "pruned", "fail": "failed"}
_SCORES = {
    "Tuning score": Shown("tuning_score"),
    "Fresh score": Shown("fresh_score"),
    "Optimism gap": Shown("optimism_gap", "signed", "strong"),
    "Fresh mean": Shown("fresh_mean"),
}
_AGAINST_DEFAULT = {
    "Minus the default": Shown("difference", "signed"),
    "95 % interval": Shown("low", "signed", high="high"),
    "p (Holm)": Shown("adjusted_p", "p"),
}
_RUNS = {"Seeds": Shown("n", "count"), "Lost runs": Shown("lost", "count")}
_IMPORTANCE = {
    "Share": Shown(how="share"),
    "Spread over repeats": Shown("sd", "share"),
    "Repeats": Shown("repeats", "count"),
}


def tuning_section(record: Mapping[str, Any], ledger: Ledger) -> Section:
    """The whole section; studies in the order of the variants."""
    blocks: list[Block] = []
    for study in record["studies"]:
        blocks += [Heading(study["study"]), _search(study)]
        if study["confirmation"] is not None:
            blocks += _confirmation(record, study, ledger)
    blocks += _between(record)
    lines = [_parallel(study, place) for place, study in enumerate(record["studies"])]
    blocks.append(Figures((history_picture(record, "study-history"), *lines)))
    for place, study in enumerate(record["studies"]):
        blocks += [Heading(f"What mattered in {study['study']}"), *_importances(study, ledger), _slices(study, place)]
    return Section("tuning", "How it was tuned, and what of it lasted", tuple(blocks))


def history_picture(record: Mapping[str, Any], stem: str) -> Picture:
    """Score against number of trials, of all studies of the record; `stem` is the file's and the prefix of ids."""
    return captioned(
        draw_history(record["studies"], name=stem),
        stem,
        "Score against number of trials",
        "A dot is a completed trial, a cross a pruned one where it was stopped;"
        " the line is the best so far, which is optimistic, as the best of many always is.",
    )


def _parallel(study: Mapping[str, Any], place: int) -> Picture:
    narrow, wide = (draw_parallel(study, name=f"parallel{place}", is_wide=is_wide) for is_wide in (False, True))
    says = f"{study['study']}: completed trials as lines through all parameters, darker the better."
    return Picture(narrow, f"study-parallel-{place}", line(says), wide)


def _search(study: Mapping[str, Any]) -> Block:
    """What was done."""
    definition, states = study["definition"], [trial["state"] for trial in study["trials"]]
    counted = ", ".join(f"{states.count(state)} {told}" for state, told in _STATES.items())
    distinct = sum(trial.get("twin_of") is None for trial in study["trials"])
    return paragraph(
        f"{text.plural(len(states), 'trial')} of {study['variant']} on {text.plural(len(definition['seeds']), 'tuning seed')}:"
        f" {counted}; {text.plural(distinct, 'distinct configuration')}."
        f" Maximised: {study['objective']}. Sampler {definition['sampler']['kind']}, pruner"
        f" {definition['pruner']['kind']}."
    )


def _confirmation(record: Mapping[str, Any], study: Mapping[str, Any], ledger: Ledger) -> list[Block]:
    """What of it lasted on fresh seeds."""
    found = study["confirmation"]
    rows = [_default(study, ledger), *(_candidate(study, one, ledger) for one in found["candidates"])]
    return [
        _winner(record, study),
        table(
            f"Confirmation of {study['study']}",
            ["Configuration", *_SCORES, *_AGAINST_DEFAULT, *_RUNS, "Verdict"],
            rows,
            name=f"confirmation-{text.file_stem(study['study'])}",
            texts=["Verdict"],
        ),
        note(
            "Optimism gap: what tuning saw less what fresh seeds give, by the same statistic over seeds. Sign-flip tests of the"
            " difference of the means on shared fresh seeds, corrected by Holm over the candidates. The winner has the highest fresh"
            " score of the supported candidates, or of all where none is supported, so its own fresh score is slightly flattered"
            " too. A lost run diverged, which counts as random play where that is known, or failed."
        ),
    ]


def _winner(record: Mapping[str, Any], study: Mapping[str, Any]) -> Block:
    found = study["confirmation"]
    says: list[Any] = [
        strong(found["verdict"].capitalize()),
        f": {found['winner'] or 'no candidate finished all its seeds'}",
    ]
    if found["winner"]:
        says.append(f" against the untuned {study['variant']} on {text.plural(record['seeds'], 'fresh seed')}")
    if all((one["against_default"] or {}).get("verdict") != "supported" for one in found["candidates"]):
        says.append("; no tuned configuration is shown to be better than the default")
    return paragraph([*says, "."])


def _default(study: Mapping[str, Any], ledger: Ledger) -> list[Content]:
    found = study["confirmation"]
    key = ledger.add(
        f"tuning/{study['study']}/default",
        estimate=found["default_score"],
        **{name: found.get(f"default_{name}") for name in ("mean", "n", "lost")},
    )
    scores: list[Content] = [text.NOTHING, ledger.show(key), text.NOTHING, ledger.show(key, "mean")]
    uncompared = [""] * len(_AGAINST_DEFAULT)
    return [f"{study['variant']}, untuned", *scores, *uncompared, *ledger.cells(key, _RUNS.values()), ""]


def _candidate(study: Mapping[str, Any], one: Mapping[str, Any], ledger: Ledger) -> list[Content]:
    compared = one["against_default"] or {}
    key = ledger.add(
        f"tuning/{study['study']}/{one['label']}",
        **{name: one[name] for name in ("tuning_score", "fresh_score", "optimism_gap")},
        **{name: one.get(name) for name in ("fresh_mean", "n", "lost")},
        **{name: compared.get(name) for name in ("difference", "low", "high", "p_value", "adjusted_p")},
    )
    is_winner = one["label"] == study["confirmation"]["winner"]
    name: Content = [one["label"], " ", badge("winner", "green")] if is_winner else one["label"]
    scores, runs = ledger.cells(key, _SCORES.values()), ledger.cells(key, _RUNS.values())
    if not compared:
        return [name, *scores, *[""] * len(_AGAINST_DEFAULT), *runs, "runs of it diverged or failed"]
    return [name, *scores, *ledger.cells(key, _AGAINST_DEFAULT.values()), *runs, compared["verdict"]]


def _between(record: Mapping[str, Any]) -> list[Block]:
    """Better, or only better tuned."""
    if not record["between_variants"]:
        return []
    return [
        Heading("Better, or only better tuned?"),
        paragraph(
            "The variants had equal budgets of trials, seeds and steps. On fresh seeds, Holm over these comparisons:"
        ),
        *(paragraph(one["words"]) for one in record["between_variants"]),
    ]


def _importances(study: Mapping[str, Any], ledger: Ledger) -> list[Block]:
    """With their spread over repeats."""
    rows: list[list[Content]] = []
    for one in study["importances"]:
        key = f"importance/{study['study']}/{one['evaluator']}/{one['parameter']}"
        ledger.add(key, estimate=one["mean"], sd=one["sd"], repeats=one["repeats"])
        rows.append([one["evaluator"], one["parameter"], *ledger.cells(key, _IMPORTANCE.values())])
    if not rows:
        return [note("Too few completed trials for importances.")]
    return [
        table(
            f"Importance in {study['study']}",
            ["Evaluator", "Parameter", *_IMPORTANCE],
            rows,
            name=f"importance-{text.file_stem(study['study'])}",
            texts=["Parameter"],
        ),
        note(
            "Shares of the total over completed trials. A repeat draws the trials anew with replacement; parameters closer than"
            " a few spreads are not told apart. fANOVA leaves out parameters under a condition."
        ),
    ]


def _slices(study: Mapping[str, Any], place: int) -> Block:
    """A picture for each parameter."""
    pictures = []
    for number, parameter in enumerate(study["definition"]["space"]):
        drawing = draw_slice(study, parameter["key"], name=f"slice{place}-{number}")
        stem = f"study-slice-{place}-{text.file_stem(parameter['key'])}"
        pictures.append(Picture(drawing, stem, line(parameter["key"])))
    return Figures(tuple(pictures))

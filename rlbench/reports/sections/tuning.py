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
    Line,
    Picture,
    Section,
    badge,
    line,
    note,
    paragraph,
    strong,
    table,
)
from rlbench.reports.ledger import Ledger
from rlbench.reports.study_figures import draw_history, draw_parallel, draw_slice

_STATES = {"complete": "completed", "pruned": "pruned", "fail": "failed"}


def tuning_section(record: Mapping[str, Any], ledger: Ledger) -> Section:
    """The whole section; studies in the order of the variants."""
    blocks: list[Block] = []
    for study in record["studies"]:
        blocks += _told(record, study, ledger)
    blocks += _between(record)
    history = history_picture(record, "study-history")
    lines = [
        Picture(
            draw_parallel(study, name=f"parallel{place}"),
            f"study-parallel-{place}",
            _parallel_caption(study),
            draw_parallel(study, name=f"parallel{place}", is_wide=True),
        )
        for place, study in enumerate(record["studies"])
    ]
    blocks.append(Figures((history, *lines)))
    for place, study in enumerate(record["studies"]):
        blocks += _mattered(study, place, ledger)
    return Section("tuning", "How it was tuned, and what of it lasted", tuple(blocks))


def history_picture(record: Mapping[str, Any], stem: str) -> Picture:
    """Score against number of trials, of all studies of the record; `stem` is the file's and the prefix of ids."""
    caption: Content = [
        strong("Score against number of trials. "),
        "A dot is a completed trial, a cross a pruned one where it was stopped;"
        " the line is the best so far, which is optimistic, as the best of many always is.",
    ]
    return Picture(draw_history(record["studies"], name=stem), stem, line(caption))


def _parallel_caption(study: Mapping[str, Any]) -> Line:
    return line(f"{study['study']}: completed trials as lines through all parameters, darker the better.")


def _told(record: Mapping[str, Any], study: Mapping[str, Any], ledger: Ledger) -> list[Block]:
    """What was done, and the confirmation."""
    definition, states = study["definition"], [trial["state"] for trial in study["trials"]]
    counted = ", ".join(f"{states.count(state)} {told}" for state, told in _STATES.items())
    distinct = sum(trial.get("twin_of") is None for trial in study["trials"])
    blocks: list[Block] = [
        Heading(study["study"]),
        paragraph(
            f"{text.plural(len(states), 'trial')} of {study['variant']} on {text.plural(len(definition['seeds']), 'tuning seed')}:"
            f" {counted}; {text.plural(distinct, 'distinct configuration')}."
            f" Maximised: {study['objective']}. Sampler {definition['sampler']['kind']}, pruner"
            f" {definition['pruner']['kind']}."
        ),
    ]
    found = study["confirmation"]
    if found is None:
        return blocks
    winner = found["winner"] or "no candidate finished all its seeds"
    says: list[Any] = [strong(found["verdict"].capitalize()), f": {winner}"]
    if found["winner"]:
        says.append(f" against the untuned {study['variant']} on {text.plural(record['seeds'], 'fresh seed')}")
    verdicts = [(one["against_default"] or {}).get("verdict") for one in found["candidates"]]
    if "supported" not in verdicts:
        says.append("; no tuned configuration is shown to be better than the default")
    blocks.append(paragraph([*says, "."]))
    default = ledger.add(
        f"tuning/{study['study']}/default",
        estimate=found["default_score"],
        **{name: found.get(f"default_{name}") for name in ("mean", "n", "lost")},
    )
    rows: list[list[Content]] = [
        [
            f"{study['variant']}, untuned",
            text.NOTHING,
            ledger.show(default),
            text.NOTHING,
            ledger.show(default, "mean"),
            "",
            "",
            "",
            ledger.show(default, "n", "count"),
            ledger.show(default, "lost", "count"),
            "",
        ]
    ]
    for one in found["candidates"]:
        rows.append(_candidate(study, one, found["winner"], ledger))
    titles = [
        "Configuration",
        "Tuning score",
        "Fresh score",
        "Optimism gap",
        "Fresh mean",
        "Minus the default",
        "95 % interval",
        "p (Holm)",
        "Seeds",
        "Lost runs",
    ]
    blocks += [
        table(
            f"Confirmation of {study['study']}",
            [*titles, "Verdict"],
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
    return blocks


def _candidate(study: Mapping[str, Any], one: Mapping[str, Any], winner: str | None, ledger: Ledger) -> list[Content]:
    compared = one["against_default"] or {}
    key = ledger.add(
        f"tuning/{study['study']}/{one['label']}",
        **{name: one[name] for name in ("tuning_score", "fresh_score", "optimism_gap")},
        **{name: one.get(name) for name in ("fresh_mean", "n", "lost")},
        **{name: compared.get(name) for name in ("difference", "low", "high", "p_value", "adjusted_p")},
    )
    name: Content = [one["label"], " ", badge("winner", "green")] if one["label"] == winner else one["label"]
    scores: list[Content] = [
        ledger.show(key, "tuning_score"),
        ledger.show(key, "fresh_score"),
        ledger.show(key, "optimism_gap", "signed", "strong"),
        ledger.show(key, "fresh_mean"),
    ]
    seeds: list[Content] = [ledger.show(key, "n", "count"), ledger.show(key, "lost", "count")]
    if not compared:
        return [name, *scores, "", "", "", *seeds, "runs of it diverged or failed"]
    return [
        name,
        *scores,
        ledger.show(key, "difference", "signed"),
        ledger.span(key, how="signed"),
        ledger.show(key, "adjusted_p", "p"),
        *seeds,
        compared["verdict"],
    ]


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


def _mattered(study: Mapping[str, Any], place: int, ledger: Ledger) -> list[Block]:
    """Importances with their spread, and a slice for each parameter."""
    blocks: list[Block] = [Heading(f"What mattered in {study['study']}")]
    rows: list[list[Content]] = []
    for one in study["importances"]:
        key = f"importance/{study['study']}/{one['evaluator']}/{one['parameter']}"
        ledger.add(key, estimate=one["mean"], sd=one["sd"], repeats=one["repeats"])
        rows.append(
            [
                one["evaluator"],
                one["parameter"],
                ledger.show(key, how="share"),
                ledger.show(key, "sd", "share"),
                ledger.show(key, "repeats", "count"),
            ]
        )
    if rows:
        blocks += [
            table(
                f"Importance in {study['study']}",
                ["Evaluator", "Parameter", "Share", "Spread over repeats", "Repeats"],
                rows,
                name=f"importance-{text.file_stem(study['study'])}",
                texts=["Parameter"],
            ),
            note(
                "Shares of the total over completed trials. A repeat draws the trials anew with replacement; parameters closer than"
                " a few spreads are not told apart. fANOVA leaves out parameters under a condition."
            ),
        ]
    else:
        blocks.append(note("Too few completed trials for importances."))
    keys = [parameter["key"] for parameter in study["definition"]["space"]]
    slices = [
        Picture(
            draw_slice(study, key, name=f"slice{place}-{index}"),
            f"study-slice-{place}-{text.file_stem(key)}",
            line(key),
        )
        for index, key in enumerate(keys)
    ]
    return [*blocks, Figures(tuple(slices))]

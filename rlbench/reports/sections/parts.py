"""The parts of an algorithm: what each adds alone and what the whole loses without it, side by side; its cost; and others' claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rlbench import text
from rlbench.reports.comparisons import OPPOSITE, SUPPORTED, Family, Pairwise
from rlbench.reports.document import (
    Block,
    Content,
    Figures,
    Heading,
    Part,
    Picture,
    Section,
    badge,
    line,
    note,
    strong,
    table,
)
from rlbench.reports.ledger import Ledger
from rlbench.reports.part_figure import Estimate, PartRow, draw_parts
from rlbench.reports.parts import (
    HOLDS,
    REVERSED,
    SAME,
    UNKNOWN,
    CheckedClaim,
    PartEffect,
    Parts,
    claims_of,
    parts_of,
    updates_a_run,
)
from rlbench.reports.sections.effect_sentences import TONES
from rlbench.reports.sections.scoreboard import MOST_BESIDE
from rlbench.reports.sections.verdicts import key_of
from rlbench.reports.summary import Summary, seconds_a_run

_CLAIMS = "What others claimed"
_CLAIM_TONES = {HOLDS: "green", REVERSED: "red", SAME: "amber", UNKNOWN: ""}


def parts_section(summary: Summary, families: Sequence[Family], ledger: Ledger) -> Section | None:
    """None where the experiment declares neither parts nor claims. The comparisons are in the ledger already."""
    parts, claims = parts_of(summary, families), claims_of(summary, families)
    if parts is None and not claims:
        return None
    blocks: list[Block] = []
    if parts is not None:
        for place, env in enumerate(summary.envs):
            blocks += [Heading(env)] if len(summary.envs) > 1 else []
            blocks += _environment(summary, parts, env, place, ledger)
        blocks.append(_words(summary, parts))
    if claims:
        blocks += [Heading(_CLAIMS)] if parts else []
        blocks += [_claims_table(summary, claims, ledger), _claims_words()]
    return Section("parts", "What each part does" if parts else _CLAIMS, tuple(blocks))


def part_pictures(summary: Summary, families: Sequence[Family]) -> tuple[Picture, ...]:
    """What stands beside the answer where the question is of parts: one for each of the first environments."""
    parts = parts_of(summary, families)
    if parts is None:
        return ()
    return tuple(_picture(summary, parts, env, place) for place, env in enumerate(summary.envs[:MOST_BESIDE]))


def _picture(summary: Summary, parts: Parts, env: str, place: int) -> Picture:
    """What each part adds and what the whole loses without it."""
    rows = [PartRow(one.part, _estimate(one.added), _estimate(one.left_out)) for one in parts.effects[env]]
    told = "; ".join(
        f"{row.part}: "
        + ", ".join(
            f"{text.signed(e.value)} {how}" for e, how in ((row.added, "added"), (row.left_out, "in the whole")) if e
        )
        for row in rows
    )
    margin = summary.declared("smallest_effect", env)
    drawing = draw_parts(
        rows,
        base=parts.base,
        whole=parts.whole,
        xlabel="difference of mean final return",
        name=f"parts{place}",
        summary=f"What each part makes on {env}: {told}",
        margin=margin,
    )
    caption: list[str | Part] = [
        strong(f"Parts on {env}. "),
        f"Left: {parts.base} with the part against without. Right: {parts.whole} against itself without the part. To the right of 0 the"
        " part helps. Filled: the direction is supported; bar: an interval so wide that all of its column hold together with 95 %.",
        " Grey: too small to matter, as declared." if margin is not None else "",
    ]
    return Picture(drawing, f"parts-{place}", line(caption))


def _estimate(member: Pairwise | None) -> Estimate | None:
    if member is None or member.together is None:
        return None
    one = member.together
    return Estimate(one.estimate, one.low, one.high, member.word in (SUPPORTED, OPPOSITE))


def _environment(summary: Summary, parts: Parts, env: str, place: int, ledger: Ledger) -> list[Block]:
    seconds, updates = seconds_a_run(summary, ("variant", "env")), updates_a_run(summary)
    costs = {
        variant: ledger.add(
            f"cost/{env}/{variant}",
            seconds=seconds.get((variant, env)),
            updates=updates.get((variant, env)),
            times=_ratio(seconds, variant, parts.base or parts.whole, env),
        )
        for variant in summary.variants
    }
    titles = [
        "Part",
        f"Added to {parts.base}",
        "95 % of all",
        "p",
        "",
        f"In {parts.whole}",
        "95 % of all",
        "p",
        "",
        "Seconds a run",
        f"Times {parts.base or parts.whole}'s",
    ]
    rows = []
    for one in parts.effects[env]:
        cost = costs.get(one.added.x) if one.added else None
        row: list[Content] = [one.part, *_cells(one.added, ledger), *_cells(one.left_out, ledger)]
        row += [ledger.show(cost, "seconds"), ledger.show(cost, "times", "factor")] if cost else [text.NOTHING] * 2
        rows.append(row)
    known = [variant for variant in summary.variants if (variant, env) in seconds]
    cost_rows: list[list[Content]] = [
        [
            v,
            ledger.show(costs[v], "seconds"),
            ledger.show(costs[v], "times", "factor"),
            ledger.show(costs[v], "updates", "count"),
        ]
        for v in known
    ]
    return [
        *([Figures((_picture(summary, parts, env, place),))] if place >= MOST_BESIDE else []),
        table(f"Parts, {env}", titles, rows, name=f"parts-{place}", texts=("",)),
        table(
            f"Cost, {env}",
            ["Variant", "Seconds a run", f"Times {parts.base or parts.whole}'s", "Updates a run"],
            cost_rows,
            name=f"cost-{place}",
        ),
    ]


def _cells(member: Pairwise | None, ledger: Ledger) -> list[Content]:
    if member is None or member.test is None:
        return [text.NOTHING] * 4
    one = member.together
    assert one is not None
    key = ledger.add(
        f"part/{member.family}/{member.env}/{member.x} against {member.y}", estimate=one.estimate, low=one.low, high=one.high,
        method=one.method, level=one.level, n=one.n, p_adjusted=member.p_adjusted,
    )  # fmt: skip
    return [
        ledger.show(key, how="signed"),
        ledger.span(key, how="signed"),
        ledger.show(key, "p_adjusted", "p"),
        badge(_effect_word(member), TONES[member.word]),
    ]


def _effect_word(member: Pairwise) -> str:
    return {SUPPORTED: "helps", OPPOSITE: "hurts"}.get(member.word, member.word)


def _ratio(seconds: Mapping[tuple[str, ...], float], variant: str, base: str, env: str) -> float | None:
    own, other = seconds.get((variant, env)), seconds.get((base, env))
    return own / other if own is not None and other else None


def _words(summary: Summary, parts: Parts) -> Block:
    sizes = [len(one) for one in (_asked(parts, "added"), _asked(parts, "left_out")) if one]
    families = " and ".join(f"{text.plural(size * len(summary.envs), 'comparison')}" for size in sizes)
    return note(
        f"p: corrected with Holm within each column over all environments ({families}). Helps: the difference is supported in the part's"
        " favour. A part may help alone and not in the whole, where others do its work. Seconds: of training, wherever the runs were"
        " trained; runs that were trained together share their time. 95 % of all: by Bonferroni over the"
        " column, so that with 95 % no interval of it misses its difference."
    )


def _asked(parts: Parts, how: str) -> list[PartEffect]:
    first = next(iter(parts.effects.values()), ())
    return [one for one in first if getattr(one, how) is not None]


def _claims_table(summary: Summary, claims: Sequence[CheckedClaim], ledger: Ledger) -> Block:
    several = len(summary.envs) > 1
    rows: list[list[Content]] = []
    for one in claims:
        key = key_of(one.member)
        row: list[Content] = [
            one.claim,
            one.source,
            *([one.member.env] if several else []),
            badge(one.word, _CLAIM_TONES[one.word]),
        ]
        tested = one.member.test is not None
        pair = f"{one.member.x} − {one.member.y}"
        row += [[pair, " ", ledger.show(key, how="signed")] if tested else pair]
        row += [
            ledger.span(key, how="signed") if tested else text.NOTHING,
            ledger.show(key, "p_adjusted", "p") if tested else text.NOTHING,
        ]
        rows.append(row)
    titles = ["Claim", "Of", *(["Environment"] if several else []), "With these seeds", "Difference", "95 %", "p"]
    return table(
        _CLAIMS,
        titles,
        rows,
        name="claims",
        texts=("Of", "Environment", "With these seeds", "Difference"),
    )


def _claims_words() -> Block:
    return note(
        "Holds here: the difference is supported in the claim's direction, on this environment, with these budgets and settings; opposite"
        " here: in the other one. No difference here: shown to be smaller than what was declared to matter. A claim that was made of other"
        " tasks is neither proved nor refuted by these."
    )

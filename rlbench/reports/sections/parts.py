"""The parts of an algorithm: what each adds alone and what the whole loses without it, side by side; its cost; and others' claims."""

from __future__ import annotations

from collections.abc import Sequence

from rlbench import text
from rlbench.reports.comparisons import OPPOSITE, SUPPORTED, Family, Pairwise
from rlbench.reports.document import (
    Block,
    Content,
    Figures,
    Heading,
    Picture,
    Section,
    badge,
    captioned,
    note,
    table,
)
from rlbench.reports.ledger import Ledger, Shown
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
from rlbench.reports.sections.scoreboard import MOST_BESIDE
from rlbench.reports.sections.sentences import TONES, grey_band, pair_key
from rlbench.reports.summary import Summary, seconds_a_run

_DIFFERENCE = (Shown(how="signed"), Shown("low", "signed", high="high"), Shown("p_adjusted", "p"))
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
    says = (
        f"Left: {parts.base} with the part against without. Right: {parts.whole} against itself without the part. To the right of 0 the"
        " part helps. Filled: the direction is supported; bar: an interval so wide that all of its column hold together with 95 %."
    )
    return captioned(drawing, f"parts-{place}", f"Parts on {env}", says, grey_band(margin))


def _estimate(member: Pairwise | None) -> Estimate | None:
    if member is None or member.together is None:
        return None
    one = member.together
    return Estimate(one.estimate, one.low, one.high, member.word in (SUPPORTED, OPPOSITE))


def _costs(summary: Summary, parts: Parts, env: str, ledger: Ledger) -> dict[str, str]:
    """Variant -> the key of what a run of it takes; of those without a done run too, whose numbers are not known."""
    seconds, updates = seconds_a_run(summary, ("variant", "env")), updates_a_run(summary)
    base, keys = seconds.get((parts.base or parts.whole, env)), {}
    for variant in summary.variants:
        own = seconds.get((variant, env))
        times = own / base if own is not None and base else None
        keys[variant] = ledger.add(
            f"cost/{env}/{variant}", seconds=own, updates=updates.get((variant, env)), times=times
        )
    return keys


def _environment(summary: Summary, parts: Parts, env: str, place: int, ledger: Ledger) -> list[Block]:
    costs = _costs(summary, parts, env, ledger)
    columns = {"Seconds a run": Shown("seconds"), f"Times {parts.base or parts.whole}'s": Shown("times", "factor")}
    rows = []
    for one in parts.effects[env]:
        key = costs.get(one.added.x) if one.added else None
        cost = ledger.cells(key, columns.values()) if key else [text.NOTHING] * len(columns)
        rows.append([one.part, *_cells(one.added, ledger), *_cells(one.left_out, ledger), *cost])
    tested = ["95 % of all", "p", ""]
    titles = ["Part", f"Added to {parts.base}", *tested, f"In {parts.whole}", *tested, *columns]
    cost_columns = columns | {"Updates a run": Shown("updates", "count")}
    known = {variant: key for variant, key in costs.items() if ledger.records[key]["seconds"] is not None}
    cost_rows = [[variant, *ledger.cells(key, cost_columns.values())] for variant, key in known.items()]
    return [
        *([Figures((_picture(summary, parts, env, place),))] if place >= MOST_BESIDE else []),
        table(f"Parts, {env}", titles, rows, name=f"parts-{place}", texts=("",)),
        table(f"Cost, {env}", ["Variant", *cost_columns], cost_rows, name=f"cost-{place}"),
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
    return [*ledger.cells(key, _DIFFERENCE), badge(_effect_word(member), TONES[member.word])]


def _effect_word(member: Pairwise) -> str:
    return {SUPPORTED: "helps", OPPOSITE: "hurts"}.get(member.word, member.word)


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
        key = pair_key(one.member)
        pair = f"{one.member.x} − {one.member.y}"
        tested: list[Content] = [pair, text.NOTHING, text.NOTHING]
        if one.member.test is not None:
            tested = [[pair, " ", ledger.show(key, how="signed")], *ledger.cells(key, _DIFFERENCE[1:])]
        where = [one.member.env] if several else []
        rows.append([one.claim, one.source, *where, badge(one.word, _CLAIM_TONES[one.word]), *tested])
    titles = ["Claim", "Of", *(["Environment"] if several else []), "With these seeds", "Difference", "95 %", "p"]
    texts = ("Of", "Environment", "With these seeds", "Difference")
    return table(_CLAIMS, titles, rows, name="claims", texts=texts)


def _claims_words() -> Block:
    return note(
        "Holds here: the difference is supported in the claim's direction, on this environment, with these budgets and settings; opposite"
        " here: in the other one. No difference here: shown to be smaller than what was declared to matter. A claim that was made of other"
        " tasks is neither proved nor refuted by these."
    )

"""What was read of other people's results, and what was left aside, before any number that rests on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlbench import text
from rlbench.reports.document import Block, Content, Paragraph, Section, badge, line, note, paragraph, table
from rlbench.reports.sections.design import name_of
from rlbench.reports.summary import Summary


def reading_section(summary: Summary, reading: Mapping[str, Any]) -> Section:
    """The runs by variant and environment with the files that they are from, and every finding of the reader."""
    blocks: list[Block] = [
        Paragraph(line([badge(word, "red"), f" {said}."]))
        for key, word in (("untestable", "no test"), ("identical", "identical"))
        for said in reading[key]
    ]
    rows: list[list[Content]] = [
        [
            name_of(summary, cell["variant"]),
            cell["env"],
            text.count(cell["num_runs"]),
            cell["seeds"],
            text.count(cell["num_returns"]),
            cell["origin"],
        ]
        for cell in reading["cells"]
    ]
    titles = ["Variant", "Environment", "Runs", "Called", "Returns", "From"]
    blocks.append(table("What was read", titles, rows, name="reading", texts=("Environment", "Called", "From")))
    findings = reading["findings"]
    wrong = [one for one in findings if not one["is_note"]]
    blocks += [paragraph([badge(one["kind"], "amber"), " ", one["text"], "."]) for one in wrong]
    blocks += [note(f"{one['text']}.") for one in findings if one["is_note"]]
    blocks.append(note("Nothing was left aside." if not findings else "What no line here names was read whole."))
    return Section("reading", "What was read", tuple(blocks))

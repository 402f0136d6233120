"""The digest of all runs of an experiment as one, and the digests that the project publishes of its own experiments.

In goes a table of finished runs; out comes a sentence. A run's digest is a function of its specification and of the engine's version, so
everybody who runs a published experiment with that version gets the published digest.
"""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# By the digest of the run ids, which changes with any setting: the version of the engine, and the digest of the runs' digests.
PUBLISHED: dict[str, tuple[str, str]] = {
    "50b1b705fbf9185b": ("rlbench-engine-2", "02184ecc838af77a"),  # quickstart
    "de16c1fec05f0ce8": ("rlbench-engine-2", "50039ec2f0856e87"),  # rainbow_parts
    "66d747f2cb03f81f": ("rlbench-engine-2", "f2aafa69571be002"),  # cleanrl_c51
    "23a88fbe533d602d": ("rlbench-engine-2", "1180c01eac701077"),  # revisiting_rainbow
}


def digest_of(words: "pd.Series") -> str:
    """16 hex digits over words in their sorted order."""
    return hashlib.sha256("\n".join(sorted(words)).encode()).hexdigest()[:16]


def same_bits(runs: "pd.DataFrame") -> str:
    """What the digest of these finished runs is, and whether it is the one that was published; empty where some are not finished."""
    if runs.empty or not runs["status"].isin(["done", "diverged"]).all():
        return ""
    found = digest_of(runs["run_id"] + " " + runs["digest"])
    told = f"digest of these {len(runs)} runs: {found}"
    engine, expected = PUBLISHED.get(digest_of(runs["run_id"]), ("", ""))
    if not expected:
        return told
    others = sorted(set(runs["platform"]) - {engine})
    if others:
        return f"{told}; {expected} was published for {engine}, and these were trained on {', '.join(others)}"
    if found == expected:
        return f"{told}, the published one: this machine computed the same numbers to the bit"
    return f"{told}, and NOT {expected}, which was published: this machine computed other numbers"

"""What is said of the digest of an experiment's runs, on a table made by hand."""

from pathlib import Path

import pandas as pd
import pytest

from rlbench import published
from rlbench.config import resolve
from rlbench.published import PUBLISHED, digest_of, same_bits

README = Path(__file__).parents[1] / "README.md"


def table(digests: tuple[str, str] = ("aa", "bb"), platform: str = "engine-1", status: str = "done") -> pd.DataFrame:
    return pd.DataFrame({"run_id": ["1", "2"], "digest": digests, "platform": platform, "status": [status, "done"]})


def test_the_published_digest_another_one_and_another_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = digest_of(pd.Series(["2 bb", "1 aa"]))
    monkeypatch.setattr(published, "PUBLISHED", {digest_of(pd.Series(["1", "2"])): ("engine-1", expected)})
    assert same_bits(table()) == (
        f"digest of these 2 runs: {expected}, the published one: this machine computed the same numbers to the bit"
    )
    assert f"and NOT {expected}" in same_bits(table(("aa", "bc")))
    assert "these were trained on engine-0" in same_bits(table(platform="engine-0"))


def test_what_is_not_published_has_a_digest_and_what_is_not_finished_has_none() -> None:
    assert same_bits(table()).startswith("digest of these 2 runs: ")
    assert "published" not in same_bits(table())
    assert same_bits(table(status="failed")) == ""


def test_what_is_published_is_of_experiments_as_they_are_and_in_the_readme() -> None:
    named = ("quickstart", "rainbow_parts", "cleanrl_c51", "revisiting_rainbow")
    runs = [pd.Series([one.run_id for one in resolve([f"experiment={name}"]).planned]) for name in named]
    assert {digest_of(ids) for ids in runs} == set(PUBLISHED)
    assert all(f"`{digest}`" in README.read_text() for _, digest in PUBLISHED.values())


def test_the_published_digests_are_of_this_engine() -> None:
    from rlbench.lanes.fast.platform import ENGINE

    assert all(engine == ENGINE for engine, _ in PUBLISHED.values())

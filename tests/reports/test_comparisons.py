"""Verdicts: the word that each constructed result gets, and the numbers behind it are those of rlbench.stats."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from written_runs import PlannedRun, write_store

from rlbench.envs.scores import normalisation
from rlbench.reports.comparisons import (
    EQUIVALENT,
    INCONCLUSIVE,
    OPPOSITE,
    SUPPORTED,
    Family,
    Pairwise,
    families_of,
    is_pairable,
    seeds_that_could_reject,
    verdict,
)
from rlbench.reports.report import write_summary
from rlbench.reports.summary import Summary, summarise
from rlbench.stats import (
    cliffs_delta,
    equivalence_test,
    hodges_lehmann,
    holm,
    minimum_detectable_effect,
    paired_permutation_test,
    permutation_test,
    pilot_sd,
    student_interval,
    welch_test,
)

pytestmark = pytest.mark.usefixtures("blank_pictures")

Values = Mapping[str, Sequence[float]]
NOISE = np.array([0.3, -0.2, 0.1, -0.4, 0.2, -0.1, 0.4, -0.3, 0.05, -0.05])
SEEDS = 5.0 * np.sin(np.arange(10))  # what all variants share at a seed


def summary_of(path: Path, values: Values, offsets: Mapping[str, int] | None = None, **definition: object) -> Summary:
    """Each variant's final returns by seed, seeds from 0 or from the variant's offset."""
    runs = [
        PlannedRun(name, seed + (offsets or {}).get(name, 0), {500: [value], 1000: [value]})
        for name, own in values.items()
        for seed, value in enumerate(own)
    ]
    return summarise(write_store(path / "results", runs, **definition), "example")


def declared(*pairs: tuple[str, str], family: str = "f") -> dict[str, object]:
    return {"comparisons": [{"family": family, "pairs": [list(pair) for pair in pairs]}]}


def only(families: Sequence[Family]) -> Pairwise:
    (member,) = next(family for family in families if family.name).members
    return member


@pytest.mark.parametrize(
    ("shift", "definition", "word"),
    [
        (3.0, {}, SUPPORTED),
        (-3.0, {}, OPPOSITE),
        (0.0, {}, INCONCLUSIVE),
        (0.0, {"smallest_effect": {"": 1.0}}, EQUIVALENT),
        (0.0, {"smallest_effect": {"CartPole-v1": 0.01}}, INCONCLUSIVE),
        (0.0, {"smallest_effect": {"Other-v0": 1.0}}, INCONCLUSIVE),
        # A difference that is shown is told, though it is shown to be small too.
        (0.5, {"smallest_effect": {"": 1.0}}, SUPPORTED),
    ],
)
def test_the_word_of_a_constructed_difference(
    tmp_path: Path, shift: float, definition: dict[str, object], word: str
) -> None:
    values = {"base": list(SEEDS), "new": list(SEEDS + NOISE + shift)}
    member = only(families_of(summary_of(tmp_path, values, **declared(("new", "base")), **definition)))
    assert member.word == word
    assert member.is_paired


def test_words_follow_the_corrected_p_values() -> None:
    assert verdict(0.05, 1.0, None) == SUPPORTED
    assert verdict(0.05, -1.0, None) == OPPOSITE
    assert verdict(0.051, 1.0, None) == INCONCLUSIVE
    assert verdict(0.051, 1.0, 0.05) == EQUIVALENT
    assert verdict(0.051, 1.0, 0.06) == INCONCLUSIVE
    assert verdict(0.01, 0.0, None) == INCONCLUSIVE


def test_paired_numbers_are_those_of_the_statistics(tmp_path: Path) -> None:
    x, y, z = SEEDS + NOISE + 0.2, SEEDS, SEEDS[::-1].copy()
    summary = summary_of(
        tmp_path, {"y": y, "x": x, "z": z}, **declared(("x", "y"), ("z", "y")), smallest_effect={"": 0.5}
    )
    first, second = families_of(summary)[0].members
    test = paired_permutation_test(x, y)
    assert (first.test, first.welch, first.difference) == (test, welch_test(x, y), student_interval(x - y))
    assert (first.shift, first.superiority) == (hodges_lehmann(x, y), (cliffs_delta(x, y) + 1) / 2)
    both = [test.p_value, paired_permutation_test(z, y).p_value]
    assert [first.p_adjusted, second.p_adjusted] == list(holm(both))
    same = [equivalence_test(one, y, 0.5, paired=True).p_value for one in (x, z)]
    assert [first.equivalence_p_adjusted, second.equivalence_p_adjusted] == list(holm(same))
    spread = pilot_sd(x, y, paired=True)
    assert first.detectable == minimum_detectable_effect(spread, 10, paired=True, comparisons=2)


def test_runs_of_different_seeds_are_not_paired(tmp_path: Path) -> None:
    x, y = SEEDS + NOISE, SEEDS
    member = only(families_of(summary_of(tmp_path, {"y": y, "x": x}, {"x": 100}, **declared(("x", "y")))))
    assert not member.is_paired
    assert member.test == permutation_test(x, y, statistic="welch_t")
    assert member.test.method == "permutation test of Welch t (Monte Carlo)"
    assert member.difference is not None
    assert (member.difference.low, member.difference.high) == (welch_test(x, y).low, welch_test(x, y).high)


def test_pairs_are_taken_by_seed_and_not_by_position(tmp_path: Path) -> None:
    # Seeds 0..9 against seeds 1..10: nine are shared, and row i of both is the same seed.
    values = {"y": np.arange(10.0), "x": np.arange(10.0) + 1.0}
    member = only(families_of(summary_of(tmp_path, values, {"x": 1}, **declared(("x", "y")))))
    assert (member.is_paired, member.n_x, member.num_shared) == (True, 9, 9)
    assert member.x_values.tolist() == member.y_values.tolist() == list(np.arange(1.0, 10.0))


@pytest.mark.parametrize(
    ("n_x", "n_y", "shared", "paired"),
    [(10, 10, 10, True), (10, 10, 8, True), (10, 10, 7, False), (10, 5, 5, False), (2, 2, 2, True), (1, 1, 1, False)],
)
def test_seeds_are_shared_where_few_lack_a_partner(n_x: int, n_y: int, shared: int, paired: bool) -> None:
    assert is_pairable(n_x, n_y, shared) == paired


def test_five_seeds_can_never_reject_and_say_so(tmp_path: Path) -> None:
    values = {"base": list(SEEDS[:5]), "new": list(SEEDS[:5] + 100.0 + NOISE[:5])}
    member = only(families_of(summary_of(tmp_path, values, **declared(("new", "base")))))
    assert (member.word, member.can_reject, member.detectable) == (INCONCLUSIVE, False, float("inf"))
    assert seeds_that_could_reject(1) == 6
    assert seeds_that_could_reject(7) == 9


def test_what_is_not_declared_is_a_family_of_its_own(tmp_path: Path) -> None:
    values = {name: list(SEEDS + place) for place, name in enumerate("abc")}
    named, rest = families_of(summary_of(tmp_path, values, **declared(("b", "a"))))
    assert [(m.x, m.y, m.num_tests) for m in named.members] == [("b", "a", 1)]
    assert [(m.x, m.y, m.family, m.num_tests) for m in rest.members] == [("c", "a", None, 2), ("c", "b", None, 2)]


def test_a_family_spans_all_environments(tmp_path: Path) -> None:
    runs = [
        PlannedRun(name, seed, {1000: [SEEDS[seed] + place]}, env=env)
        for env in ("X-v0", "Y-v0")
        for place, name in enumerate(("a", "b"))
        for seed in range(10)
    ]
    summary = summarise(write_store(tmp_path / "results", runs, **declared(("b", "a"))), "example")
    (family,) = families_of(summary)
    assert [(m.env, m.num_tests) for m in family.members] == [("X-v0", 2), ("Y-v0", 2)]
    assert family.members[0].p_adjusted == 2 * family.members[0].test.p_value  # type: ignore[union-attr]


def test_a_declared_pair_without_runs_is_there_untested(tmp_path: Path) -> None:
    member = only(families_of(summary_of(tmp_path, {"a": [1.0], "b": [2.0, 3.0]}, **declared(("a", "b")))))
    assert (member.test, member.word, member.n_x, member.n_y) == (None, INCONCLUSIVE, 1, 2)


def test_very_many_undeclared_pairs_are_counted_and_not_tested(tmp_path: Path) -> None:
    values = {f"v{place}": [1.0, 2.0] for place in range(9)}
    (rest,) = families_of(summary_of(tmp_path, values))
    assert (rest.members, rest.num_unlisted) == ((), 36)


def test_a_diverged_run_counts_as_random_play_and_a_failed_one_not_at_all(tmp_path: Path) -> None:
    runs = [PlannedRun(name, seed, {1000: [100.0 + seed]}) for name in "ab" for seed in range(6)]
    runs += [PlannedRun("a", 6, {1000: [9.0]}, status="diverged"), PlannedRun("b", 6, {1000: [50.0]})]
    runs += [PlannedRun("a", 7, {1000: [400.0]}), PlannedRun("b", 7, status="failed")]
    summary = summarise(write_store(tmp_path / "results", runs, **declared(("b", "a"))), "example")
    member = only(families_of(summary))
    assert (member.num_diverged, member.num_failed, member.num_unscored, member.n_x) == (1, 1, 0, 7)
    assert member.y_values.tolist() == [*(100.0 + seed for seed in range(6)), normalisation("CartPole-v1").random]
    assert member.x_values.tolist() == [*(100.0 + seed for seed in range(6)), 50.0]


def test_who_diverges_half_the_time_does_not_win(tmp_path: Path) -> None:
    runs = [PlannedRun("b", seed, {1000: [200.0 + NOISE[seed % 10]]}) for seed in range(20)]
    runs += [PlannedRun("a", seed, {1000: [240.0]}, status="diverged" if seed % 2 else "done") for seed in range(20)]
    summary = summarise(write_store(tmp_path / "results", runs, **declared(("b", "a"))), "example")
    assert only(families_of(summary)).word == SUPPORTED


def test_without_a_number_for_diverged_runs_there_is_no_verdict(tmp_path: Path) -> None:
    runs = [
        PlannedRun(name, seed, {1000: [value + seed]}, env="X-v0")
        for name, value in (("a", 0), ("b", 900))
        for seed in range(10)
    ]
    runs.append(PlannedRun("b", 10, {1000: [0.0]}, env="X-v0", status="diverged"))
    summary = summarise(write_store(tmp_path / "results", runs, **declared(("b", "a"))), "example")
    member = only(families_of(summary))
    assert member.p_adjusted is not None
    assert member.p_adjusted < 0.05
    assert (member.num_unscored, member.word) == (1, INCONCLUSIVE)


@pytest.mark.parametrize(("count", "rows"), [(4, 6), (5, 1)])
def test_the_picture_leaves_many_exploratory_comparisons_to_the_table(tmp_path: Path, count: int, rows: int) -> None:
    """Of four variants six pairs, of which one is declared: all are drawn. Of five ten: only the declared one is."""
    names = [f"v{i}" for i in range(count)]
    values = {name: (SEEDS + i + NOISE).tolist() for i, name in enumerate(names)}
    summary = summary_of(tmp_path, values, **declared(("v1", "v0")))
    page = write_summary(summary, tmp_path / "report")
    told = page.with_name("report.md").read_text().split("![Differences on CartPole-v1: ")[1].split("](")[0]
    assert len(told.split("; ")) == rows
    table = (tmp_path / "report" / "tables" / "comparisons.csv").read_text()
    assert len(table.splitlines()) == 1 + count * (count - 1) // 2

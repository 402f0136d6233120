"""The group-sequential plan: its level over all looks, its state as plain values, and what it refuses."""

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from rlbench.stats import SequentialPlan, paired_permutation_test

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 2)) + 0.9, RNG.normal(size=(30, 2))


def run(plan: SequentialPlan, x: np.ndarray, y: np.ndarray) -> SequentialPlan:
    while plan.next_look is not None:
        plan = plan.advance(x[: plan.next_look], y[: plan.next_look])
    return plan


@pytest.mark.parametrize(
    ("spending", "first"), [("obrien_fleming", 0.0006869), ("pocock", 0.0226416), ("linear", 1 / 60)]
)
def test_spending_equals_the_published_functions(spending: str, first: float) -> None:
    # Lan and DeMets 1983 at a third of the runs.
    spent = SequentialPlan((10, 20, 30), spending=spending).spent
    assert spent[0] == pytest.approx(first, abs=2e-7)
    assert spent[-1] == 0.05
    assert list(spent) == sorted(spent)


@pytest.mark.parametrize("paired", [True, False])
def test_a_clear_difference_stops_early_and_says_which_way(paired: bool) -> None:
    plan = run(SequentialPlan((8, 15, 30), paired=paired), X + 2.0, Y)
    assert (plan.decision, plan.next_look) == ("supported", None)
    assert len(plan.history) < 3
    mirrored = run(SequentialPlan((8, 15, 30), paired=paired), Y, X + 2.0)
    assert mirrored.decision == "opposite"
    assert mirrored.history[-1].n == plan.history[-1].n


def test_without_a_difference_it_ends_at_the_maximum() -> None:
    plan = SequentialPlan((10, 20, 30))
    assert (plan.decision, plan.next_look) == ("undecided", 10)
    plan = run(plan, Y, Y + np.where(np.arange(30) % 2, 0.1, -0.1)[:, np.newaxis])
    assert (plan.decision, [look.n for look in plan.history]) == ("inconclusive", [10, 20, 30])


def plain_decision(differences: np.ndarray, looks: tuple[int, ...], spent: tuple[float, ...]) -> int | None:
    """The look at which the data cross when every sign pattern is counted, one candidate boundary after the other."""
    patterns = np.array(list(itertools.product([1.0, -1.0], repeat=len(differences))))  # the data are the first
    crossed = np.zeros(len(patterns), dtype=bool)
    for look, share in zip(looks, spent, strict=True):
        sizes = np.round(np.abs((patterns[:, :look] * differences[:look]).sum(axis=1)), 9)
        candidates = [crossed | (sizes >= size) for size in np.unique(sizes[~crossed])]
        allowed = [joined for joined in candidates if joined.sum() <= share * len(patterns)]
        crossed = max(allowed, key=np.sum, default=crossed)
        if crossed[0]:
            return look
    return None


def test_decisions_equal_a_plain_statement_over_all_sign_patterns() -> None:
    plan = SequentialPlan((6, 9, 12), spending="pocock", level=0.12, resamples=60_000)
    rng = np.random.default_rng(1)
    agreed, decided = 0, 0
    for _ in range(60):
        differences = rng.normal(size=12) + 0.7
        ended = run(plan, differences, np.zeros(12))
        look = ended.history[-1].n if ended.decision in ("supported", "opposite") else None
        expected = plain_decision(differences, plan.looks, plan.spent)
        agreed += look == expected
        decided += expected is not None
    assert 20 < decided < 60
    assert agreed >= 57  # random patterns may differ where the data lie at the boundary


@pytest.mark.parametrize("paired", [True, False])
def test_the_plan_is_plain_values_and_goes_on_after_an_interruption(paired: bool) -> None:
    x, y = X - 0.6, Y
    plan = SequentialPlan((5, 12, 30), paired=paired, level=0.1, seed=3)
    whole = run(plan, x, y)
    resumed = plan
    while resumed.next_look is not None:
        resumed = SequentialPlan.from_dict(json.loads(json.dumps(resumed.to_dict()))).advance(x, y)
    assert resumed == whole
    assert math.isinf(SequentialPlan((2, 30)).advance(X, Y).history[0].boundary)


def test_only_the_runs_of_the_look_are_read() -> None:
    plan = SequentialPlan((10, 30))
    changed = X.copy()
    changed[10:] = 1e6
    assert plan.advance(X, Y) == plan.advance(changed[:12], Y)


def test_environments_are_averaged_within_a_seed() -> None:
    plan = SequentialPlan((10, 30))
    assert plan.advance(X, Y).history == plan.advance(X.mean(axis=1), Y.mean(axis=1)).history


def test_runs_of_an_earlier_look_may_not_change() -> None:
    plan = SequentialPlan((10, 20, 30)).advance(X * 0.1, Y)
    changed = X * 0.1
    changed[3] += 1.0
    with pytest.raises(ValueError, match=r"the first 10 runs gave .* must stay"):
        plan.advance(changed, Y)


def test_an_ended_plan_takes_no_further_look() -> None:
    plan = run(SequentialPlan((10, 20)), X + 5.0, Y)
    with pytest.raises(ValueError, match="the plan has ended: supported"):
        plan.advance(X, Y)


@pytest.mark.parametrize("paired", [True, False])
def test_equal_sides_never_cross(paired: bool) -> None:
    for value in (0.0, 0.1, 1e9):
        scores = np.full(30, value)
        plan = run(SequentialPlan((10, 20, 30), paired=paired, resamples=199), scores, scores)
        assert plan.decision == "inconclusive"
        assert all(look.p_value == 1.0 for look in plan.history)


def test_a_first_look_where_no_data_could_cross_spends_nothing() -> None:
    # 3 seeds have p-values of 1/4 at least: all that may be spent is kept for the next look.
    plan = SequentialPlan((3, 30), spending="pocock").advance(np.full(3, 9.0), np.zeros(3))
    assert not plan.history[0].is_crossed
    assert math.isinf(plan.history[0].boundary)


def test_a_plan_of_one_look_is_the_sign_flip_test() -> None:
    for shift in (0.2, 0.5):
        x = Y + shift + np.random.default_rng(5).normal(size=Y.shape) * 0.8
        look = SequentialPlan((14,), resamples=60_000).advance(x[:14], Y[:14]).history[0]
        exact = paired_permutation_test(x[:14], Y[:14])
        assert look.p_value == pytest.approx(exact.p_value, abs=0.006)
        assert look.is_crossed == (exact.p_value <= 0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"looks": ()}, "looks must be ascending"),
        ({"looks": (10, 10)}, "looks must be ascending"),
        ({"looks": (0, 10)}, "looks must be ascending"),
        ({"level": 5.0}, "level must lie between"),
        ({"spending": "all"}, "unknown spending 'all'"),
        ({"resamples": 0}, "at least 1"),
    ],
)
def test_an_impossible_plan_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequentialPlan(**{"looks": (10, 20), **arguments})  # type: ignore[arg-type]


def test_a_look_refuses_too_few_runs_nan_and_other_environments() -> None:
    plan = SequentialPlan((10, 20))
    with pytest.raises(ValueError, match="the look at 10 runs has 9 of x and 30 of y"):
        plan.advance(X[:9], Y)
    with pytest.raises(ValueError, match="x has 2 environments and y has 1"):
        plan.advance(X, Y[:, :1])
    with pytest.raises(ValueError, match="NaN"):
        plan.advance(np.full(10, np.nan), Y[:, 0])
    look = plan.advance(X, Y).history[0]
    with pytest.raises(ValueError, match="2 looks and a history of 3"):
        replace(plan, history=(look,) * 3)


@pytest.mark.parametrize("change", [{"colour": 1}, {"history": [{"n": 5}]}, {"looks": None}])
def test_a_damaged_state_is_refused(change: dict[str, object]) -> None:
    state = SequentialPlan((10, 20)).advance(X, Y).to_dict()
    with pytest.raises(ValueError, match="not the state of a sequential plan"):
        SequentialPlan.from_dict({**state, **change})

"""Contract: the confirmation finds what is there, and nothing where nothing is.

Simulated studies: a planted problem whose best region is known, and a flat one on which all configurations are equal. No training.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from rlbench.tuning.confirmation import Confirmation, compare, confirm
from rlbench.tuning.study_file import SamplerSettings
from tests.tuning.toy_study import best_of, noisy, tune

TUNING_SEEDS, FRESH_SEEDS, TOP, TRIALS = 4, 10, 3, 64
REGION = 0.2  # the planted problem is at its best within this distance of (0.7, 0.3)


def plateau(params: Mapping[str, Any]) -> float:
    """2 standard deviations of a seed above the default inside the region, falling to 0 far away from it."""
    distance = math.hypot(params["x"] - 0.7, params["y"] - 0.3)
    return 2.0 if distance <= REGION else max(0.0, 2.0 - 4.0 * (distance - REGION))


def study(kind: str, seed: int, num_trials: int, is_flat: bool = False) -> tuple[Confirmation, dict[str, Any]]:
    """A simulated study with its confirmation, and the parameters of its candidates."""
    rng = np.random.default_rng(seed)

    def truth(params: Mapping[str, Any]) -> float:
        return 0.0 if is_flat else plateau(params)

    def score(params: Mapping[str, Any]) -> float:
        return float(np.mean(noisy(rng, truth(params), TUNING_SEEDS)))

    trials = best_of(tune(score, num_trials, sampler=SamplerSettings(kind), seed=seed, batch=16), TOP)
    fresh = {str(trial.number): noisy(rng, truth(trial.params), FRESH_SEEDS) for trial in trials}
    found = confirm(
        "default",
        noisy(rng, 0.0, FRESH_SEEDS),
        fresh,
        {str(trial.number): trial.values[0] for trial in trials},
        "mean",
    )
    return found, {str(trial.number): trial.params for trial in trials}


def rate(num_true: int, total: int) -> str:
    return f"{num_true} of {total}"


def planted(kind: str, num_studies: int) -> tuple[int, int]:
    """How many studies are supported, and how many of the winners are in the region or as good as."""
    supported = inside = 0
    for seed in range(num_studies):
        found, params = study(kind, seed, TRIALS)
        assert found.winner is not None
        supported += found.verdict == "supported"
        winner = params[found.winner.label]
        inside += math.hypot(winner["x"] - 0.7, winner["y"] - 0.3) <= 1.25 * REGION
    return supported, inside


def test_on_a_planted_problem_the_winner_is_in_the_region_and_supported() -> None:
    supported, inside = planted("random", 20)
    assert supported >= 16, rate(supported, 20)
    assert inside >= 16, rate(inside, 20)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["random", "tpe"])
def test_on_many_planted_problems_it_is_so_in_four_of_five(kind: str) -> None:
    supported, inside = planted(kind, 100)
    assert supported >= 80, rate(supported, 100)
    assert inside >= 80, rate(inside, 100)


def test_on_a_flat_problem_nothing_is_better_than_the_default() -> None:
    # All configurations are equal, so which ones a sampler tries does not matter: their scores are noise.
    total, found = 400, 0
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(total):
        tuned = np.sort(rng.standard_normal((TRIALS, TUNING_SEEDS)).mean(1))[::-1][:TOP]
        fresh = {str(index): noisy(rng, 0.0, FRESH_SEEDS) for index in range(TOP)}
        scores = {str(index): float(value) for index, value in enumerate(tuned)}
        confirmed = confirm("default", noisy(rng, 0.0, FRESH_SEEDS), fresh, scores, "mean")
        found += confirmed.verdict == "supported"
        gaps.append(confirmed.candidates[0].gap)
    assert found <= 0.05 * total, rate(found, total)
    # The best of 64 means of 4 is 2.4 standard errors too good, and the gap says so.
    assert np.mean(gaps) == pytest.approx(2.4 / math.sqrt(TUNING_SEEDS), abs=0.1)


@pytest.mark.slow
def test_on_flat_problems_with_a_sampler_that_learns_it_is_so_too() -> None:
    found = sum(study("tpe", seed, 32, is_flat=True)[0].verdict == "supported" for seed in range(100))
    assert found <= 5, rate(found, 100)


def test_a_comparison_by_hand() -> None:
    values = {"a": [3.0, 4.0, 5.0, 6.0, 7.0, 8.0], "b": [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]}
    (found,) = compare([("a", "b")], values)
    assert found.difference == 4.5
    assert found.p_value == pytest.approx(2 / 2**6)
    assert found.verdict == "supported"
    assert found.low < 4.5 < found.high
    (reverse,) = compare([("b", "a")], values)
    assert (reverse.difference, reverse.verdict) == (-4.5, "opposite")


def test_holm_is_over_all_candidates() -> None:
    default = [0.0] * 6
    (alone,) = compare([("a", "d")], {"a": [1.0] * 6, "d": default})
    both = compare([("a", "d"), ("b", "d")], {"a": [1.0] * 6, "b": [1.0] * 6, "d": default})
    assert alone.adjusted_p == pytest.approx(2 / 64)
    assert [one.adjusted_p for one in both] == pytest.approx([4 / 64, 4 / 64])
    assert [one.verdict for one in both] == ["inconclusive", "inconclusive"]


def test_a_candidate_with_a_lost_run_is_no_winner_and_a_lost_default_run_leaves_its_seed_out() -> None:
    good, nan = [9.0] * 8, math.nan
    found = confirm(
        "d", [nan, *[0.0] * 7], {"lost": [*good[:7], nan], "whole": [1.0] * 8}, {"lost": 9.0, "whole": 1.0}, "iqm"
    )
    assert found.winner is not None
    assert found.winner.label == "whole"
    assert found.candidates[0].against_default is None
    assert found.winner.against_default is not None
    assert found.winner.against_default.n == 7


def test_a_supported_candidate_wins_over_a_higher_score_that_is_only_luck() -> None:
    lucky = [-8.0, 12.0, -8.0, 12.0, -8.0, 12.0, -8.0, 40.0]
    found = confirm("d", [0.0] * 8, {"lucky": lucky, "steady": [3.0] * 8}, {"lucky": 9.0, "steady": 3.0}, "mean")
    assert found.candidates[0].fresh.score > found.candidates[1].fresh.score
    assert found.winner is not None
    assert found.winner.label == "steady"
    assert found.verdict == "supported"


def test_the_winner_has_the_highest_of_the_scores_that_are_shown() -> None:
    steady, outlier = [4.0, 5.0, 5.0, 6.0] * 2, [1.0, 2.0, 2.0, 90.0] * 2
    found = confirm("d", [4.5, 5.5] * 4, {"outlier": outlier, "steady": steady}, {"outlier": 2.0, "steady": 5.0}, "iqm")
    assert found.winner is not None
    assert (found.winner.label, found.winner.fresh.score, found.winner.fresh.mean) == ("steady", 5.0, 5.0)
    assert found.candidates[0].fresh.mean == 23.75  # which the test is about, and which is shown beside the score


def test_a_candidate_of_which_every_run_was_lost_is_no_winner() -> None:
    found = confirm("d", [1.0] * 8, {"lost": [22.0] * 8}, {"lost": 9.0}, "mean", {"lost": 8})
    assert found.winner is None
    assert (found.candidates[0].fresh.n, found.candidates[0].fresh.lost) == (8, 8)


def test_too_few_seeds_say_that_they_could_show_nothing() -> None:
    found = confirm("d", [0.0, 0.1, 0.0], {"a": [9.0, 9.5, 9.0]}, {"a": 9.0}, "mean")
    assert found.verdict == "inconclusive"
    assert found.winner is not None
    assert found.winner.against_default is not None
    assert "no effect of any size" in found.winner.against_default.words

"""Effects of a grid against published values, least squares and by hand; pairing, corrections, and what is refused."""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from rlbench.stats import (
    corrected_together,
    factorial_effects,
    holm,
    paired_permutation_test,
    student_interval,
    welch_test,
)

REFERENCE = Path(__file__).parent / "reference"
EXPECTED = json.loads((REFERENCE / "factorial_reference.json").read_text())["effects"]
FRAME = pd.read_csv(REFERENCE / "ref_factorial_2x2x2x3env_10seeds.csv")
FACTORS = ["target", "loss", "obs"]


def grid(scores: np.ndarray, factors: str = "ab") -> pd.DataFrame:
    """A frame from scores [environments, cells, seeds]; level 0 of each factor comes first."""
    cells = itertools.product((0, 1), repeat=len(factors))
    rows = [
        {"env": f"E{e}", "seed": seed, "score": scores[e, place, seed], **dict(zip(factors, cell, strict=True))}
        for place, cell in enumerate(cells)
        for e in range(scores.shape[0])
        for seed in range(scores.shape[2])
    ]
    return pd.DataFrame(rows)


def test_effects_and_intervals_equal_the_published_ones() -> None:
    result = factorial_effects(FRAME, factors=FACTORS, block="seed", interval="bootstrap", resamples=20_000)
    assert [effect.name for effect in result.effects] == list(EXPECTED)
    for name, expected in EXPECTED.items():
        effect = result[name]
        assert effect.estimate == pytest.approx(expected["point"], abs=1e-6)
        ends = (effect.paired_low, effect.paired_high, effect.unpaired_low, effect.unpaired_high)
        assert ends == pytest.approx((*expected["paired_ci95"], *expected["unpaired_ci95"]), abs=0.006)
    assert result.interval_method == "percentile bootstrap"
    assert dict(result.levels) == {"target": ("hard", "soft"), "loss": ("mse", "huber"), "obs": ("state", "pixel")}
    assert (result.n, result.num_dropped) == (10, 0)


def test_effects_are_least_squares_coefficients_with_half_codes() -> None:
    codes = {name: np.where(FRAME[name] == FRAME[name].iloc[0], -0.5, 0.5) for name in FACTORS}
    names = [":".join(chosen) for order in (0, 1, 2, 3) for chosen in itertools.combinations(FACTORS, order)]
    design = [
        np.prod([np.ones(len(FRAME)), *(codes[part] for part in name.split(":") if part)], axis=0) for name in names
    ]
    coefficients = np.linalg.lstsq(np.stack(design, axis=1), FRAME["score"].to_numpy(), rcond=None)[0]
    result = factorial_effects(FRAME, FACTORS, resamples=10)
    assert [effect.estimate for effect in result.effects] == pytest.approx(coefficients[1:].tolist(), abs=1e-12)


def test_an_interaction_is_a_difference_of_differences() -> None:
    # Cells 00, 01, 10, 11: b gains 1 without a and 5 with it.
    result = factorial_effects(grid(np.array([[[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [7.0, 7.0]]])), ["a", "b"])
    assert [effect.estimate for effect in result.effects] == [4.0, 3.0, 4.0]


def test_levels_are_as_declared_else_as_they_appear_else_as_the_categories() -> None:
    reverse = FRAME.iloc[::-1]
    declared = factorial_effects(
        reverse, {"target": ("hard", "soft"), "loss": ("mse", "huber"), "obs": ("state", "pixel")}
    )
    assert declared["target"].estimate == pytest.approx(EXPECTED["target"]["point"], abs=1e-6)
    assert factorial_effects(reverse, FACTORS)["target"].estimate == pytest.approx(
        -EXPECTED["target"]["point"], abs=1e-6
    )
    categories = reverse.assign(target=pd.Categorical(reverse["target"], ["hard", "soft"]))
    assert factorial_effects(categories, FACTORS)["target"].estimate == pytest.approx(
        EXPECTED["target"]["point"], abs=1e-6
    )


def test_the_order_of_the_rows_changes_nothing_else() -> None:
    mixed = FRAME.sample(frac=1.0, random_state=0)
    levels = {"target": ("hard", "soft"), "loss": ("mse", "huber"), "obs": ("state", "pixel")}
    one, other = (factorial_effects(frame, levels, interval="student") for frame in (FRAME, mixed))
    for name in EXPECTED:
        ends = [(e[name].estimate, e[name].paired_low, e[name].unpaired_high, e[name].cochran_p) for e in (one, other)]
        assert ends[0] == pytest.approx(ends[1], rel=1e-9)


@pytest.mark.parametrize("n", [8, 12])
def test_one_factor_is_the_paired_comparison_of_two_variants(n: int) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, n)) + np.array([[0.5], [0.0]])
    result = factorial_effects(grid(np.stack([y, x])[np.newaxis], "a"), ["a"])
    effect = result["a"]
    assert result.interval_method == "Student t (Satterthwaite)"
    paired, unpaired = student_interval(x - y), welch_test(x, y)
    assert (effect.paired_low, effect.paired_high) == pytest.approx((paired.low, paired.high), rel=1e-10)
    assert (effect.unpaired_low, effect.unpaired_high) == pytest.approx((unpaired.low, unpaired.high), rel=1e-10)
    assert effect.unpaired_p_value == pytest.approx(unpaired.p_value, rel=1e-10)
    assert effect.p_value == effect.p_adjusted == paired_permutation_test(x, y).p_value
    assert (effect.environments[0].paired_low, effect.environments[0].n) == (pytest.approx(paired.low), n)


def test_what_pairing_bought() -> None:
    rng = np.random.default_rng(0)
    shared, own = rng.normal(size=(1, 1, 400)), rng.normal(size=(1, 4, 400))
    result = factorial_effects(grid(3 * shared + own), ["a", "b"], resamples=99)
    # Cells correlate by 9 / (9 + 1); a contrast's variance is that of own noise, a tenth.
    assert result.correlation == pytest.approx(0.9, abs=0.02)
    assert all(effect.variance_ratio == pytest.approx(10.0, rel=0.25) for effect in result.effects)
    nothing = factorial_effects(grid(own), ["a", "b"], resamples=99)
    assert nothing.correlation == pytest.approx(0.0, abs=0.07)
    assert all(effect.variance_ratio == pytest.approx(1.0, abs=0.2) for effect in nothing.effects)


def test_max_t_equals_a_plain_step_down_statement() -> None:
    scores = np.random.default_rng(3).normal(size=(2, 4, 6)) + np.array([0.0, 0.6, 0.9, 2.0])[:, np.newaxis]
    result = factorial_effects(grid(scores), ["a", "b"])
    codes = np.array([[-1, -1, 1, 1], [-1, 1, -1, 1], [2, -2, -2, 2]]) / 2.0
    blocks = np.concatenate([codes @ table for table in scores], axis=1)  # [3, 12]
    scale = np.sqrt((blocks**2).sum(axis=1))
    flips = np.array(list(itertools.product((1.0, -1.0), repeat=12)))
    drawn = np.abs(flips @ blocks.T) / scale
    remaining, adjusted, running = [0, 1, 2], {}, 0.0
    while remaining:
        best = max(remaining, key=lambda place: drawn[0, place])
        running = max(running, (drawn[:, remaining].max(axis=1) >= drawn[0, best] - 1e-9).mean())
        adjusted[best] = running
        remaining.remove(best)
    assert [effect.p_adjusted for effect in result.effects] == pytest.approx([adjusted[i] for i in range(3)], abs=1e-12)
    alone = [(drawn[:, i] >= drawn[0, i] - 1e-9).mean() for i in range(3)]
    assert [effect.p_value for effect in result.effects] == pytest.approx(alone, abs=1e-12)
    by_holm = factorial_effects(grid(scores), ["a", "b"], correction="holm")
    assert [effect.p_adjusted for effect in by_holm.effects] == pytest.approx(holm(alone).tolist(), abs=1e-12)
    unpaired = holm([effect.unpaired_p_value for effect in result.effects])
    assert [effect.unpaired_p_adjusted for effect in result.effects] == unpaired.tolist()


def test_results_corrected_together_are_one_family() -> None:
    scores = np.random.default_rng(8).normal(size=(2, 2, 9)) + np.array([0.0, -0.3])[:, np.newaxis]
    seeds = [np.arange(9), np.arange(2, 9)]  # the second environment lacks two seeds
    apart = [
        factorial_effects(grid(scores[place : place + 1], "a").query("seed in @own"), ["a"])
        for place, own in enumerate(seeds)
    ]
    together = corrected_together(apart)
    flips = np.array(list(itertools.product((1.0, -1.0), repeat=9)))
    differences = scores[:, 1] - scores[:, 0]
    differences[1, :2] = 0.0
    drawn = np.abs(flips @ differences.T) / np.sqrt((differences**2).sum(axis=1))
    first, second = np.argsort(-drawn[0])
    expected = {first: (drawn.max(axis=1) >= drawn[0, first] - 1e-9).mean()}
    expected[second] = max(expected[first], (drawn[:, second] >= drawn[0, second] - 1e-9).mean())
    for place, result in enumerate(together):
        assert result["a"].p_adjusted == pytest.approx(expected[place], abs=1e-12)
        assert result["a"].p_adjusted > apart[place]["a"].p_adjusted or place == second
        assert result["a"].p_value == apart[place]["a"].p_value
        assert result.correction == "max-T (step-down) over 2 contrasts of 2 analyses"


def test_environments_weigh_the_same_whatever_their_seeds() -> None:
    scores = np.random.default_rng(1).normal(size=(2, 4, 9))
    scores[1] += np.array([0.0, 4.0, 0.0, 4.0])[:, np.newaxis]
    frame = grid(scores)
    fewer = frame[(frame["env"] == "E0") | (frame["seed"] < 4)]
    result = factorial_effects(fewer, ["a", "b"])
    parts = [effect.estimate for effect in result["b"].environments]
    assert result["b"].estimate == pytest.approx(np.mean(parts), rel=1e-12)
    assert ([effect.n for effect in result["b"].environments], result.n) == ([9, 4], 4)


def test_seeds_that_depend_across_environments_are_one_block() -> None:
    luck = np.random.default_rng(0).normal(size=(1, 2, 12))
    frame = grid(np.repeat(luck, 4, axis=0), "a")  # the same luck on four environments: no more evidence than on one
    apart = factorial_effects(frame, ["a"])["a"]
    together = factorial_effects(frame, ["a"], across_environments=True)["a"]
    single = factorial_effects(grid(luck, "a"), ["a"])["a"]
    assert together.p_value == single.p_value
    assert (together.paired_low, together.paired_high) == pytest.approx(
        (single.paired_low, single.paired_high), abs=1e-9
    )
    assert apart.paired_high - apart.paired_low < 0.7 * (single.paired_high - single.paired_low)
    with pytest.raises(ValueError, match="the same values of 'seed'"):
        factorial_effects(frame[(frame["env"] != "E2") | (frame["seed"] < 9)], ["a"], across_environments=True)


def test_blocks_over_all_environments_are_those_complete_on_all_of_them() -> None:
    scores = np.random.default_rng(2).normal(size=(2, 2, 12))
    frame = grid(scores, "a")
    fewer = frame[(frame["env"] != "E1") | (frame["seed"] != 4) | (frame["a"] == 0)].sample(frac=1.0, random_state=0)
    fewer = fewer[(fewer["env"] != "E0") | (fewer["seed"] != 7)]
    result = factorial_effects(fewer, {"a": (0, 1)}, across_environments=True, incomplete="drop")
    assert (result.n, result.num_blocks, result.num_dropped) == (10, 10, 2)
    assert result.smallest_p == 2 / 2**10
    assert result.test_method == "sign-flip test of seeds over all environments (exact)"
    kept = np.delete(scores, [4, 7], axis=2).mean(axis=0)
    paired, unpaired = student_interval(kept[1] - kept[0]), welch_test(kept[1], kept[0])
    effect = result["a"]
    assert (effect.estimate, effect.paired_low) == pytest.approx((paired.estimate, paired.low), rel=1e-9)
    assert (effect.unpaired_low, effect.unpaired_high) == pytest.approx((unpaired.low, unpaired.high), rel=1e-9)
    assert (effect.paired_error, effect.paired_freedom) == pytest.approx(
        (np.std(kept[1] - kept[0], ddof=1) / 10**0.5, 9)
    )
    apart = frame[(frame["env"] == "E0") == (frame["seed"] < 6)]
    with pytest.raises(ValueError, match="at least 2 values of 'seed' with a run in every cell of every environment"):
        factorial_effects(apart, ["a"], across_environments=True, incomplete="drop")


def test_cochran_sees_an_effect_that_depends_on_the_environment() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(3, 2, 30))
    same = factorial_effects(grid(scores, "a"), ["a"])["a"]
    scores[2, 1] += 3.0
    depends = factorial_effects(grid(scores, "a"), ["a"])["a"]
    assert same.cochran_p > 0.05 > 1e-4 > depends.cochran_p
    # By hand, and the p-value against SciPy's Welch ANOVA of the differences.
    parts = scores[:, 1] - scores[:, 0]
    weights = 30 / parts.var(axis=1, ddof=1)
    centre = (weights * parts.mean(axis=1)).sum() / weights.sum()
    assert depends.cochran_q == pytest.approx((weights * (parts.mean(axis=1) - centre) ** 2).sum(), rel=1e-10)
    expected = scipy_stats.f_oneway(*parts, equal_var=False).pvalue
    assert depends.cochran_p == pytest.approx(expected, rel=1e-6)
    assert np.isnan(factorial_effects(grid(scores[:1], "a"), ["a"])["a"].cochran_p)


def test_where_no_data_could_reject_the_result_says_so() -> None:
    def smallest(n: int) -> tuple[float, float]:
        result = factorial_effects(grid(np.random.default_rng(0).normal(size=(1, 8, n)), "abc"), ["a", "b", "c"])
        return result.smallest_p, result.smallest_p_holm

    assert smallest(5)[0] == 0.0625
    assert [smallest(n)[1] <= 0.05 for n in (8, 9)] == [False, True]


def test_the_same_seed_gives_the_same_result_and_another_one_another() -> None:
    one, again, other = (
        factorial_effects(FRAME, FACTORS, interval="bootstrap", resamples=300, seed=seed) for seed in (1, 1, 2)
    )
    assert one == again
    assert one["obs"].paired_low != other["obs"].paired_low


@pytest.mark.parametrize("num_environments", [1, 3])
def test_a_grid_without_any_spread_has_no_evidence_of_effects(num_environments: int) -> None:
    # 0.1 to 0.7 in every cell of a seed: what rounding leaves of the contrasts is no evidence.
    scores = np.broadcast_to(np.linspace(0.1, 0.7, 10), (num_environments, 8, 10))
    result = factorial_effects(grid(scores, "abc"), ["a", "b", "c"], resamples=50)
    assert all((e.p_value, e.p_adjusted, e.unpaired_p_value) == (1.0, 1.0, 1.0) for e in result.effects)
    assert all(effect.estimate == 0.0 for effect in result.effects)
    constant = factorial_effects(grid(np.full((1, 4, 10), 0.1)), ["a", "b"], resamples=50)
    assert np.isnan(constant.correlation)


def test_a_run_counted_twice_is_refused_unless_told_how_it_counts() -> None:
    twice = pd.concat([FRAME, FRAME.iloc[:1].assign(score=9.0)])
    with pytest.raises(ValueError, match="1 rows repeat a run"):
        factorial_effects(twice, FACTORS)
    first = factorial_effects(twice, FACTORS, duplicates="first", resamples=20)
    assert first == factorial_effects(FRAME, FACTORS, resamples=20)


def test_an_incomplete_block_is_refused_or_left_out_and_counted() -> None:
    lacking = FRAME.iloc[1:]  # E1, hard, mse, state lacks seed 0
    with pytest.raises(ValueError, match="E1: 1 of 10 values of 'seed' lack a run in some cell, as 0"):
        factorial_effects(lacking, FACTORS)
    result = factorial_effects(lacking, FACTORS, incomplete="drop", resamples=20)
    assert (result.num_dropped, result.n) == (1, 9)
    without = FRAME[(FRAME["env"] != "E1") | (FRAME["seed"] != 0)]
    assert result["loss"].estimate == factorial_effects(without, FACTORS, resamples=20)["loss"].estimate


@pytest.mark.parametrize(
    ("frame", "arguments", "message"),
    [
        (FRAME.assign(score=np.nan), {}, "240 NaN"),
        (FRAME.rename(columns={"env": "place"}), {}, r"no column \['env'\]"),
        (FRAME.drop(columns="env"), {"environment": None}, "160 rows repeat a run"),
        (FRAME[FRAME["loss"] == "mse"], {}, r"'loss' has \['mse'\]"),
        (FRAME[FRAME["loss"] == "mse"].assign(loss=FRAME["seed"] % 3), {}, "exactly two levels"),
        (FRAME[FRAME["seed"] == 3], {}, "at least 2 values of 'seed'"),
        (FRAME, {"factors": []}, "one or more different columns"),
        (FRAME, {"factors": ["target", "target"]}, "one or more different columns"),
        (
            FRAME,
            {"factors": {"target": ("hard", "softer"), "loss": ("mse", "huber"), "obs": ("state", "pixel")}},
            "declared with levels",
        ),
        (FRAME, {"correction": "none"}, "unknown correction 'none'"),
        (FRAME, {"interval": "normal"}, "unknown interval 'normal'"),
        (FRAME, {"incomplete": "ignore"}, "unknown incomplete 'ignore'"),
    ],
)
def test_a_frame_that_is_no_complete_grid_is_refused(
    frame: pd.DataFrame, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        factorial_effects(frame, **{"factors": FACTORS, **arguments})  # type: ignore[arg-type]


def test_an_unknown_effect_lists_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"no effect 'tau'; there are .*target:loss"):
        factorial_effects(FRAME, FACTORS, resamples=10)["tau"]

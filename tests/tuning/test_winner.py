"""The winner as a file: every variant comes back from it exactly; and what is said of which parameters mattered."""

import math
import random
from pathlib import Path
from typing import Any

import pytest

from rlbench import verify
from rlbench.config import resolve
from rlbench.config.yaml_files import check_checksum, with_checksum
from rlbench.errors import ConfigError, DamagedError
from rlbench.store import Store
from rlbench.tuning.importance import LEAST_TRIALS, importances
from rlbench.tuning.winner import variant_yaml
from tests.tuning.toy_study import tune

VARIANTS = ["hard_mse", "soft_huber", "random"]
CHANGES = [
    "optimizer=rmsprop optimizer.lr=1e-3",
    "network.units=[32,16] clip=norm final_reward=-1",
    "exploration=exponential double=true",
]


def resolved(words: str) -> Any:
    return resolve(["seeds=1", *words.split()]).planned[0].run.variant


@pytest.mark.parametrize(
    "words", [*(f"variant={name}" for name in VARIANTS), *(f"variant=soft_mse {one}" for one in CHANGES)]
)
def test_a_variant_comes_back_from_its_file_in_both_ways(tmp_path: Path, words: str) -> None:
    variant = resolved(words)
    text = variant_yaml(variant, ["Winner of the study x: trial 3."])
    assert text.startswith("# Winner of the study x: trial 3.\n")
    for folder in ("variant", "store/studies"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "tuned.yaml").write_text(text)
    assert resolved(f"variant=study:tuned store={tmp_path}/store") == variant
    assert resolved(f"variant=tuned --config-dir={tmp_path}") == variant


def test_a_winner_takes_keys_like_any_variant(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "tuned.yaml").write_text(variant_yaml(resolved("variant=soft_mse"), []))
    assert resolved(f"variant=study:tuned store={tmp_path} optimizer.lr=0.5").optimizer.lr == 0.5
    with pytest.raises(ConfigError, match="did you mean 'tuned'"):
        resolved(f"variant=study:tunde store={tmp_path}")
    (tmp_path / "studies" / "broken.yaml").write_text("nothing: here")
    with pytest.raises(ConfigError, match="is not the winner of a study"):
        resolved(f"variant=study:broken store={tmp_path}")


def test_a_damaged_winner_is_never_taken(tmp_path: Path) -> None:
    path = tmp_path / "studies" / "tuned.yaml"
    path.parent.mkdir()
    variant = resolved("variant=soft_mse optimizer.lr=0.0123")
    whole = with_checksum(variant_yaml(variant, ["Winner of the study x: trial 3."])).encode()
    path.write_bytes(whole)
    assert resolved(f"variant=study:tuned store={tmp_path}") == variant
    rng = random.Random(0)
    marker = 8 * len(b"# sha256: ")  # damage there hides the checksum of a file that is otherwise as it was
    for bit in rng.sample(range(marker, 8 * len(whole)), 200):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(DamagedError, match=r"tuned\.yaml is damaged"):
            check_checksum(path)
    for length in rng.sample(range(marker // 8, len(whole)), 40):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedError):
            check_checksum(path)
    with pytest.raises(DamagedError, match="does not give its checksum"):
        resolved(f"variant=study:tuned store={tmp_path}")


def test_verify_names_a_damaged_winner(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "tuned.yaml").write_text(with_checksum("a: 1\n").replace("a: 1", "a: 2"))
    verify._check_studies(store)
    assert [line for line in store.damage.lines if "tuned.yaml is damaged" in line]


def test_what_matters_has_the_larger_share_for_both_evaluators_with_its_spread() -> None:
    trials = tune(lambda params: -((params["x"] - 0.3) ** 2), 40)
    found = importances(trials, repeats=5)
    assert [(one.evaluator, one.parameter) for one in found] == [
        ("PED-ANOVA", "x"),
        ("PED-ANOVA", "y"),
        ("fANOVA", "x"),
        ("fANOVA", "y"),
    ]
    for x, y in (found[:2], found[2:]):
        assert x.mean > 0.7 > 0.3 > y.mean
        assert x.mean + y.mean == pytest.approx(1)
        assert x.repeats == 5
        assert 0 < x.sd < 0.3
        assert math.isfinite(y.sd)
    assert importances(trials, repeats=5) == found


def test_twins_do_not_count_twice_in_what_matters() -> None:
    trials = tune(lambda params: -((params["x"] - 0.3) ** 2), 20)
    twins = tune(lambda params: params["y"], 40)[20:]
    for twin in twins:
        twin.user_attrs["twin_of"] = 0
    assert importances([*trials, *twins], repeats=2) == importances(trials, repeats=2) != []


def test_too_few_trials_have_no_importances() -> None:
    assert importances(tune(lambda params: params["x"], LEAST_TRIALS - 1)) == []

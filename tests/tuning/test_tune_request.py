"""A tuning command resolved: study files that are shipped, what a command changes, and every wrong input as one line."""

from pathlib import Path
from typing import Any

import pytest

from rlbench.config import HelpRequested
from rlbench.config.experiment_file import packaged_experiments
from rlbench.errors import ConfigError
from rlbench.tuning.request import resolve
from rlbench.tuning.study import differences
from tests.tuning.studies import TINY, request_of, study_of, write_study

SHIPPED = sorted(path.stem for path in (packaged_experiments() / "studies").glob("*.yaml"))


def test_the_cartpole_study_is_shipped() -> None:
    assert "cartpole" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_study_resolves_and_says_its_question(name: str) -> None:
    request = resolve([f"study={name}"])
    assert request.question.endswith("?")
    assert all(study.trials >= 1 and study.space for study in request.studies)
    assert (packaged_experiments() / "studies" / f"{name}.yaml").read_text().startswith("# ")


def test_trials_are_runs_of_the_tuning_namespace_that_differ_in_their_parameters(tmp_path: Path) -> None:
    with study_of(tmp_path) as (study, composer):
        first = study.runs({"optimizer.lr": 1e-3, "loss": "huber", "loss.delta": 0.7}, "x", composer)
        other = study.runs({"optimizer.lr": 1e-2, "loss": "mse"}, "x", composer)
    assert [run.run.namespace for run in first] == ["tune", "tune"]
    assert tuple(run.run.seed for run in first) == study.seeds == tuple(run.run.seed for run in other)
    assert first[0].run.variant.optimizer.lr == 1e-3
    assert first[0].run.variant.loss.delta == 0.7
    assert len({run.run_id for run in (*first, *other)}) == 4


def test_a_count_of_seeds_is_different_seeds_in_studies_of_different_names(tmp_path: Path) -> None:
    one, other = (request_of(tmp_path, name=name).studies[0].seeds for name in ("one", "other"))
    assert not set(one) & set(other)
    assert request_of(tmp_path, name="one", seeds="[3,5]").studies[0].seeds == (3, 5)


def test_two_variants_are_two_studies_of_one_request(tmp_path: Path) -> None:
    request = request_of(tmp_path, variant=["soft_mse", "hard_mse"])
    assert [study.name for study in request.studies] == ["tiny.soft_mse", "tiny.hard_mse"]
    assert not set(request.studies[0].seeds) & set(request.studies[1].seeds)
    assert request.tuning_experiment == "tiny.tuning"


def test_the_confirmation_has_seeds_that_no_count_reaches_and_no_other_study_has(tmp_path: Path) -> None:
    one, other = (request_of(tmp_path, name=name).fresh_seeds for name in ("one", "other"))
    assert len(one) == TINY["confirm"]["seeds"]
    assert min(*one, *other) >= 1_000_000
    assert max(*one, *other) < 2**32
    assert not set(one) & set(other)


def test_a_command_wins_over_the_file(tmp_path: Path) -> None:
    request = request_of(tmp_path, "trials=5", "steps=500", "name=mine", "update_period=2")
    study = request.studies[0]
    assert (request.name, study.name, study.trials, study.steps, study.base.variant.update_period) == (
        "mine",
        "mine",
        5,
        500,
        2,
    )


def test_lanes_are_shared_out_in_whole_trials(tmp_path: Path) -> None:
    request = request_of(tmp_path, "lanes=7")
    assert request.trials_at_once(request.studies[0]) == 3


@pytest.mark.parametrize(
    ("words", "changes", "text"),
    [
        (["lanes=1"], {}, "lanes=1 are fewer than the 2 seeds of a trial"),
        ([], {"space": {"optimizer.rl": ["1"]}}, "unknown key 'optimizer.rl'"),
        ([], {"space": {"optimizer.lr": {"log": ["0", "1"]}}}, "begins above 0"),
        ([], {"space": {"optimizer.lr": {"float": ["-1", "1"]}}}, "optimizer.lr must be > 0"),
        ([], {"space": {"update_period": ["1", "0"]}, "set": {}}, "update_period must be >= 1"),
        ([], {"space": {"replay.capacity": ["8", "10000"]}, "set": {}}, "larger than replay.capacity 8"),
        ([], {"space": {"loss.delta": {"float": ["1", "2"]}}}, "'loss.delta' does not apply"),
        (["optimizer.lr=1e-3"], {}, "optimizer.lr is in the space of the study"),
        (["batch_size=16,32"], {}, "batch_size takes one value in a study"),
        (["variant=hard_mse"], {}, "variant is the study file's to say"),
        (["steps=100", "evaluation.period=250"], {}, "evaluation.period 250 is larger than steps 100"),
        ([], {"steps": 100}, "evaluation.period 250 is larger than steps 100"),
        (["trials=0"], {}, "trials is a whole number"),
        (["trials=8", "trials=9"], {}, "given twice"),
        (["trails=8"], {}, "unknown key 'trails'"),
        ([], {"objective": {"metric": "final"}}, "objective.metric is one of final_return, auc"),
        ([], {"objective": {"statistic": "lower_bound"}, "seeds": 1}, "at least 2 seeds"),
        ([], {"sampler": "tqe"}, "did you mean 'tpe'?"),
        ([], {"sampler": "grid"}, "sampler grid"),
        ([], {"sampler": "grid", "space": {"loss": ["mse", "huber"]}}, "the grid has only 2 points"),
        ([], {"pruner": {"kind": "none", "warmup": 3}}, "pruner.warmup does not apply to none"),
        ([], {"pruner": "hyperband", "steps": None, "episodes": 10}, "needs a budget in steps"),
        ([], {"confirm": {"top": 0}}, "confirm.top"),
        ([], {"variant": ["soft_mse", "hard_mse"], "seeds": "[3,5]"}, "each variant has seeds of its own"),
        ([], {"pruner": "wilcoxon"}, "needs at least 4 seeds"),
        ([], {"pruner": {"kind": "median", "warmup": 800}}, "the last decision of a run of 1000 steps is at 750"),
        ([], {"pruner": {"kind": "halving", "least": 1000}}, "pruner.least=1000 stops no trial"),
        ([], {"confirm": {"top": 3, "seeds": 6}}, "at least 7 seeds are needed"),
        ([], {"trails": 3}, "did you mean 'trials'?"),
        ([], {"variant": None}, "needs variant"),
        ([], {"variant": "soft_msee"}, "did you mean 'soft_mse'?"),
    ],
)
def test_wrong_input_is_one_line(tmp_path: Path, words: list[str], changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        request_of(tmp_path, *words, **changes)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_that_can_work_are_taken_and_what_is_hardly_meant_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import rlbench.tune

    request_of(tmp_path, pruner={"kind": "wilcoxon"}, seeds=4)
    request_of(tmp_path, pruner={"kind": "median", "warmup": 750})
    request_of(tmp_path, confirm={"top": 3, "seeds": 7})
    write_study(tmp_path, sampler={"kind": "tpe", "startup": 8}, pruner={"kind": "median", "startup": 9})
    assert rlbench.tune.main(["study=tiny", f"--config-dir={tmp_path}", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "note: sampler tpe never learns" in out
    assert "note: pruner median never stops a trial" in out


def test_an_unknown_study_names_the_nearest(tmp_path: Path) -> None:
    write_study(tmp_path)
    with pytest.raises(ConfigError, match="did you mean 'tiny'"):
        resolve(["study=tinny", f"--config-dir={tmp_path}"])
    with pytest.raises(ConfigError, match="study=NAME is needed"):
        resolve([])


def test_the_help_names_every_key_of_the_command() -> None:
    with pytest.raises(HelpRequested) as caught:
        resolve(["--help"])
    for word in ("study", "trials", "storage", "lanes", "--dry-run", "cartpole"):
        assert word in str(caught.value)


def test_a_definition_says_what_differs(tmp_path: Path) -> None:
    before = request_of(tmp_path).studies[0].definition()
    assert differences(before, before) == []
    space = {**TINY["space"], "optimizer.lr": {"log": ["1e-5", "1e-2"]}}
    assert differences(before, request_of(tmp_path, space=space).studies[0].definition()) == ["space.optimizer.lr"]
    other = request_of(tmp_path, objective={"window": 3}).studies[0].definition()
    assert differences(before, other) == ["objective.window (2, now 3)"]
    assert differences(before, request_of(tmp_path, trials=99).studies[0].definition()) == []
    assert "run.budget.steps (1000, now 500)" in differences(
        before, request_of(tmp_path, "steps=500").studies[0].definition()
    )


def test_a_study_takes_any_budget_and_its_pruner_cadences_are_parts_of_it(tmp_path: Path) -> None:
    share = {"pruner": {"kind": "median", "warmup": 0.2}}
    assert request_of(tmp_path, **share).studies[0].pruner.warmup == 200  # of 1000 steps
    short = request_of(tmp_path, "steps=800", **share).studies[0]
    assert (short.steps, short.pruner.warmup) == (800, 160)
    assert request_of(tmp_path, "steps=400", **share).studies[0].pruner.warmup == 0  # its only decision
    # In steps in the file: kept where it fits, else the part that it was of the file's budget.
    in_steps = {"pruner": {"kind": "median", "warmup": 500}}
    assert request_of(tmp_path, "steps=2000", **in_steps).studies[0].pruner.warmup == 500
    tiny = request_of(tmp_path, "steps=100", **in_steps).studies[0]
    assert (tiny.steps, tiny.period, tiny.pruner.warmup) == (100, 25, 50)


def test_the_shipped_study_takes_a_short_budget() -> None:
    (study,) = resolve(["study=cartpole", "steps=12000"]).studies
    assert (study.steps, study.period, study.pruner.warmup) == (12_000, 1_200, 2_400)

"""After tuning: which runs count for whom, what is exported, and what an existing experiment forbids. No training."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rlbench.errors import ConfigError
from rlbench.store import Store, load
from rlbench.tuning.asking import Proposal
from rlbench.tuning.conclusion import Tuned, _export
from rlbench.tuning.confirmation import confirm
from rlbench.tuning.existing import check_experiments
from rlbench.tuning.finalists import Finalists, finalists_of, fresh_runs, fresh_values
from rlbench.tuning.ledger import CURVES
from rlbench.tuning.objective import Objective
from rlbench.tuning.request import TuneRequest, composer_of
from tests.tuning.studies import request_of
from tests.tuning.toy_study import frozen

TWO = ["soft_mse", "soft_huber"]


def finalists(request: TuneRequest, *params: dict[str, Any]) -> list[Finalists]:
    """For each study the finalists of complete trials with these parameters, the first one the best."""
    from optuna.trial import TrialState

    trials = []
    for number, own in enumerate(params):
        trial = frozen(number, Proposal(own, {}, {}), TrialState.COMPLETE, 100.0 - number)
        trial.user_attrs[CURVES] = [[90.0 - number], [110.0 - number]]
        trials.append(trial)
    with composer_of(request) as composer:
        return [finalists_of(study, trials, request.confirm.top, composer) for study in request.studies]


def rows(status: dict[str, str], value: float = 50.0) -> pd.DataFrame:
    """The runs of an experiment: run_id -> status."""
    return pd.DataFrame(
        [
            {"run_id": run_id, "variant": "x", "seed": 0, "status": own, "final_return": value + place, "auc": -1.0}
            for place, (run_id, own) in enumerate(status.items())
        ]
    )


def test_two_variants_whose_winners_coincide_share_their_runs(tmp_path: Path) -> None:
    request = request_of(tmp_path, variant=TWO, space={"loss": ["mse", "huber"]})
    mse, huber = finalists(request, {"loss": "huber"}, {"loss": "mse"})
    assert [cell.label for cell in mse.cells] == ["soft_mse", "soft_mse trial 0"]
    assert [cell.label for cell in huber.cells] == ["soft_huber", "soft_huber trial 1"]
    planned = fresh_runs([*mse.cells, *huber.cells], request.fresh_seeds)
    assert len(planned.planned) == 2 * 6 == len({run.run_id for run in planned.planned})
    assert planned.run_ids["soft_mse trial 0"] == planned.run_ids["soft_huber"]
    assert planned.run_ids["soft_huber trial 1"] == planned.run_ids["soft_mse"]
    found = fresh_values([mse, huber], planned, rows({run.run_id: "done" for run in planned.planned}))
    assert found.values["soft_mse trial 0"] == found.values["soft_huber"] != found.values["soft_mse"]


def test_values_are_those_of_the_planned_runs_whatever_else_has_their_label_and_seed(tmp_path: Path) -> None:
    request = request_of(tmp_path)
    (own,) = finalists(request, {"loss": "huber"})
    planned = fresh_runs(own.cells, request.fresh_seeds)
    runs = rows({run.run_id: "done" for run in planned.planned})
    runs["variant"] = [run.variant for run in planned.planned]
    runs["seed"] = [run.run.seed for run in planned.planned]
    foreign = runs.assign(run_id=[f"foreign{place}" for place in range(len(runs))], final_return=-1000.0)
    found = fresh_values([own], planned, pd.concat([runs, foreign]))
    assert found.values["soft_mse"] == [50.0 + place for place in range(6)]


def test_a_diverged_run_counts_as_random_play_and_a_failed_one_has_no_value(tmp_path: Path) -> None:
    request = request_of(tmp_path)
    (own,) = finalists(request, {"loss": "huber"})
    planned = fresh_runs(own.cells, request.fresh_seeds)
    status = {run.run_id: "done" for run in planned.planned}
    status[planned.run_ids["soft_mse"][1]] = "diverged"
    status[planned.run_ids["soft_mse trial 0"][2]] = "failed"
    found = fresh_values([own], planned, rows(status))
    assert found.values["soft_mse"][:3] == [50.0, 22.268, 52.0]  # CartPole's random play
    assert math.isnan(found.values["soft_mse trial 0"][2])
    assert found.lost == {"soft_mse": 1, "soft_mse trial 0": 1}


def test_the_optimism_gap_of_a_lower_bound_compares_means(tmp_path: Path) -> None:
    request = request_of(tmp_path, objective={"statistic": "lower_bound", "window": 2})
    (own,) = finalists(request, {"loss": "huber"})
    assert own.values == {"soft_mse trial 0": 100.0}  # what the trial was told, here made up
    assert own.tuning_scores == {"soft_mse trial 0": 100.0}
    bound = Objective(statistic="lower_bound").of_trial([[90.0], [110.0]])
    assert bound < own.tuning_scores["soft_mse trial 0"]


def exported(
    request: TuneRequest, own: list[Finalists], values: list[dict[str, list[float]]]
) -> tuple[list[str], Path]:
    store = Store.open(request.store)
    tuned = []
    for finalist, fresh in zip(own, values, strict=True):
        variant = finalist.study.variant
        candidates = {cell.label: fresh[cell.label] for cell in finalist.cells[1:]}
        confirmation = confirm(variant, fresh[variant], candidates, finalist.tuning_scores, "mean")
        tuned.append(Tuned([None], finalist, confirmation))  # type: ignore[list-item]
    return _export(request, tuned, store), store.root / "studies"


def test_variants_are_compared_by_fresh_scores_and_one_without_a_winner_exports_nothing(tmp_path: Path) -> None:
    request = request_of(tmp_path, variant=TWO, space={"optimizer.lr": {"log": ["1e-4", "1e-2"]}})
    own = finalists(request, {"optimizer.lr": 1e-3})
    lost, fine = [math.nan, *[9.0] * 5], [5.0] * 6
    values = [
        {"soft_mse": fine, "soft_mse trial 0": lost},
        {"soft_huber": fine, "soft_huber trial 0": [1.0] * 6},
    ]
    Store.open(request.store)
    (request.store / "studies").mkdir()
    (request.store / "studies" / "tiny.soft_mse.yaml").write_text("the winner of a smaller study")
    lines, folder = exported(request, own, values)
    assert lines[0] == "tiny.soft_mse has no winner: no candidate has a result on every fresh seed"
    assert sorted(path.name for path in folder.glob("*.yaml")) == ["tiny.soft_huber.yaml", "tiny.yaml"]
    assert (folder / "tiny.yaml").read_text() == (folder / "tiny.soft_huber.yaml").read_text()
    lines, folder = exported(request, own, [values[0], {**values[1], "soft_huber trial 0": lost}])
    assert len(lines) == 2
    assert list(folder.glob("*.yaml")) == []


@pytest.mark.parametrize(
    ("name", "definition", "text"),
    [
        ("tiny", {"final_window": 2, "seeds": [0]}, "is not this study's confirmation"),
        ("tiny", {"final_window": 2, "seeds": [0], "confirms": "tiny.tuning"}, "on other seeds"),
        ("tiny", {"final_window": 3, "seeds": [], "confirms": "tiny.tuning"}, "final_window=3"),
        ("tiny.tuning", {"final_window": 2}, "holds no trials"),
        ("tiny.tuning", {"final_window": 3, "tuning_of": "tiny"}, "final_window=3"),
    ],
)
def test_an_experiment_of_the_same_name_is_refused_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, definition: dict[str, Any], text: str
) -> None:
    import rlbench.tune

    request = request_of(tmp_path)
    check_experiments(request)
    Store.open(request.store).record_experiment(name, definition, [], {})
    with pytest.raises(ConfigError, match=text):
        check_experiments(request)
    assert rlbench.tune.main(request.argv) == 2
    assert text in capsys.readouterr().err
    assert not (request.store / "studies").exists()


def test_an_experiment_without_runs_can_be_loaded(tmp_path: Path) -> None:
    from rlbench.store import passes_audit

    Store.open(tmp_path).record_experiment("tiny.tuning", {"tuning_of": "tiny"}, [], {})
    results = load(tmp_path).experiment("tiny.tuning")
    assert len(results.runs) == 0
    assert passes_audit(results)

"""What the store may already hold under the names that a study is about to use.

In: a request. Out: nothing, or one `ConfigError` before anything is trained. Only reads.
"""

from collections.abc import Mapping
from typing import Any

from rlbench.errors import ConfigError
from rlbench.store import Store
from rlbench.tuning.request import SEEDS_OF_A_NAME, TuneRequest
from rlbench.tuning.study import check_same


def check_experiments(request: TuneRequest) -> None:
    """Raise ConfigError where the experiment of the trials or of the confirmation exists and is something else."""
    store = Store.peek(request.store)
    known = store.experiments() if store is not None else {}
    tuning = known.get(request.tuning_experiment)
    if tuning is not None:
        if tuning.get("tuning_of") != request.name:
            raise ConfigError(
                f"experiment '{request.tuning_experiment}' exists and holds no trials; take another name="
            )
        _check_window(request, request.tuning_experiment, tuning)
        for study in request.studies:  # the storage may be another machine's own
            if study.name in tuning.get("studies", {}):
                check_same(study, tuning["studies"][study.name])
    fresh = known.get(request.name)
    if fresh is None or not request.confirm.seeds:
        return
    if fresh.get("confirms") != request.tuning_experiment:
        raise ConfigError(
            f"experiment '{request.name}' exists and is not this study's confirmation, which would add its runs to it;"
            " take another name="
        )
    begin = request.fresh_seeds[0]
    if not set(fresh.get("seeds", [])) <= set(range(begin, begin + SEEDS_OF_A_NAME)):
        raise ConfigError(
            f"experiment '{request.name}' confirms on other seeds than the study's own ({begin} and up); take another name="
        )
    _check_window(request, request.name, fresh)


def _check_window(request: TuneRequest, name: str, definition: Mapping[str, Any]) -> None:
    window = request.studies[0].objective.window
    if definition.get("final_window") != window:
        raise ConfigError(
            f"experiment '{name}' exists with final_window={definition.get('final_window')}, and the study's"
            f" objective.window is {window}; take another name="
        )

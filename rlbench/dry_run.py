"""What `python -m rlbench.run ... --dry-run` prints: the plan of a request, and what it costs. Writes nothing."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlbench.config import Request
    from rlbench.runner.worker import Launcher


def print_dry_run(request: "Request", launcher: "Launcher") -> None:
    """Print the rules of a sequential plan, where there is one, and then the runs, cohorts, memory and time."""
    if request.sequential is not None:
        _print_sequential(request)
    _print_plan(request, launcher)


def _print_sequential(request: "Request") -> None:
    """The plan's rules, how far it is, and what its next stage trains; what comes after is all there can be."""
    from rlbench.deciding import current_state, described, runs_of, so_far
    from rlbench.store import Store

    store = Store.peek(request.store)
    state = current_state(request, store)
    print("\n".join([*described(state), *so_far(state)]))
    final = store.final_runs() if store is not None else set()
    missing = [one for one in runs_of(request, state) if one.run_id not in final]
    print(f"  the next stage trains {len(missing)} runs" if state.open else "  all of it is settled")
    print("with every seed of the plan:")


def _print_plan(request: "Request", launcher: "Launcher") -> None:
    """What would be trained, together with what, and what that costs; writes nothing."""
    from rlbench.config.cadence import EPISODE_STEPS_GUESS
    from rlbench.runner.plan import cohorts, forecast
    from rlbench.store import Store
    from rlbench.training import workers_of

    store = Store.peek(request.store)
    final = store.final_runs() if store is not None else set()
    missing = [planned for planned in request.planned if planned.run_id not in final]
    num_runs = len(request.planned)
    print(
        f"experiment {request.name}: {num_runs} runs, {num_runs - len(missing)} of them done, {len(missing)} to train"
    )
    for number, cohort in enumerate(cohorts(missing), start=1):
        names = ", ".join(dict.fromkeys(planned.variant for planned in cohort))
        first = cohort[0].run
        budget = f"{first.budget.steps} steps" if first.budget.steps else f"{first.budget.episodes} episodes"
        print(f"  cohort {number}: {len(cohort)} lanes on {first.env.id}, {budget}: {names}")
    cost = forecast(missing, request.workers or launcher.room(), request.lanes)
    minutes = cost.seconds / 60
    print(f"  memory: {cost.num_bytes / 2**20:.0f} MiB of lanes at once, on {workers_of(request, launcher)}")
    time = f"{minutes:.0f} min" if minutes >= 1.5 else f"{cost.seconds:.0f} s"
    by_episodes = any(planned.run.budget.episodes is not None for planned in missing)
    guess = f", at {EPISODE_STEPS_GUESS} steps an episode or its limit" if by_episodes else ""
    print(f"  expected time: about {time}{guess}")
    print("nothing was written")

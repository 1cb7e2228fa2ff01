"""What a dead driver left running: failed, and put back in the queue.

With one driver a study, any trial that runs when the study is opened is an orphan. Its network
waits again first and is failed then, so a kill in between loses nothing; the trial that waits names
the one that it repeats, so the next repair does not repeat it again. How many trials there were by
then is kept for a replay (`repaired_at`).

A network that was under way at the death of three drivers may be what killed them; it is given up
(`given_up`), and is one of the run's trials, as one that failed. An orderly end (Ctrl-C) says so in
the study and does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from palmette.search.trials.task import ATTEMPTS

if TYPE_CHECKING:
    import optuna

INTERRUPTED = "interrupted"
"""Attribute of a study whose driver ended in order and could not repair it any more."""


def requeue(study: optuna.Study, genes: Sequence[str] = (), *, died: bool = True) -> int:
    """Fail each trial that runs, and let its network wait again; returns how many run no more.

    Idempotent, and may be killed anywhere.

    Args:
        study: driven by this process alone.
        genes: parameters that a whole network has; a trial without one of them was never measured,
            and is failed only. By default any parameter will do.
        died: whether the driver died; otherwise the attempt does not count.
    """
    from optuna.trial import TrialState

    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    if not running:
        return 0
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    repeated = {trial.user_attrs.get("retry_of") for trial in waiting}
    reasons: dict[int, str] = {}
    given_up = set[int]()
    for trial in running:
        attempt = int(trial.user_attrs.get("attempt", 1))
        # one that was queued is whole before its parameters are written
        params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        if not params or any(gene not in params for gene in genes):
            reasons[trial.number] = "its driver ended before it was asked for"
        elif died and attempt >= ATTEMPTS:
            reasons[trial.number] = f"its driver died each of {attempt} times that it was measured"
            given_up.add(trial.number)
        else:
            reasons[trial.number] = "its driver died" if died else "its driver was stopped"
            if trial.number not in repeated:
                attrs = {"retry_of": trial.number, "attempt": attempt + died}
                study.enqueue_trial(params, user_attrs=attrs)
    made = len(study.get_trials(deepcopy=False))
    for trial in running:
        about = {"reason": reasons[trial.number], "repaired_at": made}
        if trial.number in given_up:
            about["given_up"] = True
        for key, value in about.items():
            study._storage.set_trial_user_attr(trial._trial_id, key, value)
        study.tell(trial.number, state=TrialState.FAIL)
    return len(running)

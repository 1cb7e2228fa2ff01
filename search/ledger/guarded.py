"""A storage as its one driver uses it: every write under the lease, repeated through an outage.

A write whose acknowledgement was lost may have happened. So before it is repeated its trace is
looked for: a trial that is finished as it was to be is finished, a trial that nobody asked for is
failed. Nothing is recorded twice.

Trials that wait or run are known here, because nobody else writes. Optuna looks for waiting ones
at each ask, in a list of all trials; here that costs the same for ten trials and for 50,000.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study._frozen import FrozenStudy
from optuna.study._study_direction import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from palmette.search.ledger.lease import Lease
from palmette.space.errors import InputError

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError

PATIENCE_S = 120.0
"""How long a write waits for a database that went away."""

Notice = Callable[[str], None]
"""Told in one line that the run waits, and for what."""

_SQLITE_PASSES = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_PROTOCOL")
_POSTGRESQL_PASSES = ("08", "40", "53", "55P03", "57P", "58")
"""Classes of SQLSTATE: connection, rolled back, no resources, locked, shut down, its system."""
_PAUSE_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_T = TypeVar("_T")
_OPEN = (TrialState.WAITING, TrialState.RUNNING)


class StorageLost(InputError):
    """The storage takes no more writes: the run stops, what was finished is kept."""


class GuardedStorage(BaseStorage):
    """Optuna's storage behind a lease and with patience.

    Args:
        backend: that keeps the trials.
        study_id: of the one study that is driven.
        lease: asked before every write.
        place: the storage as it may be shown.
        patience_s: how long one write waits for a database.
        notice: told when the first try of a write failed.

    Raises:
        LeaseLost: at a write, if another driver has the study.
        StorageLost: at a write, if the database stayed away, or the disk is full.
    """

    def __init__(
        self,
        backend: BaseStorage,
        study_id: int,
        lease: Lease,
        place: str,
        *,
        patience_s: float = PATIENCE_S,
        notice: Notice | None = None,
    ) -> None:
        self._backend = backend
        self._study_id = study_id
        self._lease = lease
        self._place = place
        self.patience_s = patience_s
        self._notice = notice
        trials = self._patiently(lambda _: backend.get_all_trials(study_id, deepcopy=False))
        self._open = {t._trial_id: t.state for t in trials if t.state in _OPEN}
        self._count = len(trials)

    # --- trials: writes ----------------------------------------------------------------------

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        def create(again: bool) -> int:
            made = self._fail_strays(like=template_trial) if again else None
            return (
                self._backend.create_new_trial(study_id, template_trial) if made is None else made
            )

        trial_id = self._write(create)
        # the backend itself tries again where it meets a deadlock or a lost connection
        if self._numbered(self._count) != trial_id:
            self._patiently(lambda _: self._fail_strays(trial_id))
        self._count += 1
        state = TrialState.RUNNING if template_trial is None else template_trial.state
        if state in _OPEN:
            self._open[trial_id] = state
        return trial_id

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        self._write(
            lambda _: self._backend.set_trial_param(
                trial_id, param_name, param_value_internal, distribution
            )
        )

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        def write(again: bool) -> bool:
            try:
                done = self._backend.set_trial_state_values(trial_id, state, values)
            except UpdateFinishedTrialError:
                if not (again and self._is(trial_id, state, values)):
                    raise
                return True
            return done or (again and self._is(trial_id, state, values))

        done = self._write(write)
        if state in _OPEN and done:
            self._open[trial_id] = state
        elif done:
            self._open.pop(trial_id, None)
        return done

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        self._write(
            lambda _: self._backend.set_trial_intermediate_value(trial_id, step, intermediate_value)
        )

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._write(lambda _: self._backend.set_trial_user_attr(trial_id, key, value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._write(lambda _: self._backend.set_trial_system_attr(trial_id, key, value))

    # --- the study: writes -------------------------------------------------------------------

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        return self._write(lambda _: self._backend.create_new_study(directions, study_name))

    def delete_study(self, study_id: int) -> None:
        self._write(lambda _: self._backend.delete_study(study_id))

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._write(lambda _: self._backend.set_study_user_attr(study_id, key, value))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._write(lambda _: self._backend.set_study_system_attr(study_id, key, value))

    # --- reads -------------------------------------------------------------------------------

    def get_study_id_from_name(self, study_name: str) -> int:
        return self._patiently(lambda _: self._backend.get_study_id_from_name(study_name))

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._patiently(lambda _: self._backend.get_study_name_from_id(study_id))

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._patiently(lambda _: self._backend.get_study_directions(study_id))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._patiently(lambda _: self._backend.get_study_user_attrs(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._patiently(lambda _: self._backend.get_study_system_attrs(study_id))

    def get_all_studies(self) -> list[FrozenStudy]:
        return self._patiently(lambda _: self._backend.get_all_studies())

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._patiently(lambda _: self._backend.get_trial(trial_id))

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        return self._patiently(
            lambda _: self._backend.get_trial_id_from_study_id_trial_number(study_id, trial_number)
        )

    def get_trial_number_from_id(self, trial_id: int) -> int:
        return self._patiently(lambda _: self._backend.get_trial_number_from_id(trial_id))

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        finished = (s for s in TrialState if s not in _OPEN)
        if states is None or any(s in states for s in finished) or study_id != self._study_id:
            return self._patiently(
                lambda _: self._backend.get_all_trials(study_id, deepcopy, states)
            )
        ids = sorted(trial_id for trial_id, state in self._open.items() if state in states)
        trials = [self.get_trial(trial_id) for trial_id in ids]
        return copy.deepcopy(trials) if deepcopy else trials

    def remove_session(self) -> None:
        self._backend.remove_session()

    def check_trial_is_updatable(self, trial_id: int, trial_state: TrialState) -> None:
        self._backend.check_trial_is_updatable(trial_id, trial_state)

    # --- patience ----------------------------------------------------------------------------

    def _write(self, write: Callable[[bool], _T]) -> _T:
        def checked(again: bool) -> _T:
            self._lease.check()
            return write(again)

        return self._patiently(checked)

    def _patiently(self, call: Callable[[bool], _T]) -> _T:
        """What a call returns; it is told whether it may have happened already.

        Waits between tries from 0.1 to 5 s, until the patience ends.
        """
        began, tries = time.monotonic(), 0
        while True:
            try:
                return call(tries > 0)
            except OSError as error:
                raise StorageLost(
                    f"{self._place}: can't be written ({error.strerror}); make room, then go on"
                    " with --resume: every finished trial is kept"
                ) from None
            except Exception as error:
                reason = outage(error)
                if reason is None:
                    self._refuse(error)
                    raise
                waited_s = time.monotonic() - began
                pause_s = _PAUSE_S[min(tries, len(_PAUSE_S) - 1)]
                if waited_s + pause_s > self.patience_s:
                    raise StorageLost(
                        f"{self._place}: no answer for {waited_s:.0f} s ({reason}); go on with"
                        " --resume when it is back: every finished trial is kept"
                    ) from None
            if tries == 0 and self._notice is not None:
                self._notice(
                    f"{self._place} does not answer ({reason}); trying for {self.patience_s:.0f} s"
                )
            time.sleep(pause_s)
            tries += 1

    def _refuse(self, error: Exception) -> None:
        """Raise StorageLost where the database answered with an error that waiting won't cure."""
        from sqlalchemy.exc import DBAPIError

        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        if isinstance(cause, DBAPIError):
            raise StorageLost(
                f"{self._place}: can't be used ({_first_line(cause)}); mend that, then go on with"
                " --resume: every finished trial is kept"
            ) from None

    def _numbered(self, number: int) -> int:
        """Id of a trial; of the newest the storage knows it without asking a database."""
        return self.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _is(self, trial_id: int, state: TrialState, values: Sequence[float] | None) -> bool:
        """Whether a trial is as a write was to leave it."""
        trial = self._backend.get_trial(trial_id)
        wanted = None if values is None else list(values)
        return trial.state == state and (wanted is None or trial.values == wanted)

    def _fail_strays(self, mine: int | None = None, like: FrozenTrial | None = None) -> int | None:
        """Fail trials that a lost acknowledgement left: nobody was told of them.

        One that was finished as it was made is the one that was wanted: its id is returned.

        Args:
            mine: id of the trial that is used.
            like: the template of the trial that was to be made.
        """
        trials = self._backend.get_all_trials(self._study_id, deepcopy=False)
        for trial in trials[self._count :]:
            if trial._trial_id == mine:
                continue
            if not trial.state.is_finished():
                self._backend.set_trial_user_attr(
                    trial._trial_id, "reason", "made twice, because the storage went away"
                )
                self._backend.set_trial_state_values(trial._trial_id, TrialState.FAIL)
            elif like is not None and _finished(trial) == _finished(like):
                return int(trial._trial_id)
            self._count += 1
        return None


def _finished(trial: FrozenTrial) -> tuple[Any, ...]:
    """What makes a finished trial the same as another."""
    return trial.state, trial.params, trial.values, trial.user_attrs


def outage(error: Exception) -> str | None:
    """Why a storage is away, in one line; None if the error is of another kind, or won't pass."""
    from sqlalchemy.exc import DBAPIError, TimeoutError

    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    if isinstance(cause, TimeoutError):
        return "no free connection"
    if not isinstance(cause, DBAPIError) or not (cause.connection_invalidated or _passes(cause)):
        return None
    return _first_line(cause)


def _first_line(error: DBAPIError) -> str:
    return (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]


def _passes(error: DBAPIError) -> bool:
    """Whether a database's error is one that waiting may cure, by the code that it gives.

    A missing table or a refused right stays.
    """
    from sqlalchemy.exc import InterfaceError, OperationalError

    name = getattr(error.orig, "sqlite_errorname", None)
    if name is not None:
        return str(name).startswith(_SQLITE_PASSES)
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return str(state).startswith(_POSTGRESQL_PASSES)
    # a connection that broke has no code
    return isinstance(error, OperationalError | InterfaceError)

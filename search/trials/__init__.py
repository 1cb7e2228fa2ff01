"""How accuracies of single networks get measured: tasks, what runs them, and the driver's loop."""

from palmette.search.trials.here import Here as Here
from palmette.search.trials.task import Evaluator as Evaluator
from palmette.search.trials.task import Executor as Executor
from palmette.search.trials.task import Outcome as Outcome
from palmette.search.trials.task import Task as Task
from palmette.search.trials.task import WorkerHealth as WorkerHealth

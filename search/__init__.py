"""What to pick: objectives, the search over them, runs and their fronts."""

from typing import TYPE_CHECKING

from palmette.space.late import opened_late

if TYPE_CHECKING:
    from palmette.search.alternatives import alternatives as alternatives
    from palmette.search.alternatives import best_rates as best_rates
    from palmette.search.compute import Compute as Compute
    from palmette.search.config import SearchConfig as SearchConfig
    from palmette.search.cost_figure import block_cost_figure as block_cost_figure
    from palmette.search.cost_figure import waterfall_figure as waterfall_figure
    from palmette.search.cost_table import block_costs as block_costs
    from palmette.search.cost_table import costs_by_sort as costs_by_sort
    from palmette.search.explain import Explanation as Explanation
    from palmette.search.explain import explain as explain
    from palmette.search.families.coefficients import Coefficients as Coefficients
    from palmette.search.families.compound import Scaled as Scaled
    from palmette.search.families.compound import fit_coefficients as fit_coefficients
    from palmette.search.families.compound import scale_to_budget as scale_to_budget
    from palmette.search.families.shrink import Shrunk as Shrunk
    from palmette.search.families.shrink import shrink as shrink
    from palmette.search.figure import front_figure as front_figure
    from palmette.search.fronts_figure import fronts_figure as fronts_figure
    from palmette.search.limits import Limits as Limits
    from palmette.search.objectives.goal import Goal as Goal
    from palmette.search.problem import SearchProblem as SearchProblem
    from palmette.search.problem import pose as pose
    from palmette.search.retime import Retimed as Retimed
    from palmette.search.retime import retime as retime
    from palmette.search.retime_plan import finished_run as finished_run
    from palmette.search.retime_plan import retime_plan as retime_plan
    from palmette.search.run import Run as Run
    from palmette.search.run import resume as resume
    from palmette.search.run import run as run
    from palmette.search.run import run_config as run_config
    from palmette.search.run import run_joined as run_joined
    from palmette.search.summary import comparison as comparison
    from palmette.search.summary import default_folder as default_folder
    from palmette.search.summary import default_folder_of as default_folder_of
    from palmette.search.summary import export_pick as export_pick
    from palmette.search.summary import guard_lines as guard_lines
    from palmette.search.summary import summary as summary
    from palmette.search.target_runs import is_target_runs as is_target_runs
    from palmette.search.target_runs import resume_targets as resume_targets
    from palmette.search.target_runs import run_targets as run_targets
    from palmette.search.trained_front import TrainedFront as TrainedFront
    from palmette.search.trained_front import train_front as train_front
    from palmette.search.transfer import VERDICTS as VERDICTS
    from palmette.search.transfer import transfer_matrix as transfer_matrix
    from palmette.search.transfer_figure import transfer_figure as transfer_figure
    from palmette.search.what_if import what_if as what_if
else:  # these open Optuna, pandas and scikit-learn, and what is asked of a search is checked before
    __getattr__ = opened_late(
        __name__,
        {
            "alternatives": ("alternatives", "best_rates"),
            "compute": ("Compute",),
            "config": ("SearchConfig",),
            "cost_figure": ("block_cost_figure", "waterfall_figure"),
            "cost_table": ("block_costs", "costs_by_sort"),
            "explain": ("Explanation", "explain"),
            "families.coefficients": ("Coefficients",),
            "families.compound": ("Scaled", "fit_coefficients", "scale_to_budget"),
            "families.shrink": ("Shrunk", "shrink"),
            "figure": ("front_figure",),
            "fronts_figure": ("fronts_figure",),
            "objectives.goal": ("Goal",),
            "limits": ("Limits",),
            "problem": ("SearchProblem", "pose"),
            "retime": ("Retimed", "retime"),
            "retime_plan": ("finished_run", "retime_plan"),
            "run": ("Run", "resume", "run", "run_config", "run_joined"),
            "summary": (
                "comparison",
                "default_folder",
                "default_folder_of",
                "export_pick",
                "guard_lines",
                "summary",
            ),
            "target_runs": ("is_target_runs", "resume_targets", "run_targets"),
            "trained_front": ("TrainedFront", "train_front"),
            "transfer": ("VERDICTS", "transfer_matrix"),
            "transfer_figure": ("transfer_figure",),
            "what_if": ("what_if",),
        },
    )

"""What to pick: objectives, the search over them, runs and their fronts."""

from palmette.search.compute import Compute as Compute
from palmette.search.config import SearchConfig as SearchConfig
from palmette.search.families.compound import Coefficients as Coefficients
from palmette.search.families.compound import Scaled as Scaled
from palmette.search.families.compound import fit_coefficients as fit_coefficients
from palmette.search.families.compound import scale_to_budget as scale_to_budget
from palmette.search.families.shrink import Shrunk as Shrunk
from palmette.search.families.shrink import shrink as shrink
from palmette.search.problem import Limits as Limits
from palmette.search.problem import SearchProblem as SearchProblem
from palmette.search.problem import pose as pose
from palmette.search.retime import Retimed as Retimed
from palmette.search.retime import retime as retime
from palmette.search.retime_plan import finished_run as finished_run
from palmette.search.retime_plan import retime_plan as retime_plan
from palmette.search.run import Run as Run
from palmette.search.run import resume as resume
from palmette.search.run import run as run
from palmette.search.summary import comparison as comparison
from palmette.search.summary import default_folder as default_folder
from palmette.search.summary import export_pick as export_pick
from palmette.search.summary import guard_lines as guard_lines
from palmette.search.summary import summary as summary
from palmette.search.trained_front import TrainedFront as TrainedFront
from palmette.search.trained_front import train_front as train_front

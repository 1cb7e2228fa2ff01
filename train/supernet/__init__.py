"""One network that holds all networks of a space: shared weights, trained together."""

from typing import TYPE_CHECKING

from palmette.space.late import opened_late
from palmette.train.supernet.schedule import Schedule as Schedule
from palmette.train.supernet.schedule import load_schedule as load_schedule

if TYPE_CHECKING:
    from palmette.train.supernet.accuracy import SupernetAccuracy as SupernetAccuracy
    from palmette.train.supernet.file import read_supernet as read_supernet
    from palmette.train.supernet.run import resume_supernet as resume_supernet
    from palmette.train.supernet.run import train_supernet as train_supernet
else:  # these open torch
    __getattr__ = opened_late(
        __name__,
        {
            "accuracy": ("SupernetAccuracy",),
            "file": ("read_supernet",),
            "run": ("resume_supernet", "train_supernet"),
        },
    )

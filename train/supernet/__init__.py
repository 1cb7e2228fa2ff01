"""One network that holds all networks of a space: shared weights, trained together."""

from palmette.train.supernet.accuracy import SupernetAccuracy as SupernetAccuracy
from palmette.train.supernet.file import read_supernet as read_supernet
from palmette.train.supernet.run import resume_supernet as resume_supernet
from palmette.train.supernet.run import train_supernet as train_supernet
from palmette.train.supernet.schedule import load_schedule as load_schedule

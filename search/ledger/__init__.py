"""Where trials are kept: storages, who may drive a study, what a crash leaves, replay."""

from palmette.search.ledger.lease import Lease as Lease
from palmette.search.ledger.lease import LeaseLost as LeaseLost
from palmette.search.ledger.place import STORAGE_VARIABLE as STORAGE_VARIABLE
from palmette.search.ledger.place import is_url as is_url
from palmette.search.ledger.place import masked as masked
from palmette.search.ledger.storage import open_study as open_study

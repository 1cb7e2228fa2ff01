"""A measuring rung from what a user names, as `supernet:FILE` or `proxy:RECIPE`, and images."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from palmette.search.accuracy import PRIOR
from palmette.search.measured import Estimator, MeasuredAccuracy
from palmette.space import InputError, SearchSpace
from palmette.space.errors import expect


class Source:
    """A measuring rung, opened: its estimator, and the space with the classes of its data.

    Args:
        name: `supernet:FILE`, `proxy:RECIPE` or `proxy:RECIPE@EPOCHSxSCALE`.
        data: see `open_data`; None for the images that a supernet was trained on.
        space: what is searched.
        seed: of a proxy's trainings.

    Raises:
        InputError: another name, a file or data that can't be opened, a supernet of another space.
    """

    def __init__(self, name: str, data: str | None, space: SearchSpace, seed: int) -> None:
        kind, _, rest = name.partition(":")
        expect(
            kind in ("supernet", "proxy") and bool(rest),
            f"accuracy '{name}': must be {PRIOR}, supernet:FILE or proxy:RECIPE[@EPOCHSxSCALE]",
        )
        self.rung = kind
        self.estimator: Estimator
        if kind == "supernet":
            self._supernet(Path(rest), data, space)
        else:
            self._proxy(rest, data, space, seed)

    def _supernet(self, path: Path, data: str | None, space: SearchSpace) -> None:
        from palmette.train.datasets import open_data
        from palmette.train.supernet import SupernetAccuracy, read_supernet
        from palmette.train.supernet.network import with_classes

        trained = read_supernet(path)
        self.space = with_classes(space, len(trained.classes))
        expect(
            self.space.sections == trained.space.sections,
            f"supernet {path}: is of space '{trained.space.name}', not of '{space.name}'; give that"
            " one with --space",
        )
        source = trained.source
        opened = None
        if data is not None:
            opened = open_data(data, side=_side(space), share=source.share, seed=source.seed)
        self.estimator = SupernetAccuracy(trained, opened)
        self.data = data or source.name
        self.id = hashlib.sha256(path.read_bytes()).hexdigest()[:12]

    def _proxy(self, name: str, data: str | None, space: SearchSpace, seed: int) -> None:
        from palmette.train.datasets import open_data
        from palmette.train.proxy import Fidelity, ProxyAccuracy
        from palmette.train.recipe import load_recipe
        from palmette.train.supernet.network import with_classes

        # a file's own name may hold the sign
        recipe, at, text = name.rpartition("@") if not Path(name).is_file() else (name, "", "")
        fidelity = Fidelity.parse(text) if at else Fidelity()
        if data is None:
            raise InputError("accuracy proxy: needs images to train on; give --data")
        keys = load_recipe(recipe or name)
        opened = open_data(data, side=_side(space), seed=seed, corrupt=keys.compute.corrupt)
        self.space = with_classes(space, len(opened.classes))
        self.estimator = ProxyAccuracy(opened, keys, fidelity, seed=seed)
        self.data = data
        text = json.dumps([keys.to_dict(), str(fidelity), opened.fingerprint])
        self.id = hashlib.sha256(text.encode()).hexdigest()[:12]

    def accuracy(self, samples: int, seed: int) -> MeasuredAccuracy:
        """The rung for codes of the space."""
        return MeasuredAccuracy(
            self.rung, self.id, self.space, self.estimator, self.data, samples, seed
        )


def _side(space: SearchSpace) -> int:
    return max(int(choice) for choice in space.sections["network"]["resolution"])

"""A measuring rung from what a user names: a supernet, short trainings, a function of their own."""

from __future__ import annotations

from pathlib import Path

from palmette.search.accuracy import PRIOR
from palmette.search.expensive.measured import MeasuredAccuracy, prior_of
from palmette.search.trials.function import FORMS, FUNCTION, FunctionEvaluator
from palmette.search.trials.rungs import ProxyEvaluator, SupernetEvaluator
from palmette.space import CompiledSpace, InputError, SearchSpace
from palmette.space.errors import expect
from palmette.train.datasets import anywhere


class Source:
    """A measuring rung, opened: its evaluator, and the space with the classes of its data.

    Args:
        name: `supernet:FILE`, `proxy:RECIPE`, `proxy:RECIPE@EPOCHSxSCALE`, `function:FILE.py:NAME`
            or `function:MODULE:NAME`.
        data: see `open_data`; None for the images that a supernet was trained on, and for a
            function, which has its own.
        space: what is searched.
        seed: of the split of a proxy's images.
        folder: keeps a proxy's trainings, for more epochs to go on from; None forgets them.
        epochs: whole length of a training by a function; None: its own.
        function: copy of a function's file, which is read instead if it is there.

    Raises:
        InputError: another name, a file or data that can't be opened, a supernet of another space.
    """

    def __init__(
        self,
        name: str,
        data: str | None,
        space: SearchSpace,
        seed: int,
        folder: Path | None = None,
        epochs: int | None = None,
        function: Path | None = None,
    ) -> None:
        kind, _, rest = name.partition(":")
        expect(
            kind in (FUNCTION, "supernet", "proxy") and bool(rest),
            f"accuracy '{name}': must be {PRIOR}, supernet:FILE, proxy:RECIPE[@EPOCHSxSCALE] or"
            f" {FORMS}",
        )
        self.rung = kind
        self.evaluator: SupernetEvaluator | ProxyEvaluator | FunctionEvaluator
        if kind == FUNCTION:
            self._function(name, data, space, epochs, function)
        elif kind == "supernet":
            self._supernet(Path(rest), data, space)
        else:
            self._proxy(rest, data, space, seed, folder)
        self.id = self.evaluator.id

    def _function(
        self,
        name: str,
        data: str | None,
        space: SearchSpace,
        epochs: int | None,
        copy: Path | None,
    ) -> None:
        expect(data is None, "data: a function of your own has its own; leave --data out")
        self.evaluator = FunctionEvaluator.open(name, epochs, copy)
        self.space, self.data = space, self.evaluator.name

    def _supernet(self, path: Path, data: str | None, space: SearchSpace) -> None:
        from palmette.train.datasets import open_data
        from palmette.train.supernet import read_supernet
        from palmette.train.supernet.network import with_classes

        trained = read_supernet(path)
        self.space = with_classes(space, len(trained.classes))
        expect(
            self.space.sections == trained.space.sections,
            f"supernet {path}: is of space '{trained.space.name}', not of '{space.name}'; give that"
            " one with --space",
        )
        source, fingerprint, name = trained.source, trained.source.fingerprint, None
        if data is not None:
            opened = open_data(data, side=space.largest_side, share=source.share, seed=source.seed)
            expect(
                opened.classes == trained.classes,
                f"data '{data}': have other classes than the supernet learned",
            )
            fingerprint, name = opened.fingerprint, anywhere(data)
        self.data = data or source.name
        self.evaluator = SupernetEvaluator(
            str(path.absolute()),
            SupernetEvaluator.id_of(path, fingerprint),
            name,
            space.largest_side,
        )

    def _proxy(
        self, name: str, data: str | None, space: SearchSpace, seed: int, folder: Path | None
    ) -> None:
        from palmette.train.datasets import open_data
        from palmette.train.proxy import Fidelity, shortened
        from palmette.train.recipe import load_recipe
        from palmette.train.supernet.network import with_classes

        # a file's own name may hold the sign
        recipe, at, text = name.rpartition("@") if not Path(name).is_file() else (name, "", "")
        fidelity = Fidelity.parse(text) if at else Fidelity()
        if data is None:
            raise InputError("accuracy proxy: needs images to train on; give --data")
        keys = load_recipe(recipe or name)
        opened = open_data(data, side=space.largest_side, seed=seed, corrupt=keys.compute.corrupt)
        self.space = with_classes(space, len(opened.classes))
        self.data = data
        self.evaluator = ProxyEvaluator(
            anywhere(data),
            opened.fingerprint,
            shortened(keys, fidelity),
            space.largest_side,
            fidelity.scale,
            seed,
            None if folder is None else str(folder.absolute()),
        )

    def accuracy(self, compiled: CompiledSpace) -> MeasuredAccuracy:
        """The rung for codes of the space, compiled."""
        expected = prior_of(compiled)
        return MeasuredAccuracy(self.rung, self.id, self.space, self.evaluator, self.data, expected)

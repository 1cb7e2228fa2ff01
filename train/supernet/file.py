"""Files of trained supernets: safetensors that say of which space, data and recipe they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.space import SearchSpace, space_toml
from palmette.space.errors import InputError, expect
from palmette.space.files import write_bytes
from palmette.space.toml import to_toml
from palmette.train.recipe import Recipe
from palmette.train.tensors import read_tensors, tensor_bytes

if TYPE_CHECKING:
    from torch import Tensor

    from palmette.train.device import Normalisation
    from palmette.train.supernet.network import Supernet

FORMAT = "palmette/supernet@1"


@dataclass(frozen=True, slots=True)
class DataSource:
    """What `open_data` needs to open the data again, and what they were."""

    name: str
    share: float
    seed: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class TrainedSupernet:
    """Shared weights of a space, and what belongs to them."""

    space: SearchSpace
    classes: tuple[str, ...]
    normalisation: Normalisation
    recipe: Recipe
    source: DataSource
    tensors: Mapping[str, Tensor]
    about: Mapping[str, Any]
    """Epochs, and top-1 of the largest and the smallest network."""

    def module(self) -> Supernet:
        """The supernet with these weights, in evaluation mode."""
        from palmette.train.supernet.network import Supernet

        module = Supernet(self.space)
        module.load_state_dict(dict(self.tensors))
        return module.eval()


def write_supernet(path: Path, supernet: TrainedSupernet) -> None:
    """Write a file, atomically; an equal supernet gives equal bytes."""
    info = {
        "format": FORMAT,
        "space": space_text(supernet.space),
        "space_name": supernet.space.name,
        "classes": list(supernet.classes),
        "normalisation": asdict(supernet.normalisation),
        "recipe": supernet.recipe.to_dict(),
        "data": asdict(supernet.source),
        "about": dict(supernet.about),
    }
    write_bytes(path, tensor_bytes(supernet.tensors, info))


def read_supernet(path: Path) -> TrainedSupernet:
    """Read a file of a supernet.

    Raises:
        InputError: no such file, damaged or truncated, of another format, tensors that are not
            those of its space.
    """
    from palmette.train.device import Normalisation

    tensors, info = read_tensors(path, FORMAT)
    where = f"supernet {path}"
    try:
        space = SearchSpace.from_toml(info["space"], str(info["space_name"]), where)
        red, green, blue = map(float, info["normalisation"]["mean"])
        normalisation = Normalisation((red, green, blue), float(info["normalisation"]["deviation"]))
        classes = tuple(map(str, info["classes"]))
        recipe = Recipe.from_dict(info["recipe"], where)
        source, about = DataSource(**info["data"]), dict(info["about"])
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{where}: what stands beside its tensors is damaged ({error})") from None
    found = TrainedSupernet(space, classes, normalisation, recipe, source, tensors, about)
    _expect_tensors(where, found)
    return found


def space_text(space: SearchSpace) -> str:
    """TOML of a space, which `SearchSpace.from_toml` reads."""
    tables = []
    for section, keys in space.sections.items():
        values = {
            key: choices[0] if len(choices) == 1 else choices for key, choices in keys.items()
        }
        tables.append(to_toml({"[stages]" if section.startswith("stage") else section: values}))
    top: dict[str, Any] = {"format": space_toml.FORMAT}
    if space.description:
        top["description"] = space.description
    return "\n".join([to_toml({"": top}), *tables])


def _expect_tensors(where: str, found: TrainedSupernet) -> None:
    from palmette.train.supernet.network import Supernet

    wanted = Supernet(found.space).state_dict()
    for name, like in wanted.items():
        expect(name in found.tensors, f"{where}: '{name}' is missing")
        shape = tuple(found.tensors[name].shape)
        expect(
            shape == tuple(like.shape),
            f"{where}: '{name}' has the shape {shape}, the space's is {tuple(like.shape)}",
        )
    extra = sorted(set(found.tensors) - set(wanted))
    expect(not extra, f"{where}: '{extra[0] if extra else ''}' is no tensor of the space")

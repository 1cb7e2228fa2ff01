"""What pages take for granted: photos, a phone that was timed, runs of another page."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from palmette.space import SearchSpace, load
from palmette.train.weights import with_classes
from tests.docs.pages import ROOT, fenced
from tests.latency.foreign.conftest import report

MAPS = ROOT / "latency" / "data" / "maps"

PER_CLASS = 5
PARTS = ("expand", "depthwise", "project")
"""Of an inverted residual, as Keras names its layers."""
IPHONE_13 = {"machine": "iPhone14,5", "os_version": "16.6", "os_build": "20G75"}
IPHONE_15 = {"machine": "iPhone15,4", "os_version": "18.1", "os_build": "22B83"}
"""What the synthetic phone's rows say instead, to stand for a phone."""


def photos() -> None:
    """Two classes of tiny images: dark and bright noise."""
    draw = np.random.default_rng(0)
    for name, least in (("dark", 0), ("bright", 128)):
        folder = Path("photos") / name
        folder.mkdir(parents=True)
        for number in range(PER_CLASS):
            pixels = draw.integers(least, least + 128, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")


def function() -> None:
    """An accuracy that is there at once, by both names that pages call it."""
    body = fenced("docs/scale.md", "python")[0]
    body = body.replace("    ...\n", "    top1, sigma = 50 + len(network.state_dict()) / 20, 1.0\n")
    Path("mine.py").write_text(body + "\n\ntop1 = accuracy\n")


def module() -> None:
    """A torch module of one's own, as howto/own_network.md shows it."""
    Path("module.py").write_text(fenced("docs/howto/own_network.md", "python")[0])


def space() -> None:
    """A space of one's own, as howto/own_space.md shows it."""
    Path("my_space.toml").write_text(fenced("docs/howto/own_space.md", "toml")[0])


def keras() -> None:
    """MobileNetV2 as `keras.applications` names its layers, with fresh weights."""
    from torch import nn

    blocks = [f"block_{number}_{part}" for number in range(1, 17) for part in PARTS]
    names = ["Conv1", *(f"expanded_conv_{part}" for part in PARTS[1:]), *blocks, "Conv_1"]
    norms = {"Conv1": "bn_Conv1", "Conv_1": "Conv_1_bn"}
    keys = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean"}
    keys["running_var"] = "moving_variance"
    layers = list(load("mobilenet_v2").build().modules())
    arrays = {}
    for name, conv in zip(names, (x for x in layers if isinstance(x, nn.Conv2d)), strict=True):
        order = (2, 3, 1, 0) if conv.groups == 1 else (2, 3, 0, 1)
        arrays[f"{name}/kernel"] = conv.weight.detach().permute(order).numpy()
    for name, norm in zip(names, (x for x in layers if isinstance(x, nn.BatchNorm2d)), strict=True):
        layer = norms.get(name, f"{name}_BN")
        values = norm.state_dict()
        arrays |= {f"{layer}/{theirs}": values[ours].numpy() for ours, theirs in keys.items()}
    (last,) = (x for x in layers if isinstance(x, nn.Linear))
    arrays["predictions/kernel"] = last.weight.detach().T.numpy()
    arrays["predictions/bias"] = last.bias.detach().numpy()
    np.savez("mobilenet_v2.npz", **arrays)


def recipe() -> None:
    """The recipe `quick` for a handful of photos."""
    Path("few.toml").write_text('format = "palmette/recipe@1"\nepochs = 1\nbatch = 4\n')


def network() -> None:
    """A network of a supernet's space, with the classes of the photos."""
    space = SearchSpace.preset("mobilenet_v2")
    found = space.decode(space.sample(1, np.random.default_rng(0))[0])
    Path("network.json").write_text(with_classes(found, 2).to_json())


def few() -> None:
    """README's table of three networks."""
    Path("few.csv").write_text(fenced("README.md", "csv")[0])


def networks() -> None:
    """Small networks of four families, to be timed on this machine."""
    names = ("mobilenet_v1_0.25", "mobilenet_v2_0.35", "mobilenet_v3_small", "shufflenet_v2_0.5")
    rows = ["subject_kind,subject", *(f"network,{name}@64x64" for name in names)]
    Path("networks.csv").write_text("\n".join(rows))


def example_map() -> None:
    """The commented map, as a user copies it."""
    shutil.copyfile(MAPS / "example.toml", "my_map.toml")


def spreadsheet(name: str) -> Callable[[], None]:
    """The file that the commented map is of: it stands in its first comment."""
    lines = (MAPS / "example.toml").read_text("utf-8").splitlines()
    rows = [line.removeprefix("#").strip() for line in lines if line.startswith("#     ")]
    return lambda: Path(name).write_text("\n".join(rows))


def of_the_suite(name: str) -> Callable[[], None]:
    """What an iPhone 15 gave of the folder `suite`."""
    return lambda: shutil.copyfile(Path("suite") / name, name)


def package_of_the_suite() -> str:
    """File name of a network."""
    with Path("suite/manifest.csv").open(newline="") as file:
        return next(row["file"] for row in csv.DictReader(file) if row["subject_kind"] == "network")


def xcode(name: str) -> Callable[[], None]:
    """Xcode's report of a network of the suite."""
    return lambda: report(Path(), name, modelMetadata={"fileName": package_of_the_suite()})


def coremltools() -> None:
    """What coremltools measured of a network of the suite."""
    timed = {"units": "cpuAndNeuralEngine", "samples": [0.6, 0.58, 0.62, 0.6, 0.7]}
    data = {
        **{"format": "palmette/measurements@1", "machine": "iPhone16,1", "os_version": "18.1"},
        "measurements": [{"package": package_of_the_suite(), **timed}],
    }
    Path("timed.json").write_text(json.dumps(data))


MADE: dict[str, Callable[[], object]] = {
    "photos": photos,
    "mine.py": function,
    "module.py": module,
    "my_space.toml": space,
    "mobilenet_v2.npz": keras,
    "few.toml": recipe,
    "network.json": network,
    "few.csv": few,
    "networks.csv": networks,
    "my_map.toml": example_map,
    **{name: spreadsheet(name) for name in ("timings.csv", "foreign.csv")},
    **{name: of_the_suite(name) for name in ("results.csv", "placement.csv")},
    **{f"{name}.mlperf": xcode(f"{name}.mlperf") for name in ("one", "two", "report")},
    "timed.json": coremltools,
}
"""What a page finds in its folder -> what makes it, in the folder."""
RUN = {
    "runs/mine": "palmette search --target iphone-11/ane --budget-ms 6 --out runs/mine",
    "runs/photos": (
        "palmette train mobilenet_v2 --data photos --recipe mobilenet --out runs/photos"
    ),
    "runs/super": (
        "palmette supernet train mobilenet_v2 --data photos --recipe mobilenet --out runs/super"
    ),
    "photos.mlpackage": (
        "palmette export runs/photos/best.safetensors --target iphone-13/ane --out photos"
    ),
    "runs/first": "palmette search --target iphone-13/ane --budget-ms 0.9 --out runs/first",
    "runs/small": (
        "palmette search --target iphone-13/ane --budget-ms 0.9 --macs-m 400 --out runs/small"
    ),
}
"""What a page takes from another one, README.md or the tutorial -> the command that makes it."""
PLAN = (
    "palmette latency plan --space mobilenet_v2 --target iphone-13/ane --minutes 20 --out plan.csv"
)
SUITE = "suite"
"""A folder with what an iPhone 15 gave of a plan: of the manifest of packages, not of packages."""
TABLES = {"table.csv": 0, "mine.csv": 0, "before.csv": 1, "after.csv": 2}
"""Tables of an iPhone 13 -> which afternoon; all of one plan."""


def shortened(plan: Path) -> None:
    """Of a plan what a fit and a look at its blocks need, each thing once."""
    left = {"network": 4, "chain": 4, "op": 6}
    with plan.open(newline="") as file:
        header, *rows = csv.reader(file)
    kept, seen = [], set[str]()
    for row in rows:
        kind, subject = row[:2]
        if subject not in seen and left.get(kind, 0) > 0:
            left[kind] -= 1
            seen.add(subject)
            kept.append(row)
    with plan.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *kept])


def as_iphone(results: Path, phone: Mapping[str, str]) -> None:
    """Rows of the synthetic phone as if a phone had written them."""
    with results.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with results.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, **phone} for row in rows)

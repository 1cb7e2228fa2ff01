"""The command line: quick to answer, one line for every mistake, JSON for programs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from palmette import cli
from palmette.export import verify_weights
from palmette.latency import TARGETS, load_predictor, published_timings
from palmette.latency.timings import REQUIRED
from palmette.space import ZOO, Architecture, load
from palmette.space.zoo import FAMILY_OF
from palmette.train.weights import read_weights

SPACE = """
format = "palmette/space@1"
[network]
resolution = [192, 224]
activation = "relu"
[stem]
channels = [16, 32]
[[stages]]
stride = 1
channels = 16
kernel = 3
expansion = 1
depth = 1
[[stages]]
stride = 2
channels = [24, 32]
kernel = [3, 5]
expansion = [3, 6]
depth = [1, 2]
[[stages]]
stride = 2
channels = 40
kernel = [3, 5]
expansion = 6
depth = [1, 2]
[[stages]]
stride = 2
channels = 80
kernel = 3
expansion = 6
depth = [1, 3]
[[stages]]
stride = 2
channels = [160, 192]
kernel = 3
expansion = 6
depth = [1, 3]
[head]
channels = 1280
"""

NETS = """
from torch import nn

def net():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())

def grey():
    return nn.Conv2d(1, 8, 3)

def broken():
    raise ValueError("no\\nsuch layer")

def leaves():
    raise SystemExit(7)

def text():
    return "net"
"""

SHALLOW = (
    "64x64 stem_k3_s2_c16_relu | ds_k3_s1_c16_relu | ir_r2_k3_s2_e3_c24_relu |"
    " ir_r2_k3_s2_e3_c40_relu | head_c128_relu"
)
COLUMNS = "subject_kind,subject,target,latency_ms,source"
TABLES = {
    "column.csv": "subject_kind,subject,target,source\nnetwork,mobilenet_v2,iphone-13/ane,me\n",
    "negative.csv": f"{COLUMNS}\nnetwork,mobilenet_v2,iphone-13/ane,-1.5,me\n",
    "nan.csv": f"{COLUMNS}\nnetwork,mobilenet_v2,iphone-13/ane,nan,me\n",
    "network.csv": f"{COLUMNS}\nnetwork,mobilenet_v9,iphone-13/ane,1.5,me\n",
    "unit.csv": f"{COLUMNS}\nnetwork,mobilenet_v2,iphone-13/npu,1.5,me\n",
    "phone.csv": (
        "subject_kind,subject,role,target,seconds\nnetwork,mnasnet_a1,pick,iphone-13/ane,2\n"
    ),
    "few.csv": f"{COLUMNS}\nnetwork,mobilenet_v2,iphone-13/ane,1.5,me\n",
    "empty.csv": "",
    "binary.csv": "\0\1\2\3",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The last line of standard output."""
        return json.loads(self.out.splitlines()[-1], parse_constant=_reject)


Palmette = Callable[..., Answer]


def _reject(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


@pytest.fixture
def palmette(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Palmette:
    """The command in a folder of its own, in this process."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["palmette", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        code = end.value.code
        assert isinstance(code, int)
        return Answer(code, *capsys.readouterr())

    return call


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The folder with a space, modules, and everything that is wrong with a file."""
    (tmp_path / "space.toml").write_text(SPACE)
    (tmp_path / "type.toml").write_text(SPACE.replace("stride = 1", 'stride = "one"'))
    (tmp_path / "broken.toml").write_text("format = ")
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "bad.py").write_text("def net(:\n")
    (tmp_path / "garbage.json").write_text("{]")
    (tmp_path / "list.json").write_text("[1]")
    load_predictor("iphone-13/ane").write(tmp_path / "iphone-13.json")
    cut = (tmp_path / "iphone-13.json").read_text()[:2000]
    (tmp_path / "cut.json").write_text(cut)
    shallow = Architecture.from_text(SHALLOW).to_json()
    (tmp_path / "shallow.json").write_text(shallow)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "run.toml").write_text('[run]\nformat = "palmette/training@1"\n')
    (tmp_path / "corrupt").mkdir()
    (tmp_path / "corrupt" / "run.toml").write_text('[run]\nformat = "palmette/run@1"\n')
    (tmp_path / "norun").mkdir()
    for name, text in TABLES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def listing(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


SEARCH = ("search", "--target", "iphone-11/ane", "--space", "space.toml", "--evaluations", "1000")


# --- quick answers --------------------------------------------------------------------------------


def best_of(count: int, command: list[str]) -> float:
    """Shortest of some runs, seconds."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return min(times)


HELP = "import sys; sys.argv[1:] = ['--help']; from palmette.cli import main; main()"


def test_help_answers_within_half_a_second() -> None:
    # on a machine under load, where starting Python takes long, within twenty such starts
    assert best_of(5, ["-c", HELP]) < max(0.5, 20 * best_of(5, ["-c", "pass"]))


LISTS = """
import sys
from palmette.cli import main
for line in ("--help", "targets", "zoo list", "space list", "space show mnasnet"):
    sys.argv[1:] = line.split()
    try:
        main()
    except SystemExit as end:
        assert not end.code, line
    assert "torch" not in sys.modules, line
"""


def test_a_command_that_only_lists_does_not_open_torch() -> None:
    done = subprocess.run([sys.executable, "-c", LISTS], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


AT_ONCE = (
    "search",
    "search --target iphone-99/ane --budget-ms 1",
    "search --target iphone-15/ane@coreml-ios18 --budget-ms 1",
    "search --targets iphone-13/ane=1,iphone-99/ane=2",
    "search --target iphone-13/ane --budget-ms 1 --out full",
    "search --target iphone-13/ane --budget-ms 1 --space secret",
    "search --target iphone-13/ane --budget-ms 1 --predictor missing.json",
    "search --target iphone-13/ane --budget-ms 1 --accuracy proxy:quick --data nowhere",
    "search --resume nowhere",
    "train mobilenet_v2 --data nowhere --out r",
    "train mobilenet_v2 --data digits --out full",
    "train mobilenet_v9 --data digits --out r",
    "train mobilenet_v2 --data digits --out r --weights missing",
    "train mobilenet_v2 --data digits --out r --recipe qick",
    "train --resume nowhere",
    "train --run nowhere",
    "export mobilenet_v2 --target iphone-99/ane --out m",
    "export mobilenet_v9 --target iphone-13/ane --out m",
    "export mobilenet_v2 --target iphone-13/ane --out nowhere/m",
    "export mobilenet_v2 --target iphone-13/ane --out m --weights missing",
    "verify missing.mlpackage --against mobilenet_v2",
    "verify full --against mobilenet_v9",
    "latency fit missing.csv --out out",
    "latency fit full/file --out full/file",
    "latency fit full/file --target iphone-15/ane@coreml-ios18 --out mine",
    "latency fit full/file --target iphone-15 --out mine.json",
    "report nowhere",
    "report run --out full/file",
    "compare nowhere run",
    "explain mobilenet_v9 --target iphone-13/ane",
    "explain mobilenet_v2 --target iphone-99/ane",
    "explain mobilenet_v2",
    "predict mobilenet_v2 --target iphone-99/ane",
    "predict mobilenet_v2 --predictor missing.json",
    "predict mobilenet_v2 --target iphone-13/ane --confidence 2",
    *(
        f"search --target iphone-13/ane --budget-ms {words}"
        for words in (
            "-1",
            "0",
            "nan",
            "1 --confidence 1.5",
            "1 --evaluations 0",
            "1 --trials 0",
            "1 --shortlist 0",
            "1 --seed -1",
            "1 --lam nan",
            "1 --package-mb -3",
            "1 --params-m nan",
            "1 --precision int3",
            "1 --sampler magic",
            "1 --reward magic",
            "1 --epochs 0",
            "1 --workers 0",
            "1 --timeout 0",
            "1 --gpus-per-trial 1",
            "1 --study mine",
            "1 --recipe magic",
            "1 --start missing.csv",
            "1 --space full/file.toml",
        )
    ),
    "search --targets iphone-13/ane=1,iphone-11/ane=-2",
    "search --targets iphone-13/ane=1,iphone-11/ane=2 --confidence 2",
    "search --targets iphone-13/ane=1,iphone-11/ane=2 --join worst --lam 20",
    "search --targets iphone-13/ane=1,iphone-11/ane=2 --join weighted --weights iphone-11/ane=nan",
    "train mobilenet_v2 --data digits --out r --epochs 0",
    "train mobilenet_v2 --data digits --out r --batch 0",
    "train mobilenet_v2 --data digits --out r --val-share 2",
    "train mobilenet_v2 --data digits --out r --seed -1",
    "train mobilenet_v2 --data digits --out r --device tpu",
    "train mobilenet_v2 --data digits --out r --checkpoint-seconds -1",
    "train mobilenet_v2 --data digits --out r --ray-workers -1",
    "train --run run --picks 0",
    "train --run run --picks 0 --successive-halving",
    "supernet train mobilenet_v2 --data digits --out r --epochs 0",
    "supernet train mobilenet_v2 --data digits --out r --val-share 2",
    "supernet train mobilenet_v2 --data nowhere --out r",
    "supernet train secret --data digits --out r",
    "supernet train --resume nowhere",
    "shrink mobilenet_v2 --target iphone-13/ane --budget-ms -1",
    "shrink mobilenet_v2 --target iphone-13/ane --budget-ms 1 --confidence 2",
    "shrink mobilenet_v2 --target iphone-13/ane --budget-ms 1 --lam nan",
    "scale mobilenet_v2 --target iphone-13/ane --budget-ms inf",
    "scale mobilenet_v2 --target iphone-13/ane --budget-ms 1 --alpha 0",
    "confirm nowhere",
    "confirm run --winners 0",
    "confirm run --seeds 0",
    "confirm run --timeout 0",
    "bundle nowhere",
    "bundle run --confidence 2",
    "bundle run --max-loss -1",
    "bundle run --backbones 0",
    "latency plan --space mobilenet_v2 --target iphone-13/ane --minutes 0",
    "latency plan --space mobilenet_v2 --target iphone-13/ane --minutes 1 --seed -1",
    "latency plan --space secret --target iphone-13/ane",
    "latency plan --run nowhere",
    "latency suite full/file --out r --processes 0",
    "latency suite missing.csv --out r",
    "compress mobilenet_v2 --sweep --data digits --out r --val-share 2",
    "compress mobilenet_v2 --sweep --data digits --out r --images 0",
)
"""Mistakes in a name, a place or a number, which are told before anything slow is opened."""
REFUSED = """
import sys
from palmette.cli import main
for line in sys.argv[1:]:
    sys.argv[1:] = line.split()
    try:
        main()
    except SystemExit as end:
        assert end.code == 2, line
    else:
        raise AssertionError(line)
    for slow in ("torch", "optuna", "sklearn", "scipy", "coremltools", "ray"):
        assert slow not in sys.modules, f"{line}: opens {slow}"
print("every one")
"""


def test_a_mistake_in_a_name_a_place_or_a_number_is_told_before_anything_slow_is_opened(
    tmp_path: Path,
) -> None:
    for name in ("full/file", "run/run.toml"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, *AT_ONCE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "every one\n"), done.stderr
    told = done.stderr.splitlines()
    assert len(told) == len(AT_ONCE) and all(line.startswith("error: ") for line in told)


def commands(group: Any) -> Iterator[Any]:
    """Every command below a group."""
    for command in group.commands.values():
        yield from commands(command) if hasattr(command, "commands") else [command]


def test_no_help_holds_what_the_terminal_shows_as_a_picture() -> None:
    """`:factory:` would be one."""
    told = [command.help for command in commands(typer.main.get_command(cli.app))]
    for command in commands(typer.main.get_command(cli.app)):
        told += [getattr(parameter, "help", None) for parameter in command.params]
    assert len(told) > 300
    assert not [text for text in told if re.search(r":[a-z_]+:", text or "")]


@pytest.mark.parametrize("arguments", [[], ["zoo"], ["space"], ["latency"]])
def test_a_group_without_a_command_prints_its_help_and_no_error(
    palmette: Palmette, arguments: list[str]
) -> None:
    answer = palmette(*arguments)
    assert answer.code == 2
    assert "Usage" in answer.out
    assert answer.err == ""


# --- one line for every mistake -------------------------------------------------------------------

BUDGET = "search --target iphone-11/ane --space space.toml --evaluations 1000 --budget-ms"
PREDICT = "predict mobilenet_v2 --target"
KNOWN = "known: iphone-11/cpu, iphone-xs/cpu, iphone-x/cpu, iphone-11/gpu"
MISTAKES = {
    # command line
    "frobnicate": "No such command 'frobnicate'",
    "zoo frobnicate": "No such command 'frobnicate'",
    "search --frobnicate": "No such option: --frobnicate",
    "search": "give --target and --budget-ms, or --targets TARGET=MS,..., or --resume FOLDER",
    "search --target iphone-13/ane": "give --target and --budget-ms",
    "search --budget-ms 1": "give --target and --budget-ms",
    "predict": "Missing argument 'ARCH'",
    "predict mobilenet_v2": "predict: give --target, --predictor FILE, or both",
    "predict mobilenet_v2 --target iphone-11/ane --predictor iphone-13.json": "is a predictor of "
    "iphone-13/ane@coreml-ios16, not of iphone-11/ane@coreml-ios13",
    f"{PREDICT} my/ane@coreml-ios18": "palmette ships no predictor of it; give yours by --predict",
    "predict mobilenet_v2 --predictor missing.json": "missing.json: cannot be read",
    # budgets and limits
    f"{BUDGET} nan": "budget_ms: must be a positive number, got nan",
    f"{BUDGET} -1": "budget_ms: must be a positive number, got -1",
    f"{BUDGET} 0": "budget_ms: must be a positive number, got 0",
    f"{BUDGET} inf": "budget_ms: must be a positive number, got inf",
    f"{BUDGET} abc": "--budget-ms: must be a number, got 'abc'",
    f"{BUDGET} 0.9ms": "got '0.9ms'; write 0.9, the unit is in the option's name",
    "search --target iphone-13/ane --budget 0.9": "milliseconds are given with --budget-ms",
    f"{BUDGET} 6 --timeout 30s": "--timeout: must be a number, got '30s'; write 30, without a unit",
    f"{BUDGET} 0.1": "the fastest network of space 'space' takes ",
    f"{BUDGET} 6 --confidence 1.5": "confidence: must be above 0.5 and below 1, got 1.5",
    f"{BUDGET} 6 --confidence nan": "confidence: must be above 0.5 and below 1, got nan",
    f"{BUDGET} 6 --evaluations 0": "evaluations: at least 1000, got 0",
    f"{BUDGET} 6 --evaluations 1e6": "--evaluations: must be a whole number, got '1e6'",
    f"{BUDGET} 6 --shortlist 0": "shortlist: at least 3, got 0",
    f"{BUDGET} 6 --seed -1": "seed: must not be negative, got -1",
    f"{BUDGET} 6 --lam nan": "lam: must be from 0 to 10, got nan",
    f"{BUDGET} 6 --params-m 0": "params_m: must be positive, got 0",
    f"{BUDGET} 6 --macs-m nan": "macs_m: must be positive, got nan",
    f"{BUDGET} 6 --macs-m 1": "no network of space 'space' keeps all limits; the nearest has",
    f"{BUDGET} 6 --recipe secret": "recipe 'secret' is unknown; known: ",
    f"{BUDGET} 6 --accuracy magic": "must be prior, supernet:FILE, proxy:RECIPE",
    f"{BUDGET} 6 --accuracy supernet:no": "no: no such file",
    f"{BUDGET} 6 --accuracy proxy:quick": "needs images to train on; give --data",
    f"{BUDGET} 6 --trials 2": "trials: at least 3, got 2",
    f"{BUDGET} 6 --sampler magic": "must be one of palmette, tpe, nsga2, nsga3, gp, random",
    f"{BUDGET} 6 --workers 0": "--workers: at least 1, got 0",
    f"{BUDGET} 6 --timeout 0": "--timeout 0.0: must be a number of seconds above 0",
    f"{BUDGET} 6 --storage here": "a storage is named as postgresql://",
    f"{BUDGET} 6 --study mine": "--study: names a study in a database; give --storage",
    f"{BUDGET} 6 --accuracy function:no.py:top1": "no.py",
    # folders
    f"{BUDGET} 6 --out file": "file: can't be a run's folder",
    f"{BUDGET} 6 --out file/below": "file/below: can't be a run's folder",
    f"{BUDGET} 6 --out {'n' * 300}": "can't be a run's folder",
    f"{BUDGET} 6 --out full": "full: is not empty; name another folder with --out",
    "search --resume missing": "missing: holds no run",
    "search --resume norun": "norun: holds no run",
    "search --resume file": "file: holds no run",
    "search --resume corrupt": "run.toml: corrupt: needs a table [run]",
    "search --resume corrupt --budget-ms 3": "--budget-ms: can't be changed when a run goes on",
    "search --resume corrupt --seed 0": "--seed: can't be changed when a run goes on",
    # targets, spaces and predictors
    "search --target iphone-99/ane --budget-ms 1": KNOWN,
    "search --target iphone-13/tpux --budget-ms 1": "known of iphone-13: iphone-13/ane (palmette",
    "search --target iphone-13/npu --budget-ms 1": "is unknown; did you mean iphone-13/ane? a ",
    "latency plan --space space.toml --target my/ane@ios18": "did you mean my/ane@coreml-ios18? ",
    "latency plan --space space.toml --target my/ane@coreml-ios20": "known of Core ML: coreml-ios1",
    "search --target iphone13/ane --budget-ms 1": "is unknown; did you mean iphone-13/ane or ",
    "report training": "training: is a training; what is asked for here is a search",
    "search --resume training": "training: is a training; what is asked for here is a search",
    "train --resume corrupt": "corrupt: is a search; what is asked for here is a training",
    "search --target iphone-13/ane@coreml-ios13 --budget-ms 1": "give yours by --predictor FILE, ",
    f"{BUDGET} 6 --space secret": "space 'secret' is unknown; known: efficientnet_lite, fbnet, ",
    f"{BUDGET} 6 --space missing.toml": "missing.toml: cannot be read",
    f"{BUDGET} 6 --space broken.toml": "broken.toml: not valid TOML",
    f"{BUDGET} 6 --space type.toml": "type.toml: [stage1] stride: must be an integer from 1 to 2",
    f"{BUDGET} 6 --space .": "space '.' is unknown",
    f"{BUDGET} 6 --predictor missing.json": "missing.json: cannot be read",
    f"{BUDGET} 6 --predictor garbage.json": "garbage.json: not valid JSON",
    f"{BUDGET} 6 --predictor list.json": "list.json: ",
    f"{BUDGET} 6 --predictor cut.json": "cut.json: not valid JSON",
    f"{BUDGET} 6 --predictor iphone-13.json": "is a predictor of iphone-13/ane@coreml-ios16",
    "space show secret": "space 'secret' is unknown; known: efficientnet_lite, fbnet, ",
    "space show mobilnet_v2": "is unknown; did you mean mobilenet_v2 or mobilenet_v4? known: ",
    "space show nope.toml": "error: nope.toml: cannot be read (No such file or directory)\n",
    "space show type.toml": "type.toml: [stage1] stride",
    "zoo show secret": "network 'secret' is not in the zoo; palmette zoo list names all ",
    "zoo show mobilnet_v2": "is not in the zoo; did you mean mobilenet_v2 or ",
    # networks
    f"{PREDICT} iphone-99/ane": KNOWN,
    f"{PREDICT} iphone-13/ane --confidence 1.5": "confidence: must be above 0.5",
    f"{PREDICT} iphone-13/ane --confidence nan": "confidence: must be above 0.5",
    f"{PREDICT} iphone-13/ane --resolution 192": "--resolution: is for --task and for",
    f"{PREDICT} iphone-13/ane --task yolo": "task 'yolo' is unknown; known: classifier, features",
    f"{PREDICT} iphone-13/ane --classes 3": "--classes: needs --task, such as --task classifier",
    f"{PREDICT} iphone-13/ane --task ssdlite --classes 0": "ssdlite block, classes: must be an",
    f"{PREDICT} iphone-13/ane --task ssdlite --resolution 224": "ssdlite head: needs a map of at",
    f"{PREDICT} iphone-13/ane --task features --classes 3": "task features: it has no classes",
    "zoo show resnet18 --task lraspp": "stage 4: a 'rb' block cannot be dilated; those that can",
    "predict nonsense --target iphone-13/ane": "network 'nonsense' is unknown",
    "predict mobilnet_v2 --target iphone-13/ane": "did you mean mobilenet_v2 or ",
    "predict a|b|c --target iphone-13/ane": "architecture text: ",
    "predict missing.json --target iphone-13/ane": "missing.json: cannot be read (No such file or",
    "predict garbage.json --target iphone-13/ane": "garbage.json: not valid JSON",
    "predict list.json --target iphone-13/ane": "list.json: ",
    "predict full.json --target iphone-13/ane": "full.json: cannot be read",
    "predict missing.py:net --target iphone-13/ane": "missing.py:net: no such Python file",
    "predict bad.py:net --target iphone-13/ane": "bad.py:net: SyntaxError",
    "predict nets.py:broken --target iphone-13/ane": "nets.py:broken: ValueError: no such layer",
    "predict nets.py:leaves --target iphone-13/ane": "nets.py:leaves: SystemExit: 7",
    "predict nets.py:nothing --target iphone-13/ane": "has no function 'nothing'",
    "predict nets.py:text --target iphone-13/ane": "must return a torch.nn.Module, got str",
    "predict nets.py:grey --target iphone-13/ane": "cannot be traced on an input of 3x224x224",
    "predict nets.py:net --target iphone-13/ane --resolution 0": "--resolution: from 1 to 16384",
    "predict nets.py:net --target iphone-13/ane --resolution -4": "--resolution: from 1 to 16384",
    "accuracy resnet18": "accuracy prior: it was not fitted to 'rb' blocks; 1 published network",
    "accuracy shallow.json": "this one has a total stride of 8, with 5 kxk convolutions up to an "
    "output stride of 8 and 0 from 16 on; train it (palmette train), or in a search give --",
    "accuracy nonsense": "network 'nonsense' is not in the zoo; palmette zoo list names all ",
    "accuracy nets.py:net": "nets.py:net: this needs an architecture, not a torch module",
    "accuracy mobilenet_v2 --recipe secret": "recipe 'secret' is unknown; known: ",
    # timings
    "latency fit column.csv --out out": "column.csv: column 'latency_ms' is missing",
    "latency fit negative.csv --out out": "negative.csv: row 2: latency_ms",
    "latency fit nan.csv --out out": "nan.csv: row 2: latency_ms",
    "latency fit network.csv --out out": "row 2: subject: network 'mobilenet_v9' is unknown",
    "latency fit unit.csv --out out": "unit.csv: row 2: target must be device/unit@runtime",
    "latency fit --out out.json --target iphone-99/npu@x": "did you mean iphone-99/ane@x? a target",
    "latency fit --out out.json --target my/ane@coreml-ios18": "the table has no timings of it",
    "latency fit --out folder --target iphone-13/ane": "--out: with --target it is a .json file",
    "latency fit --out out --like iphone-13/ane": "--like: needs --target",
    "latency import few.csv --map secret --out out.csv": "map 'secret' is neither a .toml file nor",
    "latency import few.csv --map space.toml --out out.csv": "space.toml: ",
    "latency import few.csv --map seed_latency --map seed_latency --out o": "--map: one for each",
    "latency import few.csv --map seed_latency --out out.csv": "few.csv: ",
    "latency import few.csv --out out.csv": "--map: one for each file that needs one, got 0 of 1",
    "latency import no.mlperf --out out.csv": "results of a device need --suite",
    "latency import no.mlperf --subject mobilenet_v2 --out o.csv": "no such folder (of 1 rows none",
    "latency import no.json --suite nowhere --out out.csv": "--suite: nowhere is not a folder",
    "latency placement few.csv --subject mobilenet_v2": "few.csv: column 'file, units",
    "latency placement few.csv": "give --suite, the folder, or --subject",
    "latency measure --target iphone-13/ane --out out.csv": "is none of this machine's",
    "latency measure --target host/cpu@torch-eager --space secret --out o.csv": "space 'secret' is",
    "latency measure --target host/cpu@torch-eager --rounds 1 --out o.csv": "rounds must be 2 or",
    "latency measure --out o.csv": "measure: give either --target or --on",
    "latency measure suite --on mac --plan few.csv --out o.csv": "--plan: belongs to --target",
    "latency measure suite --on mac --rounds 24 --seed 0 --out o.csv": "--rounds, --seed: belongs",
    "latency measure --target host/cpu@torch-eager --mode burst --out o.csv": "--mode: belongs to",
    "latency measure --target host/cpu@torch-eager --plan few.csv --out o.csv": "column 'role,",
    "latency measure --target host/cpu@torch-eager --plan phone.csv --out o.csv": "a plan for",
    "latency plan --space space.toml --target my/ane@coreml-ios18 --minutes inf": "at most 100000",
    "latency plan --space space.toml --target my/ane@coreml-ios18 --seed -1": "seed must be 0 or",
    "latency synthetic phone.csv --out new.csv --seed -1": "seed must be 0 or more, got -1",
    "latency app --out full": "--out: full holds something else",
    "latency fit few.csv --out out": "at least 4 are needed, or a known phone as the prior (--",
    "latency fit empty.csv --out out": "empty.csv: ",
    "latency fit binary.csv --out out": "binary.csv: ",
    "latency fit missing.csv --out out": "missing.csv: cannot be read",
    "latency fit --out file": "--out: file is not a folder",
    "latency validate negative.csv": "negative.csv: row 2: latency_ms",
    "latency validate few.csv": "at least 4 are needed",
    # training
    "train": "train: give ARCH, --data and --out, or --run of a search, or --resume FOLDER",
    "train mobilenet_v2 --data digits": "train: give ARCH, --data and --out",
    "train mobilenet_v2 --data nowhere --out r": "data 'nowhere': no such folder or table",
    "train mobilenet_v2 --data digits --out r --recipe qick": "recipe 'qick': no such recipe",
    "train mobilenet_v2 --data digits --out r --epochs 0": "key 'epochs' must be a whole number",
    "train mobilenet_v2 --data digits --out r --batch 4000": "a step takes 4000 x 1 images",
    "train mobilenet_v2 --data digits --out r --val-share 1": "val share: must lie between 0 and 1",
    "train mobilenet_v2 --data digits --out r --device tpu": "device 'tpu': must be one of",
    "train mobilenet_v2 --data digits --out r --weights no": "no: no such file",
    "train mobilenet_v2 --data digits --out r --timm x": "--timm: needs --weights",
    "train mobilenet_v2 --data digits --out file/r": "can't be a run's folder",
    "train --run norun": "norun: holds no run",
    "train --run corrupt": "run.toml: corrupt: needs a table [run]",
    "train mobilenet_v2 --run norun": "--run: takes its networks from the front",
    "train --run norun --out r": "leave out ARCH, --out, --weights, --timm and --quantise",
    "train --run norun --resume r": "--run: can't be changed when a run goes on",
    "train --picks 2": "--picks: needs --run, the folder of a search",
    "train --resume r": "r: holds no training",
    "train --resume r --epochs 3": "--epochs: can't be changed when a run goes on",
    # supernets
    "supernet train": "supernet train: give SPACE, --data and --out, or --resume FOLDER",
    "supernet train fbnet --resume r": "or --resume FOLDER, and --data",
    "supernet train secret --data digits --out r": "space 'secret' is unknown; known: ",
    "supernet train repvit_like --data digits --out r": "stage2 can't share weights: block 'rv'",
    "supernet train fbnet --data digits --out r --schedule no": "schedule 'no': no such schedule",
    "supernet train fbnet --data digits --out r --recipe qick": "recipe 'qick': no such recipe",
    "supernet train --resume r": "r: holds no training of a supernet",
    "supernet evaluate missing": "missing: no such file",
    "supernet evaluate few.csv": "few.csv: is truncated or no safetensors file",
    "supernet evaluate few.csv --random -1": "--random: from 0 to 100000, got -1",
    "supernet extract few.csv mobilenet_v2 --out w": "few.csv: is truncated or no safetensors file",
    # packages
    "compress mobilenet_v2 --out m": "compress: give --scheme NAME or --sweep",
    "compress mobilenet_v2 --out m --scheme int3": "scheme 'int3': no such scheme; known are",
    "compress mobilenet_v2 --out m --scheme w8a8": "is trained; give the weights that palmette",
    "compress mobilenet_v2 --out m --scheme int8 --data digits": "--data: is for --sweep",
    "compress mobilenet_v2 --out m --sweep --most-loss 2": "--most-loss: is for --data",
    "compress w.safetensors --out m --images 2": "w.safetensors: no such file",
    "compress m.mlpackage --out m --scheme int8 --ios 17": "--ios: is for ARCH; a package has its",
    "compress mobilenet_v2 --out m --scheme int4 --ios 16": "--ios 16: scheme 'int4' needs iOS18",
    "compress mobilenet_v2 --out m --sweep --ios 15": "packages are for iOS16, iOS17, iOS18, iOS26",
    "compress mobilenet_v2 --out no/m --scheme int8": "output no/m: its folder does not exist",
    "compress m.mlpackage --out m --scheme int8": "package m.mlpackage: does not exist",
    "compress m.mlpackage --out m --sweep --data digits --most-loss -1": "most_loss: from 0 to",
    "compress few.safetensors --out m": "few.safetensors: no such file",
    "train mobilenet_v2 --data digits --out r --quantise": "--quantise: needs --weights",
    "export mobilenet_v2 --target iphone-13/ane --out m --weights few.csv": "is truncated or no",
    "export mobilenet_v2 --target iphone-99/ane --out m": KNOWN,
    "export nonsense --target iphone-13/ane --out m": "network 'nonsense' is not in the zoo",
    "export nets.py:net --target iphone-13/ane --out m --batch 2": "--batch: is for architectures",
    "export mobilenet_v2 --target iphone-13/ane --out file/m": "file/m.mlpackage: ",
    "export mobilenet_v2 --target iphone-13/ane --out m --kind tflite": "unknown format 'tflite'",
    "export mobilenet_v2 --target iphone-13/ane --out m --labels no": "labels file no: cannot be",
    "export mobilenet_v2 --target iphone-13/ane --out m --nms none": "nms: a 'head' head gives no",
    "export mobilenet_v2 --target iphone-13/ane --out m --task ssd --nms x": "unknown form 'x'",
    "export mobilenet_v2 --target iphone-13/ane --out m --task ssd --iou 2": "iou: must be",
    "export mobilenet_v2 --target iphone-11/ane --out m --task ssd --nms program": "nms: 'program'",
    "export mobilenet_v2 --target iphone-13/ane --out m --task ssd --class-map": "scores no pixels",
    "export mobilenet_v2 --target iphone-13/ane --out m --labels few.csv": "but 2 labels are given",
    "export training --target iphone-13/ane --out m": "training: holds no best.safetensors",
    "export mobilenet_v2 --target iphone-13/ane --out m --weights full": "full: holds no best.safe",
    "export mobilenet_v2 --target iphone-13/ane --out m --size 224*224": "HEIGHTxWIDTH in px",
    "export mobilenet_v2 --target iphone-13/ane --out m --sizes 224": "from 2 to 128 can be",
    "export mobilenet_v2 --target iphone-13/ane --out m --size-range 9": "a range is LEAST..MOST",
    "export mobilenet_v2 --target iphone-13/ane --out m --size-range 8..9": "is not in 8x8..9x9",
    "export mobilenet_v2 --target iphone-13/ane --out m --task ssd --sizes 300,320": "made for one",
    "export mobilenet_v2 --target iphone-13/ane --out m --batch 2": "an image input is one image",
    "export mobilenet_v2 --target iphone-13/ane --out m --input video": "known kinds are",
    "export mobilenet_v2 --target iphone-13/ane --out m --ios 14": "'mlprogram' is written for",
    "export mobilenet_v2 --target iphone-11/ane --out m --ios 18": "'mlprogram' is",
    "export mobilenet_v2 --target iphone-13/ane --out m --std 0.2,0.2": "one number or three",
    "export mobilenet_v2 --target iphone-13/ane --out m --std 0": "--std: must be above 0",
    "export mobilenet_v2 --target iphone-13/ane --out m --outputs a,b": "but 2 names are given",
    "export mobilenet_v2 mobilenet_v2 --target iphone-13/ane --out m": "2 networks need as many",
    "export mobilenet_v2 --target iphone-13/ane --out m --functions a": "two or more, got 1",
}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_line_of_help_and_leaves_nothing(
    palmette: Palmette, files: Path, command: str
) -> None:
    before = listing(files)
    answer = palmette(*command.split())
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1 and answer.err.endswith("\n")
    assert MISTAKES[command] in answer.err
    assert "Traceback" not in answer.err
    found = listing(files)
    assert {name: found.get(name) for name in before} == before
    assert {name.partition("/")[0] for name in found.keys() - before.keys()} <= {"__pycache__"}


def test_an_unknown_target_lists_every_known_one(palmette: Palmette) -> None:
    error = palmette("predict", "mobilenet_v2", "--target", "iphone-99/ane").err
    assert all(target.alias in error for target in TARGETS.values())


def test_a_mistake_in_a_real_process_is_one_line_and_code_two(files: Path) -> None:
    program = [sys.executable, "-c", "from palmette.cli import main; main()"]
    done = subprocess.run(
        [*program, *f"{BUDGET} 0.1".split()],
        cwd=files,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: budget of 0.1 ms: ")
    assert done.stderr.count("\n") == 1


def test_a_disk_that_refuses_is_one_line(
    palmette: Palmette, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = listing(files)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device", "run.toml")

    monkeypatch.setattr("palmette.space.run_file.write_text", full)
    answer = palmette(*SEARCH, "--budget-ms", "6", "--out", "run")
    assert answer.code == 2
    assert answer.err == "error: [Errno 28] No space left on device: 'run.toml'\n"
    assert listing(files) == before


def test_a_reader_that_stops_early_is_no_error() -> None:
    command = (
        f"{sys.executable} -c 'from palmette.cli import main; main()' zoo list --json | head -c1"
    )
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"[", b"")


def test_an_interrupt_before_a_run_began_promises_no_folder(
    palmette: Palmette, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    before = listing(files)
    monkeypatch.setattr("palmette.search.run", interrupt)
    answer = palmette(*SEARCH, "--budget-ms", "6")
    assert answer.code == 130
    assert answer.err == "interrupted; go on with: the same command; nothing was kept yet\n"
    assert listing(files) == before


def test_an_interrupt_names_the_folder_to_go_on_with(
    palmette: Palmette, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("palmette.search.proposals.evolve", interrupt)
        answer = palmette(*SEARCH, "--budget-ms", "6")
    assert answer.code == 130
    command = "palmette search --resume runs/iphone-11-ane-6ms"
    assert answer.err == f"interrupted; go on with: {command}\n"
    assert palmette(*command.split()[1:]).code == 0


# --- answers --------------------------------------------------------------------------------------


def test_a_search_prints_picks_references_guards_and_where_it_is(
    palmette: Palmette, files: Path
) -> None:
    answer = palmette(*SEARCH, "--budget-ms", "6")
    assert (answer.code, answer.err) == (0, "")
    for words in ("mobilenet_v2", "the pick: ", "runs/iphone-11-ane-6ms (", "0.8"):
        assert words in " ".join(answer.out.split())
    lines = answer.out.splitlines()
    assert not any(line.endswith("none") for line in lines)
    assert [line.partition(" (")[0] for line in lines[-2:]] == [
        "next: palmette report runs/iphone-11-ane-6ms",
        "next: palmette train --run runs/iphone-11-ane-6ms --data IMAGES",
    ]
    assert (files / "runs" / "iphone-11-ane-6ms" / "front.html").is_file()


def test_every_option_of_a_search_reaches_the_run(palmette: Palmette, files: Path) -> None:
    given = {
        "space": "space.toml",
        "confidence": 0.7,
        "params_m": 5.0,
        "macs_m": 280.0,
        "lam": 1.5,
        "recipe": "timm_ra",
        "evaluations": 1100,
        "shortlist": 5,
        "seed": 9,
        "predictor": "iphone-13.json",
        "accuracy": "prior",
        "trials": 20,
        "sampler": "palmette",
        "budget": "latency",
        "package_mb": 30.0,
        "peak_memory_mb": 9.0,
        "precision": "float16",
    }
    options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    found = palmette(
        "search",
        "--target=iphone-13/ane",
        "--budget-ms=0.8",
        "--extrapolate",
        "--exportable",
        "--json",
        *options,
    ).json
    assert found["config"] == given | {
        "target": "iphone-13/ane@coreml-ios16",
        "budget_ms": 0.8,
        "extrapolate": True,
        "exportable": True,
        "data": None,
        "warm_start": True,
        "halving": False,
        "epochs": None,
        "reward": None,
        "start": None,
    }
    assert len(found["front"]) <= 5


def test_a_search_answers_in_json_and_again_when_resumed(palmette: Palmette, files: Path) -> None:
    first = palmette(*SEARCH, "--budget-ms", "6", "--out", "run", "--json")
    assert (first.code, first.err) == (0, "")
    assert first.json["folder"] == "run"
    assert first.json["package"] is None
    assert max(row["ms_at_confidence"] for row in first.json["front"]) <= 6.0
    assert palmette("search", "--resume", "run", "--json").json == first.json


def test_a_search_exports_its_pick(palmette: Palmette, files: Path) -> None:
    found = palmette(*SEARCH, "--budget-ms", "6", "--out", "run", "--json", "--export").json
    assert found["package"] == f"run/models/{found['pick']['id']}.mlmodel"
    assert Path(found["package"]).is_file()


def test_predictions_answer_in_json(palmette: Palmette, files: Path) -> None:
    (files / "v2.json").write_text(load("mobilenet_v2").to_json())
    answers = [
        palmette("predict", name, "--target", "iphone-13/ane", "--json").json
        for name in ("mobilenet_v2", load("mobilenet_v2").to_text(), "v2.json")
    ]
    assert answers[0] == answers[1] == answers[2]
    found = answers[0]
    assert found["target"] == "iphone-13/ane@coreml-ios16"
    assert 0 < found["lower_ms"] < found["ms"] < found["upper_ms"]
    assert sum(op["ms"] for op in found["ops"]) <= found["ms"] * (1 + 1e-9)


def test_a_module_of_ones_own_is_predicted_at_its_resolution(
    palmette: Palmette, files: Path
) -> None:
    def ms(*more: str) -> float:
        answer = palmette("predict", "nets.py:net", "--target", "iphone-13/ane", "--json", *more)
        return float(answer.json["ms"])

    assert ms() == ms("--resolution", "224") < ms("--resolution", "448")


def test_the_printed_prediction_has_the_interval_and_the_dearest_ops(palmette: Palmette) -> None:
    answer = palmette("predict", "mobilenet_v2", "--target", "iphone-11/ane")
    assert answer.code == 0
    assert "ms, 80% interval " in answer.out
    assert answer.out.count("%") >= 16


def test_accuracy_answers_in_json(palmette: Palmette) -> None:
    found = palmette("accuracy", "mobilenet_v2", "--recipe", "timm_ra", "--json").json
    assert found["rung"] == "prior" and found["recipe"] == "timm_ra"
    assert found["lower"] < found["top1"] < found["upper"]
    assert "cross-validated MAE" in palmette("accuracy", "mobilenet_v2").out


def test_accuracy_of_blocks_outside_the_fit_says_how_far_it_is_off(palmette: Palmette) -> None:
    (row,) = palmette("accuracy", "mobileone_s1", "--json").json["widened"]
    assert (row["family"], row["share"], row["networks"]) == ("one", 1.0, 5)
    line = (
        f"widened: sigma^2 by {row['variance']:.1f}, 'one' blocks, 100% of those that count, are"
        " outside the fit; on 5 published networks with them the prior is off by"
        f" {row['bias']:+.1f} points, spread {row['spread']:.1f}"
    )
    assert line in palmette("accuracy", "mobileone_s1").out.splitlines()
    assert "widened" not in palmette("accuracy", "mobilenet_v2").out


def test_an_export_answers_in_json(palmette: Palmette, files: Path) -> None:
    small = "32x32 stem_k3_s2_c8_relu | ds_r1_k3_s2_c16_relu | head_c32_relu_n4"
    answer = palmette("export", small, "--target", "iphone-11/ane", "--out", "net", "--json")
    assert answer.json["package"] == "net.mlmodel"
    assert answer.json["predicted_ms"] > 0
    assert (files / "net.mlmodel").is_file()


@pytest.mark.sweep
def test_an_export_takes_sizes_and_says_all_that_is_known_of_it(
    palmette: Palmette, files: Path
) -> None:
    from palmette.cli import export
    from palmette.export.package import read_spec

    small = "32x32 stem_k3_s2_c8_relu | ds_r1_k3_s2_c16_relu | head_c32_relu_n4"
    out = ("--target", "iphone-13/ane", "--out")
    std = ("--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225")
    palmette("export", small, *out, "a", "--size", "48x40", "--ios", "17", *std)
    spec = read_spec(files / "a.mlpackage")
    image, told = spec.description.input[0].type.imageType, spec.description.metadata.userDefined
    assert (image.height, image.width, spec.specificationVersion) == (48, 40, 8)
    assert told["image_scaled_by"] == "op"
    assert float(told["image_scale"].split()[0]) == 1 / (255 * 0.229)
    ms = [float(told[f"predicted_ms{end}"]) for end in ("_lower", "", "_upper")]
    assert ms == sorted(ms) and told["predicted_ms_confidence"] == "0.8"
    assert len(told["predictor"]) == 16
    assert "accuracy_rung" not in told  # the prior says nothing of four classes

    known = export.accuracy_metadata(export.Network(load("mobilenet_v3_small")))
    low, _, high = known["estimated_top1_interval"].split()
    assert float(low) < float(known["estimated_top1"]) < float(high)
    assert known["accuracy_rung"] == "prior, mean recipe"

    answer = palmette("export", small, *out, "b", "--sizes", "32x32,48x48", "--functions", "s,m")
    assert answer.code == 0 and " ms and " in answer.out
    described = read_spec(files / "b.mlpackage").description.functions
    assert [f.input[0].type.imageType.height for f in described] == [32, 48]


def test_a_network_is_compressed_on_its_way(palmette: Palmette, files: Path) -> None:
    small = "32x32 stem_k3_s2_c8_relu | cn_r1_k3_s2_c16_relu | head_n4"
    answer = palmette("compress", small, "--scheme", "int4", "--out", "net", "--json").json
    assert (answer["package"], answer["system"]) == ("net.mlpackage", "iOS18")
    assert [layer["compressed"] for layer in answer["layers"]] == [False, True, False]
    assert 0 < answer["worst_layer_error"] < 0.2 and answer["worst_layer"] == "stages_0_0_conv"
    assert [path.name for path in files.glob("*.mlpackage")] == ["net.mlpackage"]
    again = palmette("compress", "net.mlpackage", "--scheme", "int8", "--out", "again")
    assert again.code == 2 and "is compressed already (int4)" in again.err


@pytest.mark.sweep
def test_a_detector_is_exported_with_its_suppression(palmette: Palmette, files: Path) -> None:
    from palmette.export.package import read_spec

    small = (
        "64x64 stem_k3_s2_c8_relu | ds_r1_k3_s2_c16_relu | ds_r1_k3_s2_c16_relu"
        " | ssdlite_t4.8_n2_relu6"
    )
    (files / "labels.txt").write_text("cat\ndog\n")
    options = ["--labels", "labels.txt", "--iou", "0.5", "--confidence", "0.1"]
    palmette("export", small, "--target", "iphone-13/ane", "--out", "net", *options)
    nms = read_spec(files / "net.mlpackage").pipeline.models[1].nonMaximumSuppression
    assert (nms.iouThreshold, nms.confidenceThreshold) == (0.5, 0.1)
    assert list(nms.stringClassLabels.vector) == ["cat", "dog"]
    palmette("export", small, "--target", "iphone-13/ane", "--out", "bare", "--nms", "none")
    assert read_spec(files / "bare.mlpackage").WhichOneof("Type") == "mlProgram"


def test_a_task_is_predicted_with_its_backbone(palmette: Palmette) -> None:
    def predicted(*more: str) -> Any:
        return palmette(
            "predict", "mobilenet_v2", "--target", "iphone-13/ane", "--json", *more
        ).json

    detector = predicted("--task", "ssdlite", "--resolution", "320")
    text = palmette("zoo", "show", "mobilenet_v2", "--task", "ssdlite").out.strip()
    network = Architecture.from_text(text).with_resolution(320)
    assert [row["op"] for row in detector["ops"]] == [op.to_text() for op in network.ops()]
    assert detector["ms"] > predicted()["ms"]
    few = predicted("--task", "classifier", "--classes", "10")
    assert few["ops"][-1]["op"] == "linear 1280 -> 10"


def test_a_training_tells_a_log_file_how_it_stands(
    palmette: Palmette, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["palmette.cli.log_lines"], "EVERY_S", 0.0)
    small = "8x8 stem_k3_s2_c8_relu | ds_r1_k3_s1_c16_relu | head_c32_relu"
    answer = palmette("train", small, "--data", "digits", "--epochs", "1", "--out", "run")
    lines = answer.err.splitlines()
    steps = [int(line.split(", ")[1].split("/")[1]) for line in lines]
    assert len(lines) == steps[0] and lines[0].startswith("epoch 1/1, step 1/")
    assert re.fullmatch(r"epoch 1/1, step \d+/\d+, loss \d+\.\d+, \d+ img/s", lines[-1])


def test_a_trained_network_is_exported_with_its_weights(palmette: Palmette, files: Path) -> None:
    small = "8x8 stem_k3_s2_c8_relu | ds_r1_k3_s1_c16_relu | head_c32_relu"
    run = ("--data", "digits", "--epochs", "1", "--device", "cpu", "--out", "run", "--json")
    found = palmette("train", small, *run).json
    assert found["epochs"] == 1 and 0 < found["top1"] < 1 and found["skipped_images"] == 0
    assert palmette("train", "--resume", "run", "--json").json == found
    told = palmette("train", "--resume", "run")
    assert told.err == "run: was finished already; nothing was trained\n"
    lines = dict(line.split(": ", 1) for line in told.out.splitlines())
    assert lines["top1"] == f"{100 * found['top1']:.1f} %" and "top5" in lines
    assert lines["images"] == "1438 to train on, 359 to validate with"
    assert lines["classes"] == "10 (0, 1, 2, 3, 4, 5, 6, 7, ...)"
    assert lines["next"].startswith("palmette export run/best.safetensors --target TARGET --out ")
    script = "import sys; from palmette.cli import main\ntry: main()\nfinally: print(*sys.modules)"
    alone = subprocess.run(
        [sys.executable, "-c", script, "train", "--resume", "run"], capture_output=True, text=True
    )
    assert "palmette.train.trained" in alone.stdout and " torch " not in alone.stdout
    out = ("--target", "iphone-11/ane", "--out", "net", "--weights", found["weights"])
    answer = palmette("export", small, *out)
    assert answer.code == 0 and "weights proven" in answer.out
    trained = read_weights(files / "run" / "best.safetensors")
    assert verify_weights(files / "net.mlmodel", trained.module()).layers == 5
    other = palmette("export", small.replace("k3_s1", "k5_s1"), *out)
    assert other.code == 2 and "belong to another architecture" in other.err


SUPERNET = """
format = "palmette/space@1"
[network]
resolution = 32
activation = "relu"
[stem]
channels = 8
[[stages]]
stride = 2
channels = [8, 12]
kernel = [3, 5]
expansion = 2
depth = [1, 2]
se = 0
[head]
channels = 16
"""


@pytest.mark.sweep
def test_a_network_of_a_supernet_is_estimated_extracted_and_exported(
    palmette: Palmette, files: Path
) -> None:
    (files / "few.toml").write_text(SUPERNET)
    run = ("--data", "procedural:200", "--epochs", "1", "--device", "cpu", "--out", "run", "--json")
    found = palmette("supernet", "train", "few.toml", *run).json
    assert found["file"] == "run/supernet.safetensors" and found["epoch"] == 1
    assert palmette("supernet", "train", "--resume", "run", "--json").json == found

    file = found["file"]
    ends = palmette("supernet", "evaluate", file, "--json").json
    assert [row["top1"] for row in ends] == [100 * found["top1"], 100 * found["top1_smallest"]]
    assert ends[0]["macs_m"] > ends[1]["macs_m"]
    table = palmette("supernet", "evaluate", file, ends[0]["text"], "--random", "2")
    assert table.code == 0 and f"{ends[0]['top1']:.1f} %" in table.out

    weights = palmette("supernet", "extract", file, ends[1]["text"], "--out", "w", "--json").json
    assert (weights["top1"], weights["id"]) == (ends[1]["top1"], ends[1]["id"])
    out = ("--target", "iphone-11/ane", "--out", "net", "--weights", "w")
    answer = palmette("export", ends[1]["text"], *out)
    assert answer.code == 0 and "weights proven" in answer.out
    verify_weights(files / "net.mlmodel", read_weights(files / "w").module())
    outside = palmette("supernet", "extract", file, "mobilenet_v2", "--out", "w2")
    assert outside.code == 2 and "is not in space 'few'" in outside.err


def test_lists_answer_in_json(palmette: Palmette) -> None:
    assert [row["target"] for row in palmette("targets", "--json").json] == list(TARGETS)
    assert [row["name"] for row in palmette("zoo", "list", "--json").json] == list(ZOO)
    assert {row["name"] for row in palmette("space", "list", "--json").json} >= {"mobilenet_v2"}
    assert palmette("space", "show", "mnasnet", "--json").json["name"] == "mnasnet"
    assert palmette("zoo", "show", "fbnet_c", "--json").json["format"] == "palmette/architecture@1"
    checked = palmette("zoo", "check", "--json").json
    shares = ["share_params_ok", "share_macs_ok", "share_macs_ok_authors"]
    assert list(checked) == ["networks", *shares, "rows"]
    assert [row["name"] for row in checked["rows"]] == list(ZOO)


@pytest.mark.parametrize("command", ["targets", "zoo list", "zoo check", "space list"])
def test_lists_for_people_name_everything(palmette: Palmette, command: str) -> None:
    answer = palmette(*command.split())
    found = palmette(*command.split(), "--json").json
    assert (answer.code, answer.err) == (0, "")
    for row in found["rows"] if command == "zoo check" else found:
        assert row.get("target", row.get("name")) in answer.out


def test_a_target_with_few_timings_is_shown_with_its_anchors(palmette: Palmette) -> None:
    rows = {row["target"]: row for row in palmette("targets", "--json").json}
    row = rows["iphone-15-pro/ane@coreml-ios17"]
    assert (row["anchors"], row["prior"]) == (2, "iphone-13/ane@coreml-ios16")
    assert row["held_out_mape"] == pytest.approx(load_predictor("iphone-15-pro/ane").mape, abs=0.05)
    assert row["interval_factor_80"] > 1.3
    assert rows["iphone-13/ane@coreml-ios16"]["anchors"] is None
    assert "2 anchors" in palmette("targets").out and "6.4 %" in palmette("targets").out
    asked = ("predict", "mobilenet_v2", "--target", "iphone-15-pro/ane")
    said = palmette(*asked).out
    assert "2 anchors: few networks were timed on it" in said
    assert "each left out in turn these are missed by 6.4 %" in said
    assert palmette(*asked, "--json").json["anchors"] == 2
    other = ("predict", "mobilenet_v2", "--target", "iphone-13/ane")
    assert "anchors" not in palmette(*other).out
    assert palmette(*other, "--json").json["anchors"] is None


@pytest.mark.parametrize("command", ["list", "check"])
def test_tables_of_the_zoo_have_a_line_for_each_network_of_80_columns(
    palmette: Palmette, command: str
) -> None:
    lines = palmette("zoo", command).out.splitlines()
    assert max(map(len, lines)) <= 80
    firsts = [line.split(" ")[0] for line in lines]
    assert all(firsts.count(name) == 1 for name in ZOO)
    # families, in their order, stand alone before theirs
    assert [line for line in lines if line in FAMILY_OF.values()] == list(
        dict.fromkeys(FAMILY_OF.values())
    )


def test_a_check_for_people_explains_what_is_apart_and_nothing_else(palmette: Palmette) -> None:
    out = palmette("zoo", "check").out
    assert "\nefficientnet_lite0: MACs: the README counts" in out
    assert "\nfbnet_c: " not in out  # within three percent, though its row has a note
    assert "efficientnet_edgetpu_s" in out and " - " in out  # nobody printed its MACs


NEEDED = ", ".join(REQUIRED)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"format": "palmette/measurements@1"}', "palmette latency import t.csv"),
        ('{"format": "palmette/predictor@1"}', "--predictor t.csv"),
        ('[{"ms": 1}, {"ms": 2}]', "palmette latency import"),
        (
            '{"model": "a", "ms": 1}',
            f"as CSV, a row each, with the columns {NEEDED}",
        ),
        ('{"format": "palmette/space@1"}', "it has no format that palmette knows"),
    ],
)
def test_a_fit_says_what_a_json_file_is_and_which_command_takes_it(
    palmette: Palmette, files: Path, content: str, words: str
) -> None:
    (files / "t.csv").write_text(content)
    for command in ("latency fit t.csv --out o", "latency validate t.csv"):
        answer = palmette(*command.split())
        assert (answer.code, answer.out) == (2, "")
        assert "t.csv: is JSON" in answer.err and words in answer.err
        assert "comma" not in answer.err


def test_an_export_says_that_a_package_was_replaced(
    palmette: Palmette, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = files / "m.mlpackage"
    module = sys.modules["palmette.cli.export"]
    monkeypatch.setattr(module, "_export", lambda *_: (package, [1.0]))
    line = ("export", "mobilenet_v2", "--target", "iphone-13/ane", "--out", "m")
    assert ": weights proven; 1 ms predicted" in palmette(*line).out
    package.mkdir()
    (package / "Manifest.json").write_text("{}")
    assert ": replaced; weights proven; 1 ms predicted" in palmette(*line).out


def test_json_that_is_cut_is_told_as_such(palmette: Palmette, files: Path) -> None:
    (files / "t.csv").write_text('{"format":')
    answer = palmette("latency", "fit", "t.csv", "--out", "o")
    assert (answer.code, answer.out) == (2, "")
    assert "t.csv: is neither a table in CSV nor whole JSON" in answer.err


def test_an_explanation_names_what_made_a_network_leave_and_no_row_of_nothing(
    palmette: Palmette,
) -> None:
    out = palmette("explain", "mobilenet_v3_small", "--target", "iphone-11/ane").out
    assert "gates (squeeze-and-excitation) put it on iphone-11/gpu" in out
    assert " 0.0000 " not in out and "it leaves the unit and comes back" in out


def test_a_fit_answers_in_json_and_its_predictors_can_be_searched_with(
    palmette: Palmette, files: Path
) -> None:
    timings = published_timings()
    mine = timings[timings["target"] == "iphone-13/ane@coreml-ios16"]
    mine.to_csv(files / "mine.csv", index=False)
    found = palmette("latency", "fit", "mine.csv", "--out", "out", "--json").json
    assert list(found) == ["iphone-13/ane@coreml-ios16"]
    (predictor,) = (files / "out").iterdir()
    assert json.loads(predictor.read_text("utf-8"))["timed_ms"]["mobilenet_v2"] == 0.73
    told = palmette("latency", "fit", "mine.csv", "--drop-timings", "--out", "dropped").out
    (dropped,) = (files / "dropped").iterdir()
    searched = f"--target {next(iter(found))} --predictor dropped/{dropped.name}"
    assert f"next: palmette search {searched} --budget-ms MS (" in told
    assert "timed_ms" not in json.loads(dropped.read_text("utf-8"))
    answer = palmette(
        *("search", "--target", "iphone-13/ane", "--budget-ms", "0.8", "--space", "space.toml"),
        *("--evaluations", "1000", "--predictor", str(predictor), "--json"),
    )
    assert answer.code == 0 and len(answer.json["front"]) > 3


@pytest.mark.slow
def test_a_validation_answers_in_json_below_its_tables(palmette: Palmette) -> None:
    answer = palmette("latency", "validate", "--json")
    assert answer.json["targets"] == sum(bool(target.family) for target in TARGETS.values())
    assert len(answer.out.splitlines()) == 1

"""A small suite from its plan to its manifest: proven, reproducible, resumed, nothing left over."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import palmette
from palmette.export import ExportError
from palmette.export.interpreter import Interpreter
from palmette.export.package import read_spec
from palmette.latency.chains import Chain
from palmette.latency.host.subjects import build_subject
from palmette.latency.planning.plan import Plan, Planned
from palmette.latency.suite.ledger import LEDGER, opened
from palmette.latency.suite.manifest import MANIFEST, Entry, hash_package, read_manifest
from palmette.latency.suite.packages import UNDER_WAY
from palmette.latency.suite.probes import Probe
from palmette.latency.suite.settings import SETTINGS, Settings
from palmette.latency.suite.values import SEED, settle
from palmette.latency.suite.write import Suite, write_suite
from palmette.space import Architecture, InputError

TARGET = "my-phone/ane@coreml-ios17"
BLOCK = "ir_r1_k3_s1_e2_c8_relu6"
NETWORK = "32x48 stem_k3_s2_c8_relu | ds_r1_k3_s2_c8_relu6 | head_n4"
OP = "conv 8x8x8 -> 8x8x8 ; add 8x8x8 + 8x8x8 -> 8x8x8"
REFUSED = "other 8x8x8 -> 8x8x8"


def planned(kind: str, subject: str, role: str, target: str = TARGET) -> Planned:
    return Planned(kind, subject, role, target, 1.0)


PLAN = Plan(
    (
        planned("network", NETWORK, "calibration"),
        planned("op", OP, "op"),
        planned("op", REFUSED, "op"),
        planned("chain", f"2*({BLOCK})@8x8x8", "chain"),
        planned("probe", f"3*({BLOCK})@8x8x8 + 1*sigmoid@float32", "probe"),
        planned("network", NETWORK, "anchor"),
        # other units are asked for when it is timed
        planned("op", OP, "op", "my-phone/gpu@coreml-ios17"),
    )
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("suite") / "made"


@pytest.fixture(scope="module")
def suite(folder: Path) -> Suite:
    return write_suite(PLAN, folder, processes=2)


@pytest.fixture
def copied(suite: Suite, folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copied"))


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != LEDGER]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_subject_has_one_package_and_one_that_cannot_be_is_left_out(suite: Suite) -> None:
    assert (suite.made, suite.kept, suite.anchors) == (4, 0, 1)
    assert suite.lone_chains == (f"2*({BLOCK})@8x8x8",)
    ((kind, subject, reason),) = suite.left_out
    assert (kind, subject) == ("op", REFUSED) and "does not say what to run" in reason


def test_the_settings_ask_for_bursts_on_the_units_of_the_plan(suite: Suite, folder: Path) -> None:
    units, kinds = ("cpuAndGPU", "cpuAndNeuralEngine"), ("op", "chain", "network", "probe")
    assert Settings.read(folder) == suite.settings == suite.wanted
    assert suite.settings == Settings(units, {"burst": kinds})
    # the network twice, once as an anchor; three other subjects; all on both units
    assert suite.seconds == 2 * (2 + 3)


def test_the_manifest_is_what_lies_there(suite: Suite, folder: Path) -> None:
    entries = read_manifest(folder)
    assert entries == list(suite.entries)
    assert [entry.role == "anchor" for entry in entries] == [True, False, False, False, True]
    assert all(hash_package(folder / entry.file) == entry.sha256 for entry in entries)
    assert {entry.file for entry in entries} == {
        path.name for path in folder.iterdir() if path.name not in (MANIFEST, LEDGER, SETTINGS)
    }
    shapes = {entry.subject_kind: (entry.input_name, entry.input_shape) for entry in entries}
    assert shapes == {
        "network": ("image", "1x3x32x48"),
        "op": ("x0;x1", "1x8x8x8;1x8x8x8"),
        "chain": ("x", "1x8x8x8"),
        "probe": ("x", "1x8x8x8"),
    }
    assert {(entry.format, entry.system, entry.target) for entry in entries} == {
        ("mlprogram", "iOS17", TARGET)
    }


def module_of(entry: Entry) -> nn.Module:
    """The module of a subject, built anew, neither folded nor rounded."""
    if entry.subject_kind == "op":
        return build_subject((entry.subject_kind, entry.subject))[0]
    if entry.subject_kind == "network":
        return settle(Architecture.from_text(entry.subject).build(SEED), (3, 32, 48))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)
        chains = {"chain": Chain.from_text, "probe": Probe.from_text}
        return settle(chains[entry.subject_kind](entry.subject).build(), (8, 8, 8))


def test_every_package_gives_what_torch_gives(suite: Suite, folder: Path) -> None:
    random = torch.Generator().manual_seed(7)
    for entry in suite.entries[:-1]:
        names = entry.input_name.split(";")
        shapes = [[int(px) for px in text.split("x")] for text in entry.input_shape.split(";")]
        given = {
            name: torch.rand(shape, generator=random)
            for name, shape in zip(names, shapes, strict=True)
        }
        with torch.no_grad():
            wanted: Tensor = module_of(entry)(*(given[name].clone() for name in names))
        interpreter = Interpreter.from_package(folder / entry.file)
        for half, tolerance in ((False, 3e-3), (True, 2e-2)):
            (found,) = interpreter.run(given, half=half).values()
            assert found.shape == wanted.shape and bool(found.isfinite().all())
            assert (found - wanted).abs().max() < tolerance * wanted.abs().max(), entry.subject


def test_inputs_and_outputs_are_half_and_the_metadata_name_the_subject(
    suite: Suite, folder: Path
) -> None:
    for entry in suite.entries:
        about = read_spec(folder / entry.file).description
        for array in (*about.input, *about.output):
            assert array.type.multiArrayType.dataType == array.type.multiArrayType.FLOAT16
        told = about.metadata.userDefined
        assert (told["subject_kind"], told["subject"]) == (entry.subject_kind, entry.subject)
        assert told["target"] == TARGET and about.metadata.versionString == palmette.__version__


def test_a_chain_with_another_depth_is_not_alone(suite: Suite) -> None:
    (chain,) = (entry for entry in suite.entries if entry.subject_kind == "chain")
    deeper = replace(chain, subject=chain.subject.replace("2*", "6*"))
    assert replace(suite, entries=(*suite.entries, deeper)).lone_chains == ()


def test_what_is_there_is_kept_whatever_the_order(suite: Suite, copied: Path) -> None:
    before = contents(copied)
    again = write_suite(PLAN, copied)
    assert (again.made, again.kept, again.entries) == (0, 4, suite.entries)
    assert contents(copied) == before
    own = Settings(("all",), {"burst": ("op", "network"), "paced": ("network",)}, paced_s=7)
    (copied / SETTINGS).unlink()
    own.write(copied)
    other = write_suite(PLAN, copied, seed=1)
    assert Settings.read(copied) == other.settings == own != other.wanted
    # two timings of the network: a load, a second to warm up, and the calls
    assert other.seconds == 2 + 3 + 2 * (1.5 + 1 + 7)
    assert other.made == 0 and {*other.entries} != {*suite.entries}
    assert {entry.sha256 for entry in other.entries} == {entry.sha256 for entry in suite.entries}


def test_a_suite_that_was_killed_goes_on_and_takes_no_half_package(
    suite: Suite, folder: Path, copied: Path
) -> None:
    files = sorted({entry.file for entry in suite.entries})
    changed, unnoted, missing, _ = files
    with (copied / changed / "Manifest.json").open("a") as file:
        file.write(" ")
    lines = (copied / LEDGER).read_text().splitlines()
    kept = [line for line in lines if unnoted not in line]
    (copied / LEDGER).write_text("\n".join(kept) + '\n{"file": "chain-0')  # torn
    shutil.rmtree(copied / missing)
    half = copied / UNDER_WAY / ".palmette-export-x" / missing
    half.mkdir(parents=True)
    (half / "Manifest.json").write_text("{")
    (copied / MANIFEST).unlink()
    again = write_suite(PLAN, copied, processes=2)
    assert (again.made, again.kept) == (3, 1)
    assert contents(copied) == contents(folder)
    with opened(copied) as ledger, pytest.raises(InputError, match="another process is writing"):
        assert ledger and write_suite(PLAN, copied)


def test_another_version_makes_packages_anew(
    suite: Suite, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = Plan(tuple(row for row in PLAN.rows if row.kind == "op" and row.subject == OP))
    assert write_suite(only, copied).made == 0
    line = (copied / LEDGER).read_text().replace(f"palmette {palmette.__version__}", "palmette 0.0")
    (copied / LEDGER).write_text(line)
    found = write_suite(only, copied)
    assert (found.made, found.kept) == (1, 0)


def test_a_plan_without_a_single_package_is_an_error_and_leaves_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no package could be made, the first for 'other"):
        write_suite(Plan((planned("op", REFUSED, "op"),)), tmp_path / "a")
    assert not (tmp_path / "a" / MANIFEST).exists() and not (tmp_path / "a" / UNDER_WAY).exists()


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        (("host/cpu@torch-eager",), "runs no Core ML packages"),
        (("my-phone/ane@coreml-ios15",), "written for coreml-ios15; take iOS 16 or later"),
        (("my-phone/ane@coreml-ios17", "my-phone/ane@coreml-ios18"), "is for one runtime"),
    ],
)
def test_a_runtime_without_packages_is_refused_before_anything_is_written(
    targets: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    rows = [planned("op", OP, "op", target) for target in targets]
    with pytest.raises(InputError, match=reason):
        write_suite(Plan(tuple(rows)), tmp_path / "a")
    with pytest.raises(InputError, match="--processes: at least 1, got 0"):
        write_suite(PLAN, tmp_path / "a", processes=0)
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_a_suite_that_the_same_command_ends(
    suite: Suite, folder: Path, tmp_path: Path
) -> None:
    PLAN.write(tmp_path / "plan.csv")
    out, temporary = tmp_path / "out", tmp_path / "temporary"
    temporary.mkdir()
    code = "from palmette.cli import main; main()"
    words = ["latency", "suite", str(tmp_path / "plan.csv"), "--out", str(out)]
    command = [sys.executable, "-c", code, *words, "--processes", "2", "--json"]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    while not (out / LEDGER).exists() or not (out / LEDGER).stat().st_size:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / MANIFEST).exists()
    deadline = time.monotonic() + 60  # processes that converted for it end by themselves
    while list((out / UNDER_WAY).glob("palmette-export-*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    answer = json.loads(ended.stdout)
    assert (answer["packages"], answer["left_out"], answer["timings"]) == (4, 1, 5)
    assert answer["kept"] >= 1 and REFUSED in ended.stderr
    assert contents(out) == contents(folder)
    assert not [path for path in temporary.rglob("*") if path.suffix in (".mlpackage", ".mlmodel")]

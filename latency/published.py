"""From published figures to the shipped timing table `data/timings.csv`, by stated rules.

    python -m palmette.latency.published FIGURES_FOLDER

The folder holds `seed_latency.csv` (17 networks on three phones, March 2020) and
`iphone_latency_published.csv` (figures from papers and READMEs, each with its source).

Rules for 2020: every row, under the runtime of its phone (iPhone X: iOS 12, the others iOS 13).
Rules for iOS 16: whole networks that convolve (no attention, no shuffle), timed on all units of an
iPhone 13 by the iFormer paper's tables, or of an iPhone 12 on iOS 16 by Xcode's report in the
publications of RepViT and EfficientFormerV2; the iFormer table of backbones at 512 px for those
networks; if one network was printed twice for one phone, the figure with more digits, then the
first.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

import pandas as pd

from palmette.latency.timings import REQUIRED
from palmette.space.errors import InputError, expect
from palmette.space.files import write_text

SEED_RUNTIMES = {
    "iPhone 11": "coreml-ios13",
    "iPhone XS": "coreml-ios13",
    "iPhone X": "coreml-ios12",
}
EXTRA = ("input_kind", "requested_units", "precision", "repeats", "os_build", "flags")

MODELS: dict[tuple[str, str], str] = {
    ("MobileNetV2", "1.0"): "mobilenet_v2",
    ("MobileNetV2", "1.4"): "mobilenet_v2_1.4",
    ("MobileNetV3", "Large 0.75"): "mobilenet_v3_large_0.75",
    ("MobileNetV3", "Large 1.0"): "mobilenet_v3_large",
    ("MobileNetV4", "Conv-S"): "mobilenet_v4_conv_small",
    ("MobileNetV4", "Conv-M"): "mobilenet_v4_conv_medium",
    ("EfficientNet", "B0"): "efficientnet_b0",
    ("EfficientNet", "B1"): "efficientnet_b1",
    ("EfficientNet", "B2"): "efficientnet_b2",
    ("EfficientNet", "B3"): "efficientnet_b3",
    ("MobileOne", "S1"): "mobileone_s1",
    ("MobileOne", "S2"): "mobileone_s2",
    ("MobileOne", "S3"): "mobileone_s3",
    ("MobileOne", "S4"): "mobileone_s4",
    ("RepViT", "M0.9"): "repvit_m0.9",
    ("RepViT", "M1.0"): "repvit_m1.0",
    ("RepViT", "M1.1"): "repvit_m1.1",
    ("RepViT", "M1.5"): "repvit_m1.5",
    ("RepViT", "M2.3"): "repvit_m2.3",
    ("FastViT", "T8"): "fastvit_t8",
    ("FastViT", "T12"): "fastvit_t12",
    ("FastViT", "S12"): "fastvit_s12",
    ("RepNeXt", "M3"): "repnext_m3",
    ("RepNeXt", "M4"): "repnext_m4",
    ("ResNet50", ""): "resnet50",
    ("ResNet18", "backbone"): "resnet18_backbone_512",
    ("ResNet50", "backbone"): "resnet50_backbone_512",
    ("EfficientNet", "B0 backbone"): "efficientnet_b0_backbone_512",
    ("RepViT", "M1.1 backbone"): "repvit_m1.1_backbone_512",
    ("RepViT", "M1.5 backbone"): "repvit_m1.5_backbone_512",
}
"""Printed model and variant -> network; convolutional networks with a known layout only."""

# device in the figures -> target and the beginnings of the sources whose rows count
SOURCES: dict[str, tuple[str, tuple[str, ...]]] = {
    "iPhone 13": ("iphone-13/ane@coreml-ios16", ("iFormer paper",)),
    "iPhone 12": (
        "iphone-12/ane@coreml-ios16",
        (
            "THU-MIG/RepViT",
            "RepViT paper (arXiv 2307.09283) table 1",
            "snap-research/EfficientFormer images/eformerv2",
        ),
    ),
}


def seed_rows(figures: pd.DataFrame) -> pd.DataFrame:
    """Timing rows of the 2020 table."""
    device = figures["device"].str.lower().str.replace(" ", "-")
    runtime = figures["device"].map(SEED_RUNTIMES)
    units = figures["compute_unit"]
    return pd.DataFrame(
        {
            "subject_kind": "network",
            "subject": figures["network"],
            "target": device + "/" + units + "@" + runtime,
            "latency_ms": figures["latency_ms"],
            "source": "M. Hollemans, networks timed with Core ML, March 2020",
            "input_kind": "image",
            "requested_units": units,
            "precision": "",
            "repeats": "100",
            "os_build": runtime.str.replace("coreml-ios", "iOS "),
            "flags": "",
        }
    )


def modern_rows(figures: pd.DataFrame) -> pd.DataFrame:
    """Timing rows of the iOS 16 targets."""
    rows = []
    for figure in figures.to_dict("records"):
        target, sources = SOURCES.get(str(figure["device"]), ("", ()))
        subject = MODELS.get((str(figure["model"]), str(figure["variant"])))
        if subject is None or not str(figure["source"]).startswith(sources or ("-",)):
            continue
        if figure["runtime"] != "coreml" or figure["compute_units"] != "all":
            continue
        rows.append(
            {
                "subject_kind": "network",
                "subject": subject,
                "target": target,
                "latency_ms": figure["latency_ms"],
                "source": str(figure["source"]).split(", stored")[0],
                "input_kind": "",
                "requested_units": "all",
                "precision": str(figure["precision"]).replace("unknown", ""),
                "repeats": "",
                "os_build": str(figure["os"]).replace("not stated", ""),
                "flags": "digitised" if "read off chart" in str(figure["notes"]) else "",
            }
        )
    table = pd.DataFrame(rows)
    digits = table["latency_ms"].str.partition(".")[2].str.len()
    table = table.assign(digits=digits).sort_values("digits", ascending=False, kind="stable")
    table = table.drop_duplicates(["subject", "target"]).drop(columns="digits")
    return table.sort_values(["target", "subject"], kind="stable")


def build(folder: Path) -> str:
    """CSV text of the timing table from the two files of figures in a folder.

    Raises:
        InputError: a file is missing.
    """
    tables = []
    for name in ("seed_latency.csv", "iphone_latency_published.csv"):
        expect((folder / name).is_file(), f"{folder / name}: no such file of figures")
        tables.append(pd.read_csv(folder / name, dtype=str, keep_default_na=False))
    rows = pd.concat([seed_rows(tables[0]), modern_rows(tables[1])])
    return str(rows[[*REQUIRED, *EXTRA]].to_csv(index=False, lineterminator="\n"))


def main() -> None:
    """Write `data/timings.csv` from the folder named on the command line."""
    if len(sys.argv) != 2:
        raise InputError("usage: python -m palmette.latency.published FIGURES_FOLDER")
    path = Path(str(files("palmette.latency") / "data" / "timings.csv"))
    write_text(path, build(Path(sys.argv[1])))
    print(f"{path.name}: {len(pd.read_csv(path))} timings")


if __name__ == "__main__":
    main()

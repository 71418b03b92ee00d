"""How checks and comparisons of images are told."""

from __future__ import annotations

import json

from hermetic.outputs.oci.diff import Difference, FileDifference, ImageDiff, LayerDifference
from hermetic.outputs.oci.verify import ImageFinding
from hermetic.project.image_verifying import ImageCheck
from hermetic.report.images import image_check_text, image_diff_text


def check(*findings: ImageFinding, exact: bool = False) -> ImageCheck:
    return ImageCheck("train", "team/train:1", {"linux-64": "sha256:00"}, exact, {"linux-64": findings})


def test_findings_are_told_by_layer() -> None:
    told = image_check_text(
        check(
            ImageFinding(-1, "LD_PRELOAD", "variable", "the lock sets no such variable"),
            ImageFinding(3, "opt/x", "changed", "8 bytes, not 10", "numpy"),
        )
    )
    assert told.splitlines() == [
        "train: team/train:1 differs from its lock in 2 places",
        "  variable  image            LD_PRELOAD  the lock sets no such variable",
        "  changed   layer 3 (numpy)  opt/x       8 bytes, not 10",
    ]


def test_a_long_list_is_cut_and_a_machine_gets_all() -> None:
    found = check(*(ImageFinding(1, f"opt/{n}", "added") for n in range(150)))
    assert image_check_text(found).splitlines()[-1] == "  ... and 50 more; --json lists all"
    assert len(json.loads(json.dumps(found.to_dict()))["platforms"]["linux-64"]["findings"]) == 150


def test_what_is_right_is_one_line() -> None:
    assert image_check_text(check(exact=True)).endswith("file by file")
    assert image_check_text(check()).endswith("though packed in another way")


def test_a_difference_names_packages_settings_layers_and_files() -> None:
    told = image_diff_text(
        ImageDiff(
            "old",
            "new",
            "linux-64",
            same=False,
            packages=(
                Difference("numpy", "changed", "1.0 0", "1.1 0", "conda"),
                Difference("a", "added", "", "2", "pip"),
            ),
            settings=(Difference("Env A", "removed", "1"),),
            layers=(LayerDifference("added", 2, "sha256:0123456789abcdef", 1_500_000, "numpy 1.1"),),
            shared=2,
            files=(FileDifference("opt/x", "changed", 10, 2000, "content"), FileDifference("opt/y", "added", None, 0)),
        )
    )  # fmt: skip
    assert told.splitlines() == [
        "old -> new (linux-64)",
        "  packages",
        "    ~  numpy  1.0 0 -> 1.1 0  conda",
        "    +  a      2               pip",
        "  settings",
        "    -  Env A  1",
        "  layers",
        "    +  2  1.5 MB  sha256:0123456789ab  numpy 1.1",
        "    2 layers the same",
        "  files (1 added, 1 changed)",
        "    ~  opt/x  10 B -> 2.0 kB  content",
        "    +  opt/y  0 B",
    ]

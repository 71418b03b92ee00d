"""Strategies that write specs: conda and pip requirements in every spelling, whole Specs, and noise in files."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from hermetic.platforms import PLATFORMS, Accelerator
from hermetic.spec.matchspec import canonical_match
from hermetic.spec.model import CondaRequirement, PipOptions, PipRequirement, Spec
from hermetic.spec.pep508 import Origin, pip_requirement

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,6}([-_.][a-z0-9]{1,4})?", fullmatch=True)
NUMBERS = st.lists(st.integers(0, 30).map(str), min_size=1, max_size=4).map(".".join)
VERSIONS = st.builds(lambda v, tail: v + tail, NUMBERS, st.sampled_from(["", "", "", "a0", "b2", "rc1", ".post1"]))


def joined(terms: st.SearchStrategy[str], separator: str = ",") -> st.SearchStrategy[str]:
    return st.lists(terms, min_size=1, max_size=3).map(separator.join)


CONDA_TERMS = st.one_of(
    st.builds(
        "{}{}{}".format, st.sampled_from(["==", ">=", "<=", ">", "<", "!="]), st.sampled_from(["", " "]), VERSIONS
    ),
    st.builds("{}{}.*".format, st.sampled_from(["", "=", "==", "!=", ">="]), NUMBERS),
    NUMBERS.map("={}".format),
    st.builds("~={}.{}".format, st.integers(0, 9), st.integers(0, 9)),
)
CONDA_TEXTS = st.one_of(
    NAMES,
    st.builds("{} {}".format, NAMES, VERSIONS),
    st.builds(
        "{}{}{}".format, NAMES, st.sampled_from(["", " "]), joined(CONDA_TERMS).filter(lambda t: t[0] in "<>=!~")
    ),
    st.builds("{} {}".format, NAMES, joined(CONDA_TERMS)),
    st.builds("{} {}|{}".format, NAMES, joined(CONDA_TERMS), joined(CONDA_TERMS)),
    st.builds("{}={}={}".format, NAMES, NUMBERS, st.sampled_from(["py311_0", "cpu*", "*_openblas"])),
    st.builds(
        "{}[version='{}', build='{}']".format, NAMES, joined(CONDA_TERMS), st.sampled_from(["py311_0", "*cuda*"])
    ),
)


def refused(text: str) -> bool:
    """Tell whether a text has a star behind ``==`` that does not stand first, which is refused on purpose."""
    return re.search(r"[,|]\s*==[^,|]*\*", text) is not None


CONDA = st.builds(
    canonical_match,
    st.builds("{}{}".format, st.sampled_from(["", "", "bioconda::", "https://example.org/ch::"]), CONDA_TEXTS).filter(
        lambda text: not refused(text)
    ),
    platforms=st.sets(st.sampled_from(PLATFORMS), max_size=len(PLATFORMS) - 1).map(sorted).map(tuple),
)

PIP_TERMS = st.one_of(
    st.builds(
        "{}{}{}".format, st.sampled_from(["==", ">=", "<=", ">", "<", "!="]), st.sampled_from(["", " "]), VERSIONS
    ),
    st.builds("{}{}.*".format, st.sampled_from(["==", "!="]), NUMBERS),
    st.builds("~={}.{}".format, st.integers(0, 9), VERSIONS),
)
PIP_NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,6}([-_.]{1,2}[A-Za-z0-9]{1,4})?", fullmatch=True)
EXTRAS = st.sampled_from(["", "", "[socks]", "[B_a, a.b]", "[ x ,y]"])
MARKERS = st.sampled_from(["", "", '; python_version < "3.12"', "; sys_platform=='linux' or os_name == 'nt'"])
PIP_TEXTS = st.one_of(
    st.builds("{}{}{}".format, PIP_NAMES, EXTRAS, MARKERS),
    st.builds("{}{}{}{}{}".format, PIP_NAMES, EXTRAS, st.sampled_from(["", " "]), joined(PIP_TERMS), MARKERS),
    st.builds("{}{} @ https://example.org/{}.whl".format, PIP_NAMES, EXTRAS, NAMES),
    st.builds("git+https://example.org/{}@v1#egg={}&subdirectory=sub".format, NAMES, PIP_NAMES),
    st.builds("./{}{}".format, NAMES, EXTRAS),
)
HASHES = st.lists(st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True), max_size=2)
PIP = st.builds(
    lambda text, hashes, platforms: pip_requirement(text, Origin(platforms=platforms), hashes=tuple(hashes)),
    PIP_TEXTS,
    HASHES,
    st.sets(st.sampled_from(PLATFORMS), max_size=len(PLATFORMS) - 1).map(sorted).map(tuple),
)
OPTIONS = st.builds(
    PipOptions,
    index=st.sampled_from(["", "https://example.org/simple", "https://${USER}:${TOKEN}@example.org/simple"]),
    extra_indexes=st.sampled_from([(), ("https://example.org/extra",)]),
    find_links=st.sampled_from([(), ("./wheels", "https://example.org/links")]),
    no_index=st.booleans(),
    only_binary=st.sampled_from([(), (":all:",), ("numpy", "scipy")]),
    no_binary=st.sampled_from([(), ("mine",)]),
    pre=st.booleans(),
)
CHANNELS = st.lists(
    st.sampled_from(["conda-forge", "defaults", "https://example.org/ch", "./channel", "https://${T}@example.org/p"]),
    unique=True,
    max_size=3,
).map(tuple)
VARIABLES = st.dictionaries(
    st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True),
    st.text(
        st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\ufeff\ufffe\uffff"), max_size=12
    ),
    max_size=3,
).map(lambda found: tuple(found.items()))

SPECS = st.builds(
    Spec,
    channels=CHANNELS,
    conda=st.lists(CONDA, max_size=4).map(tuple),
    pip=st.lists(PIP, max_size=4).map(tuple),
    options=OPTIONS,
    variables=VARIABLES,
    platforms=st.sets(st.sampled_from(PLATFORMS), max_size=3).map(tuple),
)

RICH_SPECS = st.builds(
    lambda spec, **more: Spec(**{**vars(spec), **more}),
    SPECS,
    constraints=st.lists(PIP.filter(lambda r: r.name and not r.url and not r.extras), max_size=2).map(tuple),
    accelerator=st.sampled_from([Accelerator(), Accelerator("cuda", "12.4")]),
    system=st.sampled_from([(), (("__glibc", "2.35"),)]),
    base=st.sampled_from(["", "example.org/base:1"]),
    source_builds=st.sampled_from([(), (":all:",), ("mine",)]),
)

__all__ = ["CONDA", "CONDA_TEXTS", "PIP", "PIP_TEXTS", "RICH_SPECS", "SPECS", "CondaRequirement", "PipRequirement"]

"""How often a package changes, beside others: what a layer plan knows of the future.

The names are those of packages that many environments share; the classes follow from the releases and rebuilds that
public locks show for 2023 to 2026. Of packages that were seen both before and after the beginning of 2025, 63 % kept
their class, and all but 1 % that or the next one. The weights say less than the counts do, on purpose: a table made of
what was before 2025 and tried on what came then did harm with the full counts, and some good with their square roots
(see docs/benchmarks-images.md). No name need be here: most are usual.
"""

from __future__ import annotations

SELDOM, USUAL, OFTEN, ALWAYS = 7, 10, 17, 32
"""Weights: square roots of one change a year, a few, about one a month, and several a month."""

PRIVATE = 100
"""The weight of first-party code: what an image is built again for, as a rule."""

_ALWAYS_FAMILIES = ("aws-c-", "aws-crt-", "aws-sdk-", "libarrow", "libgdal")
_ALWAYS = frozenset(
    "boto3 botocore coverage gdal gh hypothesis jupyterlab langchain langchain-core libparquet narwhals openai pyarrow"
    " pyarrow-core pydantic ruff s2n tiledb transformers uv".split()
)
_OFTEN_FAMILIES = ("aws-", "libclang", "libopenvino", "libpdal", "types-")
_OFTEN = frozenset(
    "aiobotocore aiohttp anyio awscli black bokeh c-ares ca-certificates certifi cmake cryptography dask dask-core"
    " debugpy distributed ffmpeg filelock fonttools fsspec glib hdf5 huggingface-hub ipython libblas libcblas libcurl"
    " libgcc libgcc-ng libgfortran libgfortran5 libglib libgomp libgoogle-cloud libgrpc liblapack libpq libprotobuf"
    " libsqlite libstdcxx libstdcxx-ng libxml2 matplotlib matplotlib-base mypy nodejs notebook numba openssl orc orjson"
    " pandas pillow pip platformdirs plotly polars psutil pydantic-core pydantic-settings pyproj pytest pyzmq rasterio"
    " rich rpds-py s3fs s3transfer scikit-learn scipy setuptools shapely sqlite tbb typer urllib3 virtualenv xarray"
    " yarl zarr".split()
)
_SELDOM = frozenset(
    "_libgcc_mutex _openmp_mutex annotated-types bzip2 colorama cuda-version cycler decorator double-conversion giflib"
    " h11 h5py iniconfig itsdangerous jmespath lerc libev libffi libiconv libnsl libsndfile libuuid libzlib lz4-c"
    " markdown-it-py matplotlib-inline mdurl mpc mpfr mpmath mypy_extensions oauthlib pexpect ptyprocess pure_eval"
    " pycparser pygments python python_abi pysocks readline requests-oauthlib rsa six snappy sniffio sympy tabulate"
    " threadpoolctl tk toolz webencodings xz yaml zlib".split()
)


def volatility(name: str, *, private: bool = False) -> int:
    """Give how often a package changes."""
    if private:
        return PRIVATE
    if name in _ALWAYS or name.startswith(_ALWAYS_FAMILIES):
        return ALWAYS
    if name in _OFTEN or name.startswith(_OFTEN_FAMILIES):
        return OFTEN
    return SELDOM if name in _SELDOM else USUAL

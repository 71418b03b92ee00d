"""Use what the environment declares: numpy and pandas from conda packages, tabulate from a wheel."""

import os
import sys

import numpy as np
import pandas as pd

rng = np.random.default_rng(seed=1)
samples = pd.DataFrame({"height": rng.normal(170, 10, 1000), "weight": rng.normal(70, 12, 1000)})
summary = samples.agg(["mean", "std", "min", "max"]).round(1)

print(os.environ.get("GREETING", ""))
print(f"python {sys.version.split()[0]} at {sys.prefix}, numpy {np.__version__}, pandas {pd.__version__}")
print(summary.to_markdown())  # pandas asks tabulate to draw this

"""A least squares fit, with what the environment has."""

from __future__ import annotations

import sys

import numpy as np


def fit(x: list[float], y: list[float]) -> tuple[float, float]:
    """Give slope and intercept."""
    slope, intercept = np.polyfit(x, y, 1)
    return float(slope), float(intercept)


if __name__ == "__main__":
    slope, intercept = fit([0, 1, 2, 3], [1, 3, 5, 7])
    print(f"y = {slope:.2f} x + {intercept:.2f}, by {sys.prefix}")

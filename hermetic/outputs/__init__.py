"""Outputs: what a build leaves for its user."""

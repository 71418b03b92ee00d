"""Locks: what a Spec resolves to, for conda and pip together and for every platform."""

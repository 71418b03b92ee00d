"""Builds of registered environments: in processes of their own, one at a time for each version."""

"""Locks, graphs and differences drawn as text."""

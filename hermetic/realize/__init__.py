"""Realising a plan: sandboxed commands and the order of actions."""

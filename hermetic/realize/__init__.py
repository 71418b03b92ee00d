"""Realising a plan: archives unpacked and modules compiled into trees of the store, and sandboxed commands."""

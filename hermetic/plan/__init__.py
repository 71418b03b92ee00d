"""Plans: which keyed actions lead from a Lock to an output."""

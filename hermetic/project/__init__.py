"""A project: its manifest, its locks and its built environments, and what the verbs do with them."""

"""What CI systems need of hermetic: checks as findings with a place in the repository, keys of caches, outputs."""

"""Those who use environments: build systems."""

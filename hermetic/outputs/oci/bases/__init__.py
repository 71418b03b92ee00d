"""What images stand on: catalogued, pinned, made, opened."""

from hermetic.outputs.oci.bases.catalogue import CatalogueEntry, catalogue, default_base
from hermetic.outputs.oci.bases.pinning import open_base, pin_base

__all__ = ["CatalogueEntry", "catalogue", "default_base", "open_base", "pin_base"]

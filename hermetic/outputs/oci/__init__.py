"""Container images (OCI image-spec 1.1): made without a daemon, layer by layer, the same bytes on every machine."""

"""hermetic's own file server: a workspace's artefacts behind signed, expiring, read-only URLs."""

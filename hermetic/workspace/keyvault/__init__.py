"""The workspace's key vault: secrets in the system keyring, or in an encrypted file where there is none."""

"""Names, versions, wheels, secrets and builds that a team shares, or one person keeps in a folder."""

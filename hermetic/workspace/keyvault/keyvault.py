"""A workspace's secrets, by name: where they are kept, and the v1 SDK's methods to set, get, list and delete them.

They are kept in the system keyring if there is one, else in the encrypted file ``vault`` in the workspace's folder.
What was chosen first stays chosen, so that a session that cannot reach the keyring does not look elsewhere:
``vault.keyring`` remembers it. ``keyvault`` in the workspace's table decides over it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hermetic.errors import MissingError, UsageError
from hermetic.secrets import SecretText, check_secret_name, public_url
from hermetic.workspace.keyvault.file import FileVault
from hermetic.workspace.keyvault.keyring import KeyringVault, find_keyring
from hermetic.workspace.keyvault.model import Vault, check_value
from hermetic.workspace_config import WorkspaceAddress

FILE, MARK = "vault", "vault.keyring"


@dataclass(frozen=True)
class Keyvault:
    """The key vault of the workspace at ``address``. Values are texts that hide themselves where they are shown."""

    address: WorkspaceAddress
    environ: Mapping[str, str] | None = field(default=None, repr=False, compare=False)

    def set_secret(self, name: str, value: str) -> None:
        """Keep a secret, in place of one of that name. Raises UsageError for a name or value that cannot be kept."""
        self.set_secrets({name: value})

    def set_secrets(self, secrets_batch: Mapping[str, str]) -> None:
        """Keep several secrets. Raises UsageError, with none kept, for a name or value that cannot be kept."""
        if not isinstance(secrets_batch, Mapping):
            raise UsageError("secrets_batch is no dictionary", remedy="give names and values: {'name': 'value'}")
        values = {name: check_value(name, value) for name, value in secrets_batch.items()}
        for name, value in values.items():
            SecretText(value, name)
        if values:
            self._chosen().set(values)

    def get_secret(self, name: str) -> SecretText:
        """Give a secret's value. Raises MissingError where there is none of that name."""
        value = self.find(name)
        if value is None:
            raise MissingError(
                f"there is no secret {name!r} in the key vault of {self.address.name!r}", remedy=self._near(name)
            )
        return value

    def get_secrets(self, secrets: Sequence[str]) -> dict[str, SecretText | None]:
        """Give the values of several secrets by name, None for those that are not there."""
        if isinstance(secrets, str) or not isinstance(secrets, Sequence):
            raise UsageError("secrets is no list", remedy="give a list of names: ['name']")
        return {name: self.find(name) for name in secrets}

    def list_secrets(self) -> list[dict[str, str]]:
        """Give the secrets' names, each as ``{"name": NAME}``, sorted."""
        return [{"name": name} for name in self.names()]

    def delete_secret(self, name: str) -> None:
        """Forget a secret. Raises MissingError where there is none of that name."""
        self.delete_secrets([name])

    def delete_secrets(self, secrets: Sequence[str]) -> None:
        """Forget several secrets. Raises MissingError, with none forgotten, where there is none of one's name."""
        if isinstance(secrets, str) or not isinstance(secrets, Sequence):
            raise UsageError("secrets is no list", remedy="give a list of names: ['name']")
        for name in secrets:
            if check_secret_name(name) not in self.names():
                self.get_secret(name)
        self._vault().delete(tuple(secrets))

    def find(self, name: str) -> SecretText | None:
        """Give a secret's value, None where there is none of that name."""
        value = self._vault().get(check_secret_name(name))
        return None if value is None else SecretText(value, name)

    def names(self) -> tuple[str, ...]:
        """Give the secrets' names, sorted."""
        return self._vault().names()

    list = list_secrets
    delete = delete_secret

    @property
    def kind(self) -> str:
        """Where the secrets are kept: ``keyring`` or ``file``."""
        if self.address.keyvault:
            return self.address.keyvault
        if (self.address.folder / FILE).exists():
            return "file"
        if (self.address.folder / MARK).exists():
            return "keyring"
        return "file" if find_keyring() is None else "keyring"

    @property
    def service(self) -> str:
        """The name of the secrets' entries in a keyring: a shared workspace's is the same wherever it is used."""
        where = public_url(self.address.database) if self.address.database else str(self.address.folder)
        return f"hermetic workspace {self.address.name} ({where})"

    def _near(self, name: str) -> str:
        from difflib import get_close_matches

        known = self.names()
        if near := get_close_matches(name, known, n=1):
            return f"did you mean {near[0]!r}?"
        there = f"there are: {', '.join(known)}; " if 0 < len(known) <= 12 else ""
        return f"{there}keep it with 'hermetic secret set {name}' or set_secret()"

    def _vault(self) -> Vault:
        if self.kind == "keyring":
            return KeyringVault(self.service, self.address.folder / f"{MARK}.lock")
        return FileVault(self.address.folder / FILE, self.environ)

    def _chosen(self) -> Vault:
        """Give the vault to write to, and remember it if it was chosen just now."""
        from hermetic.files import write_whole

        if not self.address.folder.exists():
            if self.address.database:  # what is in it is this machine's own
                write_whole(self.address.folder / ".gitignore", "*\n")
            else:
                from hermetic.workspace.workspace import Workspace

                Workspace.create(self.address, exist_ok=True)
        mark = self.address.folder / MARK
        if self.kind == "keyring" and not self.address.keyvault and not mark.exists():
            write_whole(mark, f"secrets of this workspace are in the system keyring, as {self.service!r}\n")
        return self._vault()

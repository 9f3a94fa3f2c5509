"""Secrets at rest: bearers and passwords are encrypted with a key file of the service's own."""

from __future__ import annotations

from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from dtesx.base.errors import DtesxError
from dtesx.base.files import write_atomic


class Vault:
    """Encrypts short texts with the key in ``path`` (mode 0600), which is made at first use.

    The key lies beside the store: this protects copies of the store (backups, support bundles),
    not against root on the appliance.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            write_atomic(path, Fernet.generate_key())
        try:
            self._cipher = Fernet(path.read_bytes())
        except ValueError as error:
            raise DtesxError(
                f"{path} is not a key", hint="restore it from the backup that holds the store"
            ) from error
        self._path = path

    def lock(self, secret: str) -> str:
        """Encrypt a secret."""
        return self._cipher.encrypt(secret.encode()).decode()

    def open(self, locked: str) -> str:
        """Decrypt what ``lock`` made; raises DtesxError when it was locked with another key."""
        try:
            return self._cipher.decrypt(locked.encode()).decode()
        except InvalidToken as error:
            raise DtesxError(
                "a stored secret cannot be decrypted",
                hint=f"restore {self._path} from the backup that holds the store, "
                "or remove and add the server again",
            ) from error

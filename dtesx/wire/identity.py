"""A service's own identity: a self-signed certificate that peers pin by its fingerprint."""

from __future__ import annotations

import datetime
import hashlib
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from dtesx.base.errors import DtesxError
from dtesx.base.files import private_directory, write_atomic

_CERTIFICATE = "identity.crt"
_KEY = "identity.key"
# Trust rests on the pinned fingerprint, not on a date: an identity that expires would stop
# protection of every server at once, so it does not (RFC 5280 4.1.2.5: 99991231235959Z).
_FOREVER = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
_ALWAYS = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Identity:
    """Certificate and private key, both PEM."""

    certificate: str
    key: str = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as peers pin it."""
        return fingerprint(self.certificate)


def fingerprint(certificate: str) -> str:
    """SHA-256 of a PEM certificate's DER form: upper-case hex pairs joined by colons."""
    try:
        loaded = ssl.PEM_cert_to_DER_cert(certificate)
    except ValueError as error:
        raise DtesxError(
            "a certificate could not be read", hint="pair the servers again to exchange certificates"
        ) from error
    digest = hashlib.sha256(loaded).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


def create(common_name: str) -> Identity:
    """Make a new P-256 key and a certificate signed with it."""
    # Loaded here, because an identity is made once and the package takes longer than a short mirror.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_ALWAYS)
        .not_valid_after(_FOREVER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Identity(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )


def load_or_create(directory: Path, common_name: str) -> Identity:
    """Load the identity kept in ``directory``, or make it there at first start.

    The key is written before the certificate, so a crash between the two only makes a new pair.
    """
    private_directory(directory)
    certificate, key = directory / _CERTIFICATE, directory / _KEY
    if certificate.exists() and key.exists():
        return Identity(certificate.read_text(), key.read_text())
    made = create(common_name)
    write_atomic(key, made.key.encode())
    write_atomic(certificate, made.certificate.encode(), mode=0o644)
    return made

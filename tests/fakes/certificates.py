"""Short-lived certificates, made with the openssl command."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

OPENSSL = shutil.which("openssl")
CA_USAGE = "keyUsage=critical,keyCertSign,cRLSign"  # Python demands it from 3.13 on
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="certificates are made with the openssl command")


@dataclass(frozen=True, slots=True)
class Certificates:
    """A CA with a server's and a client's certificate, and a CA that has signed nothing of it."""

    folder: Path

    def path(self, name: str) -> str:
        """Return the path of one file."""
        return str(self.folder / name)

    def read(self, name: str) -> bytes:
        """Return the bytes of one file."""
        return (self.folder / name).read_bytes()

    def issue(self, name: str, subject: str, *, ca: str = "ca", days: int = 1) -> tuple[str, str]:
        """Sign a certificate for a subject such as ``/O=ops/CN=alice``; return its path and its key's."""
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")
        _openssl(self.folder, "req", "-new", *key, "-out", f"{name}.csr", "-utf8", "-subj", subject)
        signed = ("-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", str(days), "-extfile", "ext")
        _openssl(self.folder, "x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.crt")
        return self.path(f"{name}.crt"), self.path(f"{name}.key")

    def server(self) -> ssl.SSLContext:
        """Return the context of an upstream that asks for a client certificate without demanding one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("server.crt"), self.path("server.key"))
        context.load_verify_locations(self.path("ca.crt"))
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def client(self, pair: tuple[str, str] | None = None) -> ssl.SSLContext:
        """Return the context of a client that trusts the CA, and shows a certificate of its own if there is one."""
        context = ssl.create_default_context(cafile=self.path("ca.crt"))
        if pair:
            context.load_cert_chain(*pair)
        return context


def make_certificates(folder: Path) -> Certificates:
    """Make them in an empty folder."""
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:api.example\n")
    for name in ("ca", "other-ca"):
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")
        names = ("-subj", f"/CN={name}", "-addext", CA_USAGE)
        _openssl(folder, "req", "-x509", *key, "-out", f"{name}.crt", "-days", "1", *names)
    certificates = Certificates(folder)
    for name in ("server", "client"):
        certificates.issue(name, f"/CN={name}")
    return certificates


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run([str(OPENSSL), *arguments], cwd=folder, check=True, capture_output=True)

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

    def server(self) -> ssl.SSLContext:
        """Return the context of an upstream that asks for a client certificate without demanding one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("server.crt"), self.path("server.key"))
        context.load_verify_locations(self.path("ca.crt"))
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def client(self) -> ssl.SSLContext:
        """Return the context of a client that trusts the CA."""
        return ssl.create_default_context(cafile=self.path("ca.crt"))


def make_certificates(folder: Path) -> Certificates:
    """Make them in an empty folder."""
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:api.example\n")

    def openssl(*arguments: str) -> None:
        subprocess.run([str(OPENSSL), *arguments], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "other-ca"):
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")
        openssl("req", "-x509", *key, "-out", f"{name}.crt", "-days", "1", "-subj", f"/CN={name}", "-addext", CA_USAGE)
    for name in ("server", "client"):
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")
        openssl("req", "-new", *key, "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1", "-extfile", "ext")
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.crt")
    return Certificates(folder)

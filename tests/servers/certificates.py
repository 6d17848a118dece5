"""Certificates for servers that speak TLS and for their clients, made by the `openssl` command."""

import shutil
import subprocess
import tempfile
from pathlib import Path


class Certificates:
    """Certificates in a folder, each `NAME.pem` with its key `NAME.key`.

    `ca` is the authority of the others: `server` is for 127.0.0.1 and localhost, `client` for a client, `expired` is
    no longer valid and `elsewhere` is for another host. `stranger` is an authority that nobody knows.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def made(cls) -> "Certificates":
        """Return certificates in a new folder."""
        certificates = cls(Path(tempfile.mkdtemp(prefix="pumpkit-certificates-")))
        for authority in ("ca", "stranger"):
            certificates._authority(authority)
        here = "IP:127.0.0.1,DNS:localhost"
        certificates._issue("server", here)
        certificates._issue("client", "DNS:client")
        certificates._issue("elsewhere", "DNS:redis.example")
        certificates._issue("expired", here, "-startdate", "20200101000000Z", "-enddate", "20200201000000Z")
        return certificates

    def file(self, name: str) -> Path:
        """Return the certificate of this name."""
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        """Return the key of the certificate of this name."""
        return self.folder / f"{name}.key"

    def _authority(self, name: str) -> None:
        self._openssl("req", "-x509", *self._new(name), "-days", "30", "-out", f"{name}.pem",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip

    def _issue(self, name: str, hosts: str, *dates: str) -> None:
        self._openssl("req", *self._new(name), "-out", f"{name}.csr")
        (self.folder / "ca.conf").write_text(
            "[ca]\ndefault_ca = here\n[here]\ndatabase = index\nnew_certs_dir = .\nrand_serial = yes\n"
            "default_md = sha256\npolicy = any\nunique_subject = no\n[any]\ncommonName = supplied\n"
            f"[names]\nsubjectAltName = {hosts}\nauthorityKeyIdentifier = keyid\n"
        )
        (self.folder / "index").touch()
        self._openssl("ca", "-batch", "-notext", "-config", "ca.conf", "-extensions", "names", "-cert", "ca.pem",
                      "-keyfile", "ca.key", "-in", f"{name}.csr", "-out", f"{name}.pem",
                      *(dates or ("-days", "30")))  # fmt: skip

    def _new(self, name: str) -> list[str]:
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        return [*curve, "-keyout", f"{name}.key", "-subj", f"/CN=pumpkit {name}"]

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"openssl {' '.join(arguments)}: {done.stderr}")

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

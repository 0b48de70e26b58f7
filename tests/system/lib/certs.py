"""Certificates made on the spot, once per test process and kind."""
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

KEY_KINDS = {
    "ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
    "rsa": ["-newkey", "rsa:2048"],
}


@dataclass
class Certificate:
    cert: Path
    key: Path

    @property
    def ini(self):
        return f"certificate = {self.cert}\ncertificate_key = {self.key}\n"


class Authority:
    """Makes self-signed certificates and keeps them for the life of the process."""

    def __init__(self):
        self._dir = tempfile.TemporaryDirectory(prefix="h2cgi-certs-")
        self._made = {}

    def get(self, *names, kind="ec"):
        """A certificate for the names (DNS), the first of them as its subject."""
        names = names or ("localhost",)
        if (names, kind) not in self._made:
            self._made[names, kind] = self._make(names, kind)
        return self._made[names, kind]

    def _make(self, names, kind):
        stem = Path(self._dir.name) / f"{len(self._made)}-{kind}"
        made = Certificate(stem.with_suffix(".pem"), stem.with_suffix(".key"))
        alt = ",".join(f"DNS:{name}" for name in names) + ",IP:127.0.0.1"
        subprocess.run(
            ["openssl", "req", "-x509", "-nodes", "-days", "2", *KEY_KINDS[kind],
             "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={alt}",
             "-keyout", made.key, "-out", made.cert],
            check=True, capture_output=True)
        return made


AUTHORITY = Authority()

"""Certificates for tests of TLS, made when they run: nothing in the tree expires."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """PEM files of a certificate and of its key."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates, in files of FOLDER."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self.certificate = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
            "-keyout", self._key, "-out", self.certificate,
        )  # fmt: skip

    def sign(self, name: str, subject: str, dates: tuple[str, str] | None = None) -> Certificate:
        """For SUBJECT, a subjectAltName as openssl.cnf writes it. DATES: first and last, as
        YYYYMMDDHHMMSSZ; else a day from now on."""
        made = Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        request = self._folder / f"{name}.request"
        openssl(
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", f"/CN={name}", "-keyout", made.key, "-out", request,
        )  # fmt: skip
        extensions = self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={subject}\n")
        # Only `openssl ca` takes dates of the past; it keeps a record of what it has signed.
        records = self._folder / f"{name}.index"
        records.write_text("")
        settings = self._folder / f"{name}.cnf"
        settings.write_text(
            f"[ca]\ndefault_ca=own\n[own]\ndatabase={records}\nnew_certs_dir={self._folder}\n"
            "rand_serial=yes\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n"
        )
        when = ("-days", "1") if dates is None else ("-startdate", dates[0], "-enddate", dates[1])
        openssl(
            "ca", "-batch", "-notext", "-config", settings, "-cert", self.certificate,
            "-keyfile", self._key, "-extfile", extensions, *when, "-in", request,
            "-out", made.certificate,
        )  # fmt: skip
        return made


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, text=True)

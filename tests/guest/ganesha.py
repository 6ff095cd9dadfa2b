"""nfs-ganesha, which exports one directory of the host on 127.0.0.1."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import images
from vm import tail_of

READY_TIMEOUT_S = 60
POLL_S = 0.02
# It starts happily with nothing to serve; a path with a symbolic link in it is enough.
NO_EXPORT = ("No export entries found", "Could not create export", "Lookup failed on path")

CONFIGURATION = """\
NFS_CORE_PARAM {{
    NFS_Port = {port}; Bind_Addr = 127.0.0.1; Protocols = 4;
    Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false; Clustered = false;
    Plugins_Dir = {plugins}; RPC_Max_Connections = 256; DRC_Disabled = true;
    {version_options}
}}
NFS_KRB5 {{ Active_krb5 = false; CCacheDir = {folder}/ccache; }}
NFSv4 {{
    minor_versions = 1, 2; Lease_Lifetime = {lease}; Grace_Period = {grace};
    RecoveryBackend = fs; RecoveryRoot = {folder}/recovery;
    Only_Numeric_Owners = true; UseGetpwnam = true; DomainName = localdomain;
    Delegations = true; PNFS_MDS = false; PNFS_DS = false;
    Server_Owner = "dpfs-test-{port}"; Server_Scope = "dpfs-test-{port}";
}}
EXPORT_DEFAULTS {{
    Access_Type = RW; Squash = No_Root_Squash; SecType = sys; Protocols = 4; Transports = TCP;
}}
EXPORT {{
    Export_Id = 1; Filesystem_Id = 192.168; Path = {directory}; Pseudo = {export};
    FSAL {{ Name = VFS; }}
}}
LOG {{
    Default_Log_Level = EVENT;
    Facility {{ name = FILE; destination = "{folder}/log"; enable = active; }}
}}
"""


# For newer ones: a machine that lacks CAP_SYS_RESOURCE is good enough.
VERSION_OPTIONS = {"ganesha": "", "ganesha-sid": "allow_set_io_flusher_fail = true;"}


class GaneshaError(Exception):
    """The server did not start."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Ganesha:
    """Runs from start() to stop(); kill() and start() again is a crash and a restart."""

    export = "/export"
    serves_host_files = True

    def __init__(
        self, directory: Path, version: str = "ganesha", lease_s: int = 10, grace_s: int = 6
    ) -> None:
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="ganesha-"))
        (self._folder / "recovery").mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        self._program = images.ganesha(version)
        plugins = self._program.parent / "root/usr/lib/x86_64-linux-gnu/ganesha"
        self._configuration = CONFIGURATION.format(
            port=self.port, folder=self._folder, directory=directory.resolve(),
            export=self.export, plugins=plugins, version_options=VERSION_OPTIONS[version],
            lease=lease_s, grace=grace_s,
        )  # fmt: skip

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> Ganesha:
        log = self._folder / "log"
        log.write_bytes(b"")
        configuration = self._folder / "ganesha.conf"
        configuration.write_text(self._configuration)
        command = [str(self._program), "-F", "-f", str(configuration), "-L", str(log)]
        command += ["-p", str(self._folder / "pid")]
        with (self._folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._ready(log.read_text(errors="replace")):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise GaneshaError(f"ganesha did not get ready\n{tail_of(log)}")
            time.sleep(POLL_S)
        return self

    def _ready(self, log: str) -> bool:
        if "NFS SERVER INITIALIZED" not in log:
            return False
        if any(line in log for line in NO_EXPORT):
            self.kill()
            raise GaneshaError(f"ganesha exports nothing\n{log[-2000:]}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def pause(self) -> None:
        """SIGSTOP: connections stay, nothing is answered, until resume()."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL. Its records stay: the next start() begins with a grace period."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

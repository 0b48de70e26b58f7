"""Spool files that a gateway holds: they have no names, so its descriptors tell."""
import os

from lib import proc


def spool_files(gateway):
    """Bytes on the disk of each."""
    pid, sizes = gateway.gateway_pid(), []
    for number, target in proc.descriptors(pid).items():
        if target.startswith(f"{gateway.place}/spool/"):
            try:
                sizes.append(os.stat(f"/proc/{pid}/fd/{number}").st_blocks * 512)
            except FileNotFoundError:
                pass
    return sizes

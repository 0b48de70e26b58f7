"""Files that are not in the page cache: read apart from the worker, and right, over each protocol."""
import ctypes
import mmap
import os
import signal
import tempfile
import time
from pathlib import Path

import pytest

from lib.gateway import BINARY, Gateway

PROTOCOLS = ("h1", "h1s", "h2", "h2c")
SIZES = {"small": 5000, "chunk": 64 * 1024, "large": 3 * 1024 * 1024 + 17}


def is_cold(fd, size, first):
    """Is none of it in the page cache, from the byte first of a page on?  mincore(2): to try and
    read it would begin to read it."""
    libc = ctypes.CDLL(None, use_errno=True)
    pages = ctypes.create_string_buffer((size + mmap.PAGESIZE - 1) // mmap.PAGESIZE)
    with mmap.mmap(fd, size, access=mmap.ACCESS_COPY) as mapped:
        start = ctypes.c_char.from_buffer(mapped)
        failed = libc.mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(size), pages)
        del start
    assert not failed, os.strerror(ctypes.get_errno())
    return not any(page & 1 for page in pages.raw[first // mmap.PAGESIZE:])


def make_cold(path, first=0, within=10):
    fd, until = os.open(path, os.O_RDONLY), time.monotonic() + within
    try:
        os.fsync(fd)  # what is dirty stays,
        while True:
            os.posix_fadvise(fd, first, 0, os.POSIX_FADV_DONTNEED)
            if is_cold(fd, path.stat().st_size, first):
                return True
            if time.monotonic() > until:
                return False
            time.sleep(0.02)  # and so does for a while what a socket held, or is being read
    finally:
        os.close(fd)


@pytest.fixture(scope="module")
def site():
    """In a folder of the build, which is on a disk as a rule; /tmp may be memory."""
    with tempfile.TemporaryDirectory(dir=BINARY.parent) as folder:
        root = Path(folder)
        os.chmod(root, 0o755)
        for name, size in SIZES.items():
            (root / name).write_bytes(os.urandom(size))
        if not all(make_cold(root / name) for name in SIZES):
            pytest.skip("this file system cannot forget what it read")
        yield root


def n_cold(gateway):
    """As the log of the drain says."""
    since = gateway.mark()
    gateway.stop(how=signal.SIGQUIT)
    for word in gateway.log(since).split():
        if word.startswith("cold_reads="):
            return int(word.partition("=")[2])
    return 0


def least(proto, writer, n_files):
    """How many of so many cold files are counted?  Where the worker has the kernel send them, each;
    a writer thread that does may wait for the disk.  Elsewhere the first look begins to read, and
    the second may find what it read."""
    return n_files if (proto, writer) == ("h1", "auto") else 0


@pytest.mark.parametrize("writer", ["auto", "always"])
@pytest.mark.parametrize("proto", PROTOCOLS)
def test_cold_files(place, site, proto, writer):
    with Gateway(place, f"[site main]\nroot = {site}\n", writer=writer) as gateway:
        for name, size in SIZES.items():
            assert make_cold(site / name)
            whole = gateway.fetch(proto, f"/{name}")
            assert whole.status == 200 and len(whole.body) == size
            assert make_cold(site / name)
            part = gateway.fetch(proto, f"/{name}", headers=[("Range", f"bytes=1000-{size - 2}")])
            assert part.status == 206 and part.body == whole.body[1000:-1]
            assert whole.body == (site / name).read_bytes()
        assert n_cold(gateway) >= least(proto, writer, 2)


@pytest.mark.parametrize("writer", ["auto", "always"])
@pytest.mark.parametrize("proto", PROTOCOLS)
def test_half_cold_file(place, site, proto, writer):
    """The page cache has the beginning of it, and is asked for more than that."""
    with Gateway(place, f"[site main]\nroot = {site}\n", writer=writer) as gateway:
        whole = (site / "large").read_bytes()
        for first in (64 * 1024, 1024 * 1024, 3 * 1024 * 1024):
            file = site / f"{proto}-{writer}-{first}"  # of one that was there just now none asks again
            file.write_bytes(whole)
            assert make_cold(file) and file.read_bytes() == whole
            assert make_cold(file, first)
            assert gateway.fetch(proto, f"/{file.name}").body == whole
        assert n_cold(gateway) >= least(proto, writer, 3)


def test_warm_files(place, site):
    with Gateway(place, f"[site main]\nroot = {site}\n") as gateway:
        for name in SIZES:
            (site / name).read_bytes()
            for proto in PROTOCOLS:
                assert gateway.fetch(proto, f"/{name}").status == 200
        assert n_cold(gateway) == 0

"""What long runs of the fuzz targets found, as one file: found.tar.xz, with a folder for each target.
Of all that was found it holds what it takes to reach each edge that is reached, as scripts/fuzz
--keep wrote it; the inputs that somebody thought of are in corpus/."""
import io
import os
import shutil
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
ARCHIVE = f"{HERE}/found.tar.xz"


def unpack(into):
    """All of it, as into/TARGET/NAME; nothing to do if that is as new as the archive.  It is there
    in whole or not at all, also where several do this at once."""
    mark = f"{into}/.unpacked"
    if not os.path.exists(ARCHIVE):
        return
    if os.path.exists(mark) and os.path.getmtime(mark) >= os.path.getmtime(ARCHIVE):
        return
    part = f"{into}.{os.getpid()}"
    os.makedirs(part)
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            if not member.isfile():
                continue
            target, name = member.name.split("/")
            os.makedirs(f"{part}/{target}", exist_ok=True)
            with open(f"{part}/{target}/{name}", "wb") as out:
                out.write(archive.extractfile(member).read())
    with open(f"{part}/.unpacked", "w"):
        pass
    shutil.rmtree(into, ignore_errors=True)  # what an older one had
    try:
        os.rename(part, into)
    except OSError:  # somebody else's is there already
        shutil.rmtree(part)


def pack(folders):
    """{target: folder of its inputs} becomes the archive, the same bytes for the same inputs."""
    with tarfile.open(ARCHIVE, "w:xz") as archive:
        for target, folder in sorted(folders.items()):
            for name in sorted(os.listdir(folder)):
                with open(f"{folder}/{name}", "rb") as source:
                    data = source.read()
                member = tarfile.TarInfo(f"{target}/{name}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))

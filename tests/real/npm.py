"""What the tests have from npm, as a lock file has it; kept outside the repository from one run to the next."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

NAMES = ("package.json", "package-lock.json")
CI = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")


class NotInstalledError(Exception):
    """npm could not install it; says why."""


def installed(project: Path) -> Path:
    """The folder that has the `node_modules` of a project, which is a folder with the two files of `NAMES`.

    Raises:
        NotInstalledError: where it is not kept from an earlier run, and npm cannot install it.
    """
    lock = hashlib.sha256(b"".join((project / name).read_bytes() for name in NAMES)).hexdigest()[:16]
    kept = Path(tempfile.gettempdir()) / f"tierkit-tests-{os.getuid()}" / lock
    if kept.exists():
        return kept
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        fresh = Path(folder) / "project"
        fresh.mkdir()
        for name in NAMES:
            shutil.copy(project / name, fresh)
        _ci(fresh)
        try:
            fresh.rename(kept)
        except OSError:  # another run was faster
            if not kept.exists():
                raise
    return kept


def _ci(folder: Path) -> None:
    try:
        done = subprocess.run(CI, cwd=folder, capture_output=True, text=True, timeout=100)
    except subprocess.TimeoutExpired:
        raise NotInstalledError("it takes too long") from None
    if done.returncode:
        raise NotInstalledError(done.stderr[-300:])


def installed_or_skipped(project: Path) -> Path:
    """The same for a test, which is skipped where npm cannot install it, unless TIERKIT_REAL=1 says it may not be."""
    import pytest

    try:
        return installed(project)
    except NotInstalledError as error:
        if os.environ.get("TIERKIT_REAL") == "1":
            raise
        pytest.skip(f"not run: npm cannot install what {project.name} needs: {error}")

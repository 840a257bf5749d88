"""A disk that is full: what was there stays whole, the error says so, and with some space the next run heals."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from .conftest import FULL, Tally

SCRIPT = """
    import json, logging, shutil, sys
    from pathlib import Path

    import drawing
    from jinja2 import Environment
    from jinja_imagekit import ImageKit
    from jinja_imagekit.exceptions import ImageKitError
    from jinja_imagekit.processors import ResizeToFill
    from jinja_imagekit.sourcegroups import GlobSourceGroup

    disk, images = Path(sys.argv[1]), Path(sys.argv[2])
    logging.disable()

    def make_kit(size):
        kit = ImageKit(source_dirs=[images], location=disk / "output", state_dir=disk / "state")
        kit.spec("card", processors=[ResizeToFill(size, size)], format="PNG")
        kit.register.source_group("card", GlobSourceGroup("*.png"))
        return kit

    def files():
        return {str(path): path.read_bytes() for path in (disk / "output").rglob("*") if path.is_file()}

    def whole(data):
        return data.startswith(b"\\x89PNG") and data.endswith(b"IEND\\xaeB`\\x82")

    small = make_kit(40)
    assert small.generate().ok
    before = files()
    assert len(before) == 12

    large = make_kit(170)
    report = large.generate()
    reasons = {each.reason for each in report.failed}
    after = files()
    page = "{% generateimage 'card' source='11.png' %}"
    try:
        large.install(Environment()).from_string(page).render()
        said = "made"
    except ImageKitError as error:
        said = type(error).__name__
    found = {
        "made": len(report.generated), "failed": len(report.failed), "reasons": sorted(reasons)[:3], "page": said,
        "kept": sum(after.get(name) == data for name, data in before.items()),
        "partial": [name for name, data in after.items() if not whole(data)],
        "free": shutil.disk_usage(disk).free,
    }
    # The pages that exist render all the same.
    small.install(Environment()).from_string(page).render()
    for path in list((disk / "output").rglob("*.png"))[:]:
        if str(path) not in before:
            path.unlink()
    (disk / "ballast").unlink()
    healed = make_kit(170).generate()
    found["healed"] = [len(healed.generated), len(healed.failed)]
    found["left"] = [str(path) for path in (disk / "output").rglob(".imagekit-tmp.*")]
    print(json.dumps(found))
"""


@pytest.mark.skipif(not shutil.which("unshare") or not sys.platform.startswith("linux"), reason="needs Linux's unshare")
@pytest.mark.parametrize("ballast", [1300, 1400, 1500, 1600] if FULL else [1300])
def test_a_full_disk(tmp_path: Path, ballast: int, tally: Tally) -> None:
    """Two megabytes, with more or less left for images: in the middle of an image or of the state, it is the same."""
    import drawing

    (tmp_path / "images").mkdir()
    (tmp_path / "disk").mkdir()
    for number in range(12):
        drawing.photo(320, 320, number).save(tmp_path / f"images/{number}.png")
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    mount = 'mount -t tmpfs -o size=2m none "$1" && head -c "$4"k /dev/zero > "$1/ballast" && exec "$2" "$3" "$1" "$5"'
    disk, images = str(tmp_path / "disk"), str(tmp_path / "images")
    command = ["unshare", "-rm", "sh", "-c", mount, "sh", disk, sys.executable, str(script), str(ballast), images]
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    tally(found["failed"], "images on a full disk", made=found["made"])
    assert found["failed"] > 0
    assert all("space" in reason for reason in found["reasons"]), found["reasons"]
    assert found["page"] in ("made", "StorageError")
    assert (found["kept"], found["partial"], found["left"]) == (12, [], [])
    assert found["healed"] == [12, 0]

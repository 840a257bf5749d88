"""The loop that one would write with Pillow by hand, on two threads: `by_hand.py JOB PHOTOS OUTPUT [MARGIN]`."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, ImageOps

WIDTHS = (400, 800, 1200)


def main(job: str, photos: str, output: str, margin: str = "1.5") -> None:
    def opened(photo: Path, width: int, height: int) -> Image.Image:
        image = Image.open(photo)
        image.draft("RGB", (int(width * float(margin)), int(height * float(margin))))
        return ImageOps.exif_transpose(image)

    def fill(photo: Path) -> None:
        image = ImageOps.fit(opened(photo, 400, 300), (400, 300), Image.Resampling.LANCZOS)
        image.save(Path(output, photo.name), quality=80, progressive=True, optimize=True)

    def widths(photo: Path) -> None:
        for width in WIDTHS:
            height = width * 3 // 4
            image = opened(photo, width, height).resize((width, height), Image.Resampling.LANCZOS)
            image.save(Path(output, f"{photo.stem}-{width}.webp"), quality=80, method=4)

    Path(output).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as executor:
        list(executor.map(fill if job == "fill" else widths, sorted(Path(photos).glob("*.jpg"))))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Makes each photo 400 pixels wide with this library: `ours.py PHOTOS OUTPUT`."""

import sys
from pathlib import Path

from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import ImageKitError
from jinja_imagekit.generatorlibrary import THUMBNAIL_ID

PHOTOS, OUTPUT = map(Path, sys.argv[1:])
kit = ImageKit(source_dirs=[PHOTOS], location=OUTPUT, state_dir=f"{OUTPUT}-state")
files = {path.name: kit.cachefile(THUMBNAIL_ID, source=path.name, width=400, height=None) for path in PHOTOS.iterdir()}
for name, file in sorted(files.items()):
    try:
        file.generate()
        print(f"{name}|{file.name}")
    except ImageKitError as error:
        print(f"{name}|!{error}")

"""Times tags in Jinja: `warm_jinja.py WHAT PHOTOS OUTPUT ROUNDS`; prints the best warm time, and the first page's."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup, escape

from jinja_imagekit import ImageKit

TEMPLATES = {
    "ours": "{% for p in photos %}{% thumbnail '100x100' p -- alt='x' %}{% endfor %}",
    "ours, as and url": "{% for p in photos %}{% thumbnail '100x100' p as t %}{{ t.url }}{% endfor %}",
    "ours, filter": "{% for p in photos %}{{ p | thumbnail('100x100') }}{% endfor %}",
    "by hand": "{% for p in photos %}{{ p | by_hand }}{% endfor %}",
    "bare": "{% for p in photos %}{{ p }}{% endfor %}",
}


def main(what: str, photos: str, output: str, rounds: str) -> None:
    kit = ImageKit(source_dirs=[photos], location=output, state_dir=Path(output, ".state"))
    environment = kit.install(Environment(autoescape=True))
    names = sorted(path.name for path in Path(photos).glob("*.jpg"))
    answers = {}
    for name in names if what == "by hand" else ():
        file = kit.cachefile("imagekit:thumbnail", source=name, width=100, height=100)
        source = Path(photos, name)
        answers[name] = (str(source), source.stat().st_mtime_ns, file.path, file.size, file.url)

    def by_hand(name: str) -> Markup:
        source, modified, path, size, url = answers[name]
        assert os.stat(source).st_mtime_ns == modified
        assert os.stat(path).st_size == size
        return Markup(f'<img src="{escape(url)}" width="100" height="100" alt="x">')

    environment.filters["by_hand"] = by_hand
    template = environment.from_string(TEMPLATES[what])
    times = []
    for _ in range(int(rounds)):
        begun = time.perf_counter()
        template.render(photos=names)
        times.append((time.perf_counter() - begun) / len(names) * 1e6)
    print(min(times), times[0])


if __name__ == "__main__":
    main(*sys.argv[1:])

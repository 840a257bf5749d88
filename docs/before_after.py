"""A directive that shows what processors do: an image before and after, made while the documentation is built."""

from __future__ import annotations

import sys
from base64 import b64encode
from functools import cache
from io import BytesIO
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from PIL import Image
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from jinja_imagekit import ImageSpec, processors

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
import drawing


def photo(width: int, height: int, seed: int) -> Image.Image:
    """Return a photograph of some hundred pixels, drawn larger: its sun is a disc, and its grain is fine."""
    return drawing.photo(3 * width, 3 * height, seed).reduce(3)


EXAMPLES = {
    "photo": lambda: photo(330, 220, 1),
    "portrait": lambda: photo(220, 300, 3),
    "cut-out": lambda: drawing.cut_out(photo(240, 240, 2)),
    "scan": lambda: processors.AddBorder(24, "#e8e4da").process(photo(282, 172, 4)),
}
"""What processors are shown on; as wide as two of them stand side by side."""


@cache
def example(name: str) -> Image.Image:
    """Return one of the examples, drawn once a process."""
    return EXAMPLES[name]()


@cache
def logo() -> Image.Image:
    """Return what an overlay shows."""
    return drawing.cut_out(photo(72, 72, 5), soft=False)


def png(image: Image.Image) -> bytes:
    """Return an image as a file, without loss."""
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def processed(code: str, name: str) -> bytes:
    """Return what a list of processors, written as Python, makes of an example."""
    names = {**vars(processors), "LOGO": logo()}
    spec = type("Shown", (ImageSpec,), {"processors": eval(f"[{code}]", names), "format": "PNG"})
    data: bytes = spec(source=BytesIO(png(example(name)))).generate().read()
    return data


class BeforeAfter(SphinxDirective):
    """An example image, and what the processors in the content make of it."""

    has_content = True
    option_spec = {"of": lambda word: directives.choice(word, tuple(EXAMPLES))}  # noqa: RUF012  # as docutils has it

    def run(self) -> list[nodes.Node]:
        """Return the code, and both images beside each other."""
        code, name = "\n".join(self.content), self.options.get("of", "photo")
        block = nodes.literal_block(code, code, language="python")
        pair = nodes.container(classes=["before-after"])
        for data, when in ((png(example(name)), "before"), (processed(code, name), "after")):
            with Image.open(BytesIO(data)) as image:
                width, height = image.size
                small = BytesIO()
                image.save(small, "WEBP", quality=82)
            uri = f"data:image/webp;base64,{b64encode(small.getvalue()).decode()}"
            figure = nodes.figure()
            figure += nodes.image(uri=uri, alt=f"The {name} {when} {code}", width=f"{width}px", height=f"{height}px")
            figure += nodes.caption("", f"{when}, {width} × {height}")
            pair += figure
        return [block, pair]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the directive."""
    app.add_directive("before-after", BeforeAfter)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

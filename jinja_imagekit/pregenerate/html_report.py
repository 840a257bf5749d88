"""Reports a pregeneration as a self-contained HTML page."""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import sha256
from heapq import nlargest
from importlib.resources import files
from itertools import groupby
from operator import attrgetter
from os import PathLike
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ..cachefiles.removal import storage_of
from ..exceptions import ImageKitError
from ..images import Limits, Original, PixelRules, decoder_scale, encode
from ..interfaces import Size
from ..markup.weight import PHONE, PageWeight, weigh_folder
from ..processors import ResizeToFit
from ..specs import fit_within
from ..wording import counted, seconds_in_words, size_in_words
from .report import Outcome, Report
from .run import available_cores
from .totals import by_format, by_generator, format_of

if TYPE_CHECKING:
    from ..kit import ImageKit

__all__ = ["write_html_report"]

MOST_PICTURES = 200
"""How many results the contact sheet shows: with their sources at most 400 previews, about 4 MB."""

SHOWN_FAILURES = 500
"""How many failures are listed, counting those with the same source and reason once."""

MOST_ROWS = 5_000
"""How many results the table lists: about 300 bytes each, 1.5 MB in all."""

MOST_COMPARED = 50_000
"""How many results are compared with each other, for what may be had better: about 1 kB each, 50 MB in all."""

MOST_REMARKS = 100
"""How many files are named for which something better may be had."""

MOST_PAGES = 500
"""How many pages are listed, those for which a phone loads most."""

TOP = 10
"""How many of the slowest and the largest images are listed."""

WIDTH, HEIGHT = 264, 198
"""Maximum size of a preview in pixels; at 4:3 and WebP 60 it has about 8 kB."""

MOST_DRAWING_BYTES = 65_536
"""Maximum bytes of an SVG that serves as its own preview; logos have a tenth of that."""

_FORMAT, _OPTIONS = "WEBP", {"quality": 60, "method": 2}
_RULES = PixelRules(keep_animation=False)


class Remark(NamedTuple):
    """What may be had better.

    Attributes:
        outcome: The file.
        text: What is odd about it, and what to do.
        spare: Bytes that would be spared.
    """

    outcome: Outcome
    text: str
    spare: int


class Preview(NamedTuple):
    """A small picture.

    Attributes:
        uri: A data URI.
        width: Pixels.
        height: Pixels.
    """

    uri: str
    width: int
    height: int


@dataclass(slots=True)
class Sheet:
    """A source with its results on the contact sheet.

    Attributes:
        source: The source's name, or None.
        size: Bytes of the source; 0 if unknown.
        results: What was made from it.
        preview: A small picture of the source.
        previews: Small pictures of the results.
    """

    source: str | None
    results: list[Outcome]
    size: int = 0
    preview: Preview | None = None
    previews: list[Preview | None] = field(default_factory=list)


def write_html_report(
    kit: ImageKit,
    report: Report,
    path: str | PathLike[str],
    *,
    most_pictures: int = MOST_PICTURES,
    findings: Sequence[Mapping[str, Any]] = (),
    pages: str | PathLike[str] | None = None,
) -> None:
    """Write a report as an HTML page; folders are made as needed.

    Args:
        kit: The kit.
        report: What a pregeneration did.
        path: The page to write.
        most_pictures: The maximum number of results on the contact sheet.
        findings: What is wrong with images of pages: each with `page`, `line`, `url` and `message`.
        pages: The folder of the site's pages, of which the report tells what a phone loads; None for the folder below
            which images are made, and those into which they have been published.

    Raises:
        OSError: The page cannot be written.

    Example:
        >>> write_html_report(kit, kit.generate(), "report.html")  # doctest: +SKIP
    """
    text = html_report(kit, report, most_pictures=most_pictures, findings=findings, pages=pages)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # A file name that is not Unicode holds surrogates, which UTF-8 cannot encode.
    target.write_bytes(text.encode("utf-8", "backslashreplace"))


def html_report(
    kit: ImageKit,
    report: Report,
    *,
    most_pictures: int = MOST_PICTURES,
    findings: Sequence[Mapping[str, Any]] = (),
    pages: str | PathLike[str] | None = None,
) -> str:
    """Return a report as an HTML page without links to anything; see `write_html_report`."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(size=size_in_words, seconds=seconds_in_words, counted=counted)
    template, script = (
        files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("report.html", "report.js")
    )
    generated = report.generated
    results = generated.copy()
    results.extend(report.skipped)
    failures = _failures(report.failed)
    weights = sorted(weigh_folder(kit, pages), key=lambda weight: (-weight.in_all, weight.page))
    heaviest = {_last_part(weight.heaviest) for weight in weights[:MOST_PAGES]}
    # No two cache files have one name.
    outcomes = {each: outcome for outcome in results if (each := _last_part(outcome.name or "")) in heaviest}
    remarks = sorted(_remarks(kit, results[:MOST_COMPARED]), key=lambda remark: -remark.spare)
    return environment.from_string(template).render(
        script=Markup(script),
        script_digest=b64encode(sha256(script.encode()).digest()).decode(),
        formats=by_format(results),
        remarks=remarks[:MOST_REMARKS],
        remarks_left_off=max(0, len(remarks) - MOST_REMARKS),
        rows=[(outcome, format_of(outcome)) for outcome in results[:MOST_ROWS]],
        rows_left_off=max(0, len(results) - MOST_ROWS),
        phone=PHONE,
        weights=[(weight, outcomes.get(_last_part(weight.heaviest))) for weight in weights[:MOST_PAGES]],
        weights_left_off=max(0, len(weights) - MOST_PAGES),
        usual=_usual(weights),
        report=report,
        now=datetime.now().astimezone(),
        source_bytes=sum(_source_sizes(generated).values()),
        result_bytes=sum(outcome.size for outcome in generated),
        fresh_bytes=sum(outcome.size for outcome in report.skipped),
        generators=by_generator(report),
        slowest=_greatest(generated, "seconds"),
        heaviest=_greatest(results, "size"),
        failures=failures[:SHOWN_FAILURES],
        findings=findings[:SHOWN_FAILURES],
        findings_left_off=max(0, len(findings) - SHOWN_FAILURES),
        failures_left_off=max(0, len(failures) - SHOWN_FAILURES),
        sheets=_contact_sheet(kit, results[:most_pictures]),
        left_off=max(0, len(results) - most_pictures),
    )


def _usual(weights: Sequence[PageWeight]) -> float:
    """Return how many bytes a phone loads for the page in the middle."""
    return median(weight.in_all for weight in weights) if weights else 0


def _last_part(path: str) -> str:
    return path.rpartition("/")[2]


def _source_sizes(outcomes: Iterable[Outcome]) -> dict[str, int]:
    return {outcome.source: outcome.source_size for outcome in outcomes if outcome.source}


def _greatest(outcomes: Iterable[Outcome], key: str) -> list[tuple[Outcome, float]]:
    """Return the outcomes with the greatest values, each with its share of the first one's."""
    top = nlargest(TOP, outcomes, key=attrgetter(key))
    top = [outcome for outcome in top if getattr(outcome, key)]
    return [(outcome, getattr(outcome, key) / getattr(top[0], key)) for outcome in top]


def _failures(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """Return the failures, grouped by source and reason, since a bad source fails for every generator."""
    together: dict[tuple[str | None, str], list[str]] = {}
    for outcome in outcomes:
        together.setdefault((outcome.source, outcome.reason), []).append(outcome.generator_id)
    return [{"source": key[0], "reason": key[1], "generators": sorted(ids)} for key, ids in together.items()]


def _remarks(kit: ImageKit, results: Sequence[Outcome]) -> Iterator[Remark]:
    """Yield what may be had better, with what it would spare."""
    alike: dict[object, list[Outcome]] = defaultdict(list)
    sizes: dict[object, dict[str, Outcome]] = defaultdict(dict)
    for outcome in results:
        if 0 < outcome.source_size < outcome.size:
            text = f"larger than its source ({size_in_words(outcome.source_size)}): another format or a lower quality?"
            yield Remark(outcome, text, outcome.size - outcome.source_size)
        if outcome.size:
            alike[format_of(outcome), outcome.width, outcome.height, outcome.size].append(outcome)
        key = (outcome.generator_id, outcome.source, outcome.width, outcome.height)
        sizes[key][format_of(outcome)] = outcome
    for formats in sizes.values():
        avif, webp = formats.get("AVIF"), formats.get("WebP")
        if avif and webp and avif.size > webp.size > 0:
            text = f"larger than the same image as WebP ({size_in_words(webp.size)}): is AVIF's quality too high?"
            yield Remark(avif, text, avif.size - webp.size)
    for group in alike.values():
        seen: dict[bytes, Outcome] = {}
        # Only files that may be the same are read.
        for outcome in group if len(group) > 1 else ():
            data = _read(partial(_result_bytes, kit, outcome))
            first = seen.setdefault(data, outcome)
            if data and first.name != outcome.name:
                of = f" of {first.source}" if first.source else ""
                yield Remark(outcome, f"the same bytes as {first.generator_id}{of}: one would do", outcome.size)


def _contact_sheet(kit: ImageKit, results: list[Outcome]) -> list[Sheet]:
    ordered = sorted(results, key=lambda outcome: (outcome.source or "", outcome.generator_id, outcome.name or ""))
    sheets = [Sheet(source, list(group)) for source, group in groupby(ordered, key=lambda outcome: outcome.source)]
    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(partial(_fill_sheet, kit), sheets))
    return sheets


def _fill_sheet(kit: ImageKit, sheet: Sheet) -> None:
    limits = Limits.from_settings(kit.settings)
    if sheet.source is not None:
        data = _read(lambda: _source_bytes(kit, str(sheet.source)))
        sheet.size = len(data) or sheet.results[0].source_size
        sheet.preview = make_preview(data, sheet.source, limits)
    for outcome in sheet.results:
        data = _read(partial(_result_bytes, kit, outcome))
        sheet.previews.append(make_preview(data, str(outcome.name), limits.of_results()))


def _read(read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except Exception:  # noqa: BLE001  # a site's own storage may raise anything; the page can do without a picture
        return b""


def _source_bytes(kit: ImageKit, name: str) -> bytes:
    source = kit.source(name)
    return source.read() if source else b""


def _result_bytes(kit: ImageKit, outcome: Outcome) -> bytes:
    with (storage_of(kit, outcome.generator_id) or kit.storage).open(str(outcome.name)) as file:
        return file.read()


def make_preview(data: bytes, name: str, limits: Limits) -> Preview | None:
    """Return a small picture of an image; None if it cannot be read.

    Args:
        data: The whole image file.
        name: The image's name.
        limits: The caps on what is read.
    """
    try:
        original = Original(data, name=name, limits=limits)
        if original.header.is_vector:
            return _drawing(data, original.header.size())
        shrink = ResizeToFit(WIDTH, HEIGHT, upscale=False)
        size = shrink.output_size(original.header.size())
        frames = original.frames(_RULES, scale=decoder_scale(original.header, _RULES, size))
        image = shrink.process(frames.images[0])
        small = encode(frames.with_images([image]), _FORMAT, _OPTIONS, rules=_RULES, limits=Limits(), name=name)
    except ImageKitError:
        return None
    return Preview(f"data:image/webp;base64,{b64encode(small).decode()}", image.width, image.height)


def _drawing(data: bytes, size: Size) -> Preview | None:
    if len(data) > MOST_DRAWING_BYTES:
        return None
    return Preview(f"data:image/svg+xml;base64,{b64encode(data).decode()}", *fit_within(size, (WIDTH, HEIGHT)))

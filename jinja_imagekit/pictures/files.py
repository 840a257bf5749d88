"""The files of a picture's candidates: their URLs, what a page offers with them, and how they are made together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from .. import images
from ..cachefiles import ImageCacheFile
from ..cachefiles.backends import Simple
from ..cachefiles.references import Reference, reference_to
from ..cachefiles.strategies import JustInTime
from ..pregenerate.making import make_work
from ..pregenerate.plan import Item, make_plan
from ..storages.folder import join_url
from .plan import Candidate, Plan

if TYPE_CHECKING:
    from ..cachefiles.known import KnownFile
    from ..kit import ImageKit


class PictureSource(NamedTuple):
    """What a picture's `<source>` or `<img>` offers.

    Attributes:
        media: The media query; empty if there is none.
        type: Media type, such as "image/avif".
        src: The URL of the image at the layout's width.
        srcset: The value of `srcset`; empty if `src` is the only image.
        sizes: The value of `sizes`; empty if there is none.
        width: Pixels.
        height: Pixels.
    """

    media: str
    type: str
    src: str
    srcset: str
    sizes: str
    width: int
    height: int


class Shown(NamedTuple):
    """What a page shows for a picture: its plan and URLs, or what stands in for it.

    Attributes:
        plan: The plan; None if something stands in.
        urls: The URL of each candidate, in the plan's order.
        names: The name of each candidate in its storage.
        known: What is known about each candidate's file, and what leads to it in a later run; None where that depends
            on more than the call.
        stand_in: URL, width and height in pixels of what stands in; the URL is empty if nothing does.
    """

    plan: Plan | None
    urls: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    known: tuple[tuple[KnownFile, Reference | None] | None, ...] = ()
    stand_in: tuple[str, int, int] = ("", 0, 0)

    def offers(self) -> tuple[PictureSource, ...]:
        """Return what each `<source>` offers, in the order of the page, and what the `<img>` does at the end."""
        assert self.plan is not None
        offers, at = [], 0
        for medium in self.plan.media:
            for group in medium.formats:
                urls = self.urls[at : at + len(group)]
                at += len(group)
                listed = [f"{url}{medium.descriptor(each)}" for url, each in zip(urls, group, strict=True)]
                offers.append(
                    PictureSource(
                        medium.media,
                        images.mimetype(group[0].format),
                        urls[medium.src],
                        ", ".join(listed) if len(group) > 1 else "",
                        medium.sizes,
                        medium.width,
                        medium.height,
                    )
                )
        return tuple(offers)

    def urls_anywhere(self, kit: ImageKit) -> tuple[str, ...]:
        """Return the URLs as they are for other pages than the one that is being written."""
        if kit.settings.urls != "relative":
            return self.urls
        return tuple(join_url(kit.settings.base_url, name) for name in self.names)


def candidate_files(kit: ImageKit, plan: Plan) -> Shown:
    """Return a plan with the files of its candidates; what is missing is made first where the strategy says so.

    Raises:
        ImageKitError: An image could not be made.
    """
    candidates = plan.candidates()
    calls = [(candidate.generator_id, candidate.kwargs) for candidate in candidates]
    known = kit.known_files.find_together(calls)
    references = [reference_to(id, kwargs, None) for id, kwargs in calls]
    if None in known:
        sources = [candidate.source for candidate in candidates]
        known = kit.known_files.promise_together(calls, known, references, sources)
    files: list[ImageCacheFile | None] = [
        None if each else _file_of(kit, candidate) for each, candidate in zip(known, candidates, strict=True)
    ]
    on_demand = [
        each for each, file in zip(candidates, files, strict=True) if file is not None and _is_made_on_demand(file)
    ]
    if len(on_demand) > 1:
        make_together(kit, on_demand)
    names, urls = [], []
    for place, file in enumerate(files):
        each = known[place]
        if file is not None:
            urls.append(file.url)
            names.append(str(file.name))
            known[place] = kit.known_files.remember(file, candidates[place].kwargs)
        elif each is not None:
            urls.append(each.url)
            names.append(each.name)
    found = [None if each is None else (each, reference) for each, reference in zip(known, references, strict=True)]
    return Shown(plan, tuple(urls), tuple(names), tuple(found))


def _file_of(kit: ImageKit, candidate: Candidate) -> ImageCacheFile:
    """Return the cache file of a candidate; its source, which was found for the plan, is not looked for again."""
    file = kit.cachefile(candidate.generator_id, **candidate.kwargs)
    file.__dict__["generator"] = kit.generator(
        candidate.generator_id, **{**candidate.kwargs, "source": candidate.source}
    )
    return file


def _is_made_on_demand(file: ImageCacheFile) -> bool:
    return type(file.cachefile_strategy) is JustInTime and type(file.cachefile_backend) is Simple


def make_together(kit: ImageKit, candidates: Iterable[Candidate]) -> None:
    """Make missing candidates, reading each source once and decoding it once for each scale.

    Errors are remembered, and raised when the file is asked for.
    """
    plan = make_plan(kit, [Item(each.generator_id, each.kwargs) for each in candidates])
    for work in plan.works:
        make_work(kit, work, stopped=lambda: False)

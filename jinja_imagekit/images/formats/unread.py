"""Names files that are not read by what they are, and says what to do."""

from __future__ import annotations

from .heif import BRANDS
from .jxl import SIGNATURES

_OPENING_BYTES = 1_024

RAW = "a raw photo; export it from your photo program as JPEG"
VIDEO = "a video; link it with <video>, take a frame of it, or have the setting video_poster take one"
_BASE64 = "an image as Base64 text; decode it first"

_JXL = "a JPEG XL image; convert it to JPEG, WebP or AVIF, or name JXL in the setting readable_formats"

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    *((each, _JXL) for each in SIGNATURES),
    (
        b"\0\0\0\x0cjP  \r\n\x87\n",
        "a JPEG 2000 image; convert it to JPEG or PNG, or name JPEG2000 in the setting readable_formats",
    ),
    (b"%PDF-", "a PDF document; export the page as PNG or SVG, or name PDF in the setting readable_formats"),
    (b"%!PS", "a PostScript drawing; export it as SVG or PNG"),
    (b"8BPS", "a Photoshop document; export it as PNG, JPEG or TIFF, or name PSD in the setting readable_formats"),
    (b"gimp xcf", "a GIMP document; export it as PNG or JPEG"),
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer and not the image itself; run `git lfs pull`"),
    (b"PK\x03\x04", "a ZIP archive or an office document; take the image out of it"),
    (b"\x1f\x8b", "a file compressed with gzip (an SVGZ perhaps); unpack it first"),
    *((each, VIDEO) for each in (b"\x1aE\xdf\xa3", b"FLV\x01", b"OggS", b"0&\xb2u\x8ef\xcf\x11", b"\0\0\1\xba")),
    *((signature, RAW) for signature in (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")),
    (b"/annex/objects/", "a git-annex pointer and not the image itself; run `git annex get`"),
    (b"data:image/", "a data: URL as text; decode what follows its comma"),
    (b"/9j/", _BASE64),
    (b"iVBORw0KGgo", _BASE64),
    (b"R0lGOD", _BASE64),
    (b"UklGR", _BASE64),
)

_QUICKTIME = (b"moov", b"mdat", b"wide")
"""What older films begin with, after four bytes of length."""

_JSON = "JSON, as a server sends instead of an image that it refuses; download the image again"
_XML = "XML and no SVG, as a server sends instead of an image that it refuses; download the image again"
_HTML = "an HTML page, as a server sends instead of an image that is gone; download the image again"
_HEIF = "a HEIC image, as iPhones take; convert it to JPEG or AVIF, or name HEIF in the setting readable_formats"


def what_it_is(data: bytes) -> str:
    """Return what kind of file it is that is not read, and what to do about it; empty if unknown.

    Example:
        >>> what_it_is(b"%PDF-1.7")
        'a PDF document; export the page as PNG or SVG, or name PDF in the setting readable_formats'
    """
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[4:8] == b"ftyp":
        brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
        if b"crx " in brands:
            return RAW
        return _HEIF if any(brand in brands for brand in BRANDS) else VIDEO
    if (data[:4] == b"RIFF" and data[8:12] == b"AVI ") or data[4:8] in _QUICKTIME:
        return VIDEO
    opening = data[:_OPENING_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if opening.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return _HTML
    if opening.startswith((b"<?xml", b"<error")):
        return _XML
    return _JSON if opening.startswith((b'{"', b"[{", b"{\n", b"{\r\n")) else ""

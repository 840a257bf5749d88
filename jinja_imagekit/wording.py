"""Text for terminals and pages: bytes, seconds and counts in words, and text that is safe to show."""

from __future__ import annotations

import re


def size_in_words(count: int) -> str:
    """Return a number of bytes in decimal units, as file managers do.

    Example:
        >>> size_in_words(999), size_in_words(81_234), size_in_words(1_250_000)
        ('999 B', '81 kB', '1.2 MB')
    """
    if count < 1000:
        return f"{count} B"
    if count < 999_500:
        return f"{count / 1e3:.0f} kB"
    unit, divisor = ("MB", 1e6) if count < 999_500_000 else ("GB", 1e9)
    amount = count / divisor
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:,.0f} {unit}"


def seconds_in_words(seconds: float) -> str:
    """Return a duration, as precisely as its length calls for.

    Example:
        >>> seconds_in_words(0.0413), seconds_in_words(2.34), seconds_in_words(754)
        ('41 ms', '2.3 s', '12 min 34 s')
    """
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun.

    Example:
        >>> counted(1, "image"), counted(12_000, "image")
        ('1 image', '12,000 images')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def printable(text: str) -> str:
    """Return a text on one line with its control characters escaped, since a file's name may hold terminal commands.

    Example:
        >>> printable("a\\x1b[2J.jpg")
        'a\\\\x1b[2J.jpg'
    """
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def without_credentials(text: str) -> str:
    """Return a URL, or a text with URLs, without the names and passwords of users.

    Example:
        >>> without_credentials("sftp://me:s@cret@host/photos")
        'sftp://host/photos'
    """
    # A password may hold the sign itself.
    return re.sub(r"//[^/\s]*@", "//", text)


def said(error: BaseException) -> str:
    """Return what an error says on one line, or its class's name where it says nothing.

    Example:
        >>> said(ValueError("row 7\\nis damaged\\n")), said(EOFError())
        ('row 7 is damaged', 'EOFError')
    """
    return " ".join(str(error).split()) or type(error).__name__

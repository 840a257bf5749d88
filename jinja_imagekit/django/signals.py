"""The signals sent when a cache file is needed, and when a source has been saved."""

from __future__ import annotations

from django.dispatch import Signal

content_required = Signal()
"""Sent with `file` before the content of a cache file is used."""

existence_required = Signal()
"""Sent with `file` before the URL, the path or the truth of a cache file is used."""

source_saved = Signal()
"""Sent with `source`, by the source group, when a source was created or changed."""

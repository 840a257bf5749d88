"""Processors that crop, by the module that they had in old versions of django-imagekit."""

from . import Anchor, Crop, Side, SmartCrop, TrimBorderColor, detect_border_color, histogram_entropy

__all__ = ["Anchor", "Crop", "Side", "SmartCrop", "TrimBorderColor", "detect_border_color", "histogram_entropy"]

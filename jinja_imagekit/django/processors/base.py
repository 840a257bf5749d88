"""Processors by the module that they had in old versions of django-imagekit."""

from . import Adjust, Anchor, MakeOpaque, ProcessorPipeline, Reflection, Transpose, getattrsafe

__all__ = ["Adjust", "Anchor", "MakeOpaque", "ProcessorPipeline", "Reflection", "Transpose", "getattrsafe"]

"""Suites that every implementation of a protocol passes: subclass one and define its fixture."""

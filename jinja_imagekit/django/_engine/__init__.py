"""This library's own side: what Django's settings, storages, caches and fields mean to its engine."""

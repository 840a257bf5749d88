"""The side of this library: what Django's settings, storages, caches and fields are for its engine."""

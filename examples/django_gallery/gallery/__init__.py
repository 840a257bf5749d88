"""The gallery: photographers and their photos."""

"""Images in Jinja templates: specs, processors, cache files and pregeneration."""

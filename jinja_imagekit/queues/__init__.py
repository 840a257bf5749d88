"""Backends that have cache files made by a queue's workers or by threads; each library has a module of its own.

`default_cachefile_backend` takes the dotted paths `jinja_imagekit.queues.celery.Celery`, `.rq.RQ`,
`.dramatiq.Dramatiq` and `.threads.Threads`.
"""

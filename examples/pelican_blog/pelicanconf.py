"""The blog's settings: Pelican's own, then those of its images."""

SITENAME = "Slow Miles"
SITESUBTITLE = "Twelve walks, and what was at the end of them"
SITEURL = "https://slow-miles.example"
AUTHOR = "Ines Harrow"
TIMEZONE = "Europe/London"
DEFAULT_LANG = "en"

PATH = "content"
ARTICLE_PATHS = ["walks"]
STATIC_PATHS = []
THEME = "theme"
OUTPUT_PATH = "output"
CACHE_PATH = ".cache"
DELETE_OUTPUT_DIRECTORY = True
RELATIVE_URLS = True

USE_FOLDER_AS_CATEGORY = False
DEFAULT_CATEGORY = "walks"
DIRECT_TEMPLATES = ["index"]
CATEGORY_SAVE_AS = AUTHOR_SAVE_AS = TAG_SAVE_AS = ""
ARTICLE_URL = ARTICLE_SAVE_AS = "walks/{slug}.html"
FEED_ALL_ATOM = "feed.atom"
CATEGORY_FEED_ATOM = TRANSLATION_FEED_ATOM = AUTHOR_FEED_ATOM = AUTHOR_FEED_RSS = None
SUMMARY_MAX_PARAGRAPHS = 1

PLUGINS = ["jinja_imagekit.pelican"]
IMAGEKIT_GENERATORS = ["imagegenerators"]
IMAGEKIT_CLASSES = {
    "plate": {"size": "1000x760", "crop": False, "sizes": "(min-width: 64rem) 800px, 92vw"},
    "strip": {
        "size": "900x270",
        "at": {"(max-width: 30rem)": {"size": "450x270", "sizes": "92vw"}},
        "sizes": "(min-width: 64rem) 800px, 92vw",
    },
    "study": "blog:study",
}

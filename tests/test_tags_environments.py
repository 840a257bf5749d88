"""The tags in every kind of Jinja environment, and in every place of a template."""

from __future__ import annotations

import re
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from jinja2 import DictLoader, Environment, FileSystemLoader, Undefined, meta, select_autoescape
from jinja2.nativetypes import NativeEnvironment
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

from jinja_imagekit.exceptions import ImageKitError, InvalidOption, SourceNotFound
from jinja_imagekit.ext import ImageKitExtension
from jinja_imagekit.kit import ImageKit

IMG = r'<img src="/CACHE/images/photo/\w+\.jpg" width="20" height="15">'
TAG = "{% thumbnail '20x' 'photo.jpg' %}"


@pytest.fixture
def kit(tmp_path: Path, images_dir: Path, write_photo: Any) -> ImageKit:
    """Return a kit with one photo of 32 × 24 pixels."""
    write_photo("photo.jpg", 32, 24)
    return ImageKit(source_dirs=[images_dir], location=tmp_path / "out", state_dir=tmp_path / "state")


def environment_of(kit: ImageKit, templates: dict[str, str] | None = None, **options: Any) -> Environment:
    """Return an environment with these templates and the kit's tags."""
    return kit.install(Environment(loader=DictLoader(templates or {}), **options))


@pytest.mark.parametrize("autoescape", [True, False, select_autoescape(), lambda name: name == "page.html"])
@pytest.mark.parametrize("name", ["page.html", "page.txt"])
def test_autoescape_on_off_and_by_name(kit: ImageKit, autoescape: Any, name: str) -> None:
    """The element arrives as it is, whatever the environment escapes."""
    environment = environment_of(kit, {name: TAG}, autoescape=autoescape)
    assert re.fullmatch(IMG, environment.get_template(name).render())


@pytest.mark.parametrize("setting", ["true", "false", "flag"])
def test_autoescape_blocks(kit: ImageKit, setting: str) -> None:
    """The same holds in `{% autoescape %}` blocks, also where the setting is known only while rendering."""
    page = f"{{% autoescape {setting} %}}{TAG}{{% endautoescape %}}"
    for flag in (True, False):
        assert re.fullmatch(IMG, environment_of(kit).from_string(page).render(flag=flag))


@pytest.mark.parametrize("autoescape", [True, False])
def test_element_can_be_captured_and_concatenated(kit: ImageKit, autoescape: bool) -> None:
    """A `{% set %}` block takes the element, which is escaped nowhere on its way."""
    page = "{% set x %}<b>" + TAG + "</b>{% endset %}{{ x }}{{ '' ~ x }}"
    assert re.fullmatch(f"(<b>{IMG}</b>){{2}}", environment_of(kit, autoescape=autoescape).from_string(page).render())


USED_AS_TEXT = {
    "{{ f ~ '<' }}": "{img}{lt}",
    "{{ '<' ~ f ~ f }}": "{lt}{img}{img}",
    "{{ f|string }}{{ f|trim }}": "{img}{img}",
    "{{ f|replace('<img', '<hr>'|safe) }}": "<hr>{rest}",
    "{{ [f, '<']|join(' ') }}": "{img} {lt}",
    "{{ '<b>%s</b>'|safe|format(f) }}": "<b>{img}</b>",
    "{{ f|striptags }}": "",
    "{{ f|urlencode }}": "{quoted}",
    "{{ f + '<' }}{{ '<' + f }}{{ f + f }}": "{img}{lt}{lt}{img}{img}{img}",
    "{{ f|indent(2, true) }}": "  {img}",
    "{{ f|truncate(4, true, '', 0) }}": "<img",
    "{{ f|length }}": "{length}",
    "{{ '<img' in f }}{{ 'photo.jpg' in f }}": "TrueFalse",
    "{{ f['url'] == f.url }}": "True",
    "{% for x in [f] %}{{ x }}{% endfor %}": "{img}",
}


@pytest.mark.parametrize("autoescape", [True, False])
@pytest.mark.parametrize("kind", [Environment, SandboxedEnvironment])
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("template", USED_AS_TEXT)
def test_a_cache_file_is_its_element_wherever_text_is_wanted(
    kit: ImageKit, template: str, is_async: bool, kind: type[Environment], autoescape: bool
) -> None:
    """Concatenated or put through a filter of strings it is its `<img>`, unescaped, and never its name."""
    environment = kit.install(kind(autoescape=autoescape, enable_async=is_async))
    img = environment.from_string(TAG).render()
    parts = {
        "img": img,
        "rest": img.removeprefix("<img"),
        "quoted": quote(img),
        "length": len(img),
        "lt": "&lt;" if autoescape else "<",
    }
    for assigned in ("{% set f = 'photo.jpg'|thumbnail('20x') %}", "{% thumbnail '20x' 'photo.jpg' as f %}"):
        assert environment.from_string(assigned + template).render() == USED_AS_TEXT[template].format(**parts)


def test_everything_constant_is_rendered_not_compiled(kit: ImageKit, tmp_path: Path) -> None:
    """A tag or filter with nothing but constants is worked out when the page is rendered."""
    page = environment_of(kit, autoescape=True).from_string(TAG + "{{ 'photo.jpg'|thumbnail('20x') }}")
    assert not (tmp_path / "out").exists()
    assert re.fullmatch(IMG + IMG, page.render())


def test_tools_see_what_a_tag_uses(kit: ImageKit) -> None:
    """Jinja's own analysis finds the variables in arguments, keywords and attributes, and not what `as` assigns."""
    page = "{% thumbnail size photo crop=c -- alt=title %}{% generateimage 'x' source=p as x %}{{ x.url }}"
    found = meta.find_undeclared_variables(environment_of(kit).parse(page))
    assert found == {"size", "photo", "c", "title", "p"}


def test_finalize_sees_the_element(kit: ImageKit) -> None:
    """An environment's `finalize` applies to the tag as to every output."""
    environment = environment_of(kit, finalize=lambda value: f"[{value}]")
    assert re.fullmatch(rf"\[{IMG}\]", environment.from_string(TAG).render())


PLACES = {
    "loop": "{% for size in ('20x', '20x') %}{% thumbnail size 'photo.jpg' %}{% endfor %}",
    "recursive loop": "{% for x in [[[]]] recursive %}" + TAG + "{{ loop(x) }}{% endfor %}",
    "if": "{% if true %}" + TAG + "{% endif %}",
    "macro": "{% macro card(photo) %}{% thumbnail '20x' photo %}{% endmacro %}{{ card('photo.jpg') }}",
    "call": "{% macro m() %}<i>{{ caller() }}</i>{% endmacro %}{% call m() %}" + TAG + "{% endcall %}",
    "caller in a loop": "{% macro m() %}{% for x in 'ab' %}{{ caller(x) }}{% endfor %}{% endmacro %}"
    "{% call(x) m() %}{{ x }}" + TAG + "{% endcall %}",
    "filter block": "{% filter trim %}  " + TAG + "  {% endfilter %}",
    "with": "{% with photo='photo.jpg' %}{% thumbnail '20x' photo %}{% endwith %}",
    "include": "{% include 'tag.html' %}",
    "include in a loop": "{% for photo in ['photo.jpg'] %}{% include 'photo.html' %}{% endfor %}",
    "import": "{% import 'macros.html' as m %}{{ m.card('photo.jpg') }}",
    "import with context": "{% from 'macros.html' import own with context %}{{ own() }}",
    "imported variable": "{% from 'macros.html' import shown %}{{ shown }}",
    "block": "{% block a %}" + TAG + "{% endblock %}",
    "scoped block": "{% for photo in ['photo.jpg'] %}{% block a scoped %}{% thumbnail '20x' photo %}{% endblock %}"
    "{% endfor %}",
    "child": "{% extends 'base.html' %}{% block a %}{{ super() }}" + TAG + "{% endblock %}",
    "child's assignment": "{% extends 'base.html' %}{% thumbnail '20x' 'photo.jpg' as top %}"
    "{% block a %}{{ top }}{% endblock %}",
}
TEMPLATES = {
    "tag.html": TAG,
    "photo.html": "{% thumbnail '20x' photo %}",
    "macros.html": "{% macro card(photo) %}{% thumbnail '20x' photo as t %}{{ t }}{% endmacro %}"
    "{% macro own() %}{% thumbnail '20x' photo_name %}{% endmacro %}"
    "{% thumbnail '20x' 'photo.jpg' as shown %}",
    "base.html": "<main>{% block a %}" + TAG + "{% endblock %}</main>",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["plain", "async", "sandbox", "native", "overlay", "unescaped"])
def test_every_place_of_a_template(kit: ImageKit, place: str, kind: str) -> None:
    """Loops, macros, includes, imports, blocks and inheritance show the image, in every kind of environment."""
    kinds = {"sandbox": SandboxedEnvironment, "native": NativeEnvironment}
    options = {"loader": DictLoader(TEMPLATES), "autoescape": kind != "unescaped", "enable_async": kind == "async"}
    environment = kit.install(kinds.get(kind, Environment)(**options))
    if kind == "overlay":
        environment = environment.overlay(trim_blocks=True)
    page = environment.from_string(PLACES[place])
    for _ in range(2):
        html = str(page.render(photo_name="photo.jpg"))
        assert len(re.findall(IMG, html)) >= 1
        assert "&lt;" not in html


def test_assignment_is_scoped_as_set_is(kit: ImageKit) -> None:
    """A name that is assigned in a loop ends with it; one on the top level is exported; a namespace keeps it."""
    environment = environment_of(kit, {"m.html": "{% thumbnail '20x' 'photo.jpg' as shown %}"})
    loop = (
        "{% set x = 'outer' %}{% for i in [1] %}{% thumbnail '20x' 'photo.jpg' as x %}{{ x.width }} {% endfor %}{{ x }}"
    )
    assert environment.from_string(loop).render() == "20 outer"
    branch = "{% set x = 'outer' %}{% if 1 %}{% thumbnail '20x' 'photo.jpg' as x %}{% endif %}{{ x.width }}"
    assert environment.from_string(branch).render() == "20"
    space = (
        "{% set n = namespace() %}{% for i in [1] %}{% thumbnail '20x' 'photo.jpg' as n.x %}{% endfor %}{{ n.x.width }}"
    )
    assert environment.from_string(space).render() == "20"
    assert environment.get_template("m.html").module.shown.width == 20
    private = "{% thumbnail '20x' 'photo.jpg' as _x %}{{ _x.width }}"
    module = environment.from_string(private).module
    assert str(module) == "20"
    assert not hasattr(module, "_x")


def test_native_environment_keeps_the_object(kit: ImageKit) -> None:
    """In a native environment a tag gives its markup, and a filter the cache file itself."""
    environment = kit.install(NativeEnvironment(autoescape=True))
    assert type(environment.from_string(TAG).render()) in (str, Markup)
    file = environment.from_string("{{ 'photo.jpg'|thumbnail('20x') }}").render()
    assert file.width == 20


def test_overlays_share_the_kit(kit: ImageKit) -> None:
    """An overlay has the tags, whatever it changes; one that becomes async renders both ways."""
    environment = environment_of(kit, autoescape=True)
    overlays = [
        environment.overlay(autoescape=False),
        environment.overlay(block_start_string="<%", block_end_string="%>"),
        environment.overlay(extensions=["jinja2.ext.do"]),
        environment.overlay(enable_async=True),
    ]
    for overlay in overlays:
        tag = TAG.replace("{%", overlay.block_start_string).replace("%}", overlay.block_end_string)
        assert re.fullmatch(IMG, overlay.from_string(tag).render())
    assert re.fullmatch(IMG, environment.from_string(TAG).render())


def test_environments_of_several_kits_do_not_mix(kit: ImageKit, tmp_path: Path, images_dir: Path) -> None:
    """Each environment shows its own kit's images."""
    other = ImageKit(
        source_dirs=[images_dir], location=tmp_path / "o", state_dir=tmp_path / "os", base_url="https://cdn.example/"
    )
    pages = [environment_of(each).from_string(TAG) for each in (kit, other)]
    html = [page.render() for page in pages]
    assert 'src="/CACHE' in html[0]
    assert 'src="https://cdn.example/CACHE' in html[1]


def test_second_install_replaces_the_kit(kit: ImageKit, tmp_path: Path, images_dir: Path) -> None:
    """A template that was compiled before shows the images of the kit that was installed last."""
    environment = environment_of(kit)
    page = environment.from_string(TAG)
    ImageKit(source_dirs=[images_dir], location=tmp_path / "o", state_dir=tmp_path / "os", base_url="/b/").install(
        environment
    )
    assert 'src="/b/CACHE' in page.render()


def test_extension_without_a_kit_says_so() -> None:
    """The extension alone compiles templates; rendering them says what is missing."""
    environment = Environment(extensions=[ImageKitExtension])
    for page in (TAG, "{% thumbnail '20x' 'photo.jpg' as x %}", "{{ 'photo.jpg'|thumbnail('20x') }}"):
        template = environment.from_string(page)
        with pytest.raises(ImageKitError, match=r"Call kit\.install\(environment\)"):
            template.render()


BYTECODE_PAGE = """
import sys
from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader
from jinja2.parser import Parser
from jinja_imagekit.kit import ImageKit
root, base_url, may_parse = sys.argv[1:]
if may_parse == "no":
    Parser.parse = None
kit = ImageKit(source_dirs=[root + "/images"], location=root + "/out", state_dir=root + "/state", base_url=base_url)
environment = kit.install(
    Environment(
        loader=FileSystemLoader(root + "/templates"), bytecode_cache=FileSystemBytecodeCache(root + "/bytecode")
    )
)
print(environment.get_template("page.html").render())
"""


def test_bytecode_of_one_process_serves_another(kit: ImageKit, tmp_path: Path) -> None:
    """Compiled templates hold no settings: another process with another base URL renders them, and parses nothing."""
    for folder in ("templates", "bytecode"):
        (tmp_path / folder).mkdir()
    (tmp_path / "templates" / "page.html").write_text(TAG + "{% thumbnail '20x' 'photo.jpg' as x %}{{ x.url }}")
    outputs = [
        subprocess.run(
            [sys.executable, "-c", BYTECODE_PAGE, str(tmp_path), url, parse], capture_output=True, text=True, check=True
        ).stdout
        for url, parse in (("/a/", "yes"), ("/b/", "no"))
    ]
    assert outputs[0].startswith('<img src="/a/CACHE')
    assert outputs[1] == outputs[0].replace("/a/CACHE", "/b/CACHE")


# Errors while rendering


@pytest.mark.parametrize(
    "tag",
    [
        "{% thumbnail '20x' 'none.jpg' %}",
        "{% thumbnail\n  '20x'\n  'none.jpg'\n-- alt='x' %}",
        "{% generateimage 'imagekit:thumbnail' source='none.jpg' width=20 %}",
        "{% thumbnail '0x' 'photo.jpg' %}",
        "{% thumbnail '0x' 'photo.jpg' as x %}",
        "{{ 'photo.jpg'|thumbnail('0x') }}",
        "{{ ('photo.jpg'|thumbnail('0x')).url }}",
        "{% for x in ['0x'] %}{% thumbnail x 'photo.jpg' %}{% endfor %}",
        "{{ 'none.jpg'|thumbnail('20x') ~ '' }}{{ ('none.jpg'|thumbnail('20x')).url }}",
        "{% thumbnail '20x' 'none.jpg' as x %}{{ x.url }}",
        "{% thumbnail '20x' 'none.jpg' as x %}{{ x.width }}",
        "{% thumbnail '20x' 'none.jpg' as x %}{% if x %}{% endif %}",
        "{% thumbnail '20x' 'none.jpg' as x %}{% thumbnail '10x' x %}",
    ],
)
@pytest.mark.parametrize("kind", ["plain", "async", "sandbox"])
def test_errors_carry_template_and_line(kit: ImageKit, tmp_path: Path, tag: str, kind: str) -> None:
    """An error says in its message, its attributes and its traceback where the tag begins."""
    (tmp_path / "page.html").write_text(f"one\ntwo\n{tag}\nfour")
    (tmp_path / "outer.html").write_text("{% include 'page.html' %}")
    environment_class = SandboxedEnvironment if kind == "sandbox" else Environment
    environment = kit.install(environment_class(loader=FileSystemLoader(tmp_path), enable_async=kind == "async"))
    for name in ("page.html", "outer.html"):
        with pytest.raises((SourceNotFound, InvalidOption)) as caught:
            environment.get_template(name).render()
        assert (caught.value.template, caught.value.lineno) == ("page.html", 3)
        assert "[template 'page.html', line 3]" in str(caught.value)
        places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert (str(tmp_path / "page.html"), 3) in places


def test_errors_in_inherited_blocks_and_imported_macros(kit: ImageKit) -> None:
    """The template that is named is the one in which the tag stands."""
    templates = {
        "base.html": "\n{% block a %}\n{% thumbnail '0x' 'photo.jpg' %}{% endblock %}",
        "child.html": "{% extends 'base.html' %}\n\n\n\n{% block b %}{% endblock %}",
        "macros.html": "\n\n\n{% macro card() %}{% thumbnail '0x' 'photo.jpg' %}{% endmacro %}",
        "user.html": "{% from 'macros.html' import card %}\n{{ card() }}",
    }
    environment = environment_of(kit, templates)
    for name, place in (("child.html", ("base.html", 3)), ("user.html", ("macros.html", 4))):
        with pytest.raises(InvalidOption) as caught:
            environment.get_template(name).render()
        assert (caught.value.template, caught.value.lineno) == place


def test_errors_of_others_get_a_note(kit: ImageKit) -> None:
    """An error that is none of this library's keeps its class, and is told where it happened."""

    def broken(**keywords: Any) -> Any:
        raise ZeroDivisionError

    kit.register.generator("broken", broken)
    with pytest.raises(ZeroDivisionError) as caught:
        environment_of(kit).from_string("\n{% generateimage 'broken' %}").render()
    assert caught.value.__notes__ == ["This happened in template '<template>', line 2."]


def test_errors_outside_a_template_have_no_place(kit: ImageKit) -> None:
    """A compiled expression has no template, and its error says nothing of one."""
    expression = environment_of(kit).compile_expression("'photo.jpg'|thumbnail('0x')")
    with pytest.raises(InvalidOption):
        expression()


def test_undefined_is_kept_where_it_is_not_the_source(kit: ImageKit) -> None:
    """An undefined keyword reaches the generator as it is."""
    seen: list[object] = []

    def probe(source: Any = None, **keywords: Any) -> Any:
        seen.append(keywords["x"])
        return kit.spec()(source)

    kit.register.generator("probe", probe)
    environment_of(kit).from_string("{% generateimage 'probe' source='photo.jpg' x=missing %}").render()
    assert seen
    assert all(isinstance(value, Undefined) for value in seen)

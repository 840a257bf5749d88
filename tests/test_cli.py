"""The command: what it makes, lists and deletes, what it says, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.cachefiles.strategies import Deferred
from jinja_imagekit.cli import command_line, commands
from jinja_imagekit.json_output import json_text
from jinja_imagekit.large import LargeList
from jinja_imagekit.processors import ResizeToFill
from jinja_imagekit.sourcegroups import GlobSourceGroup

Run = Callable[..., Result]

SITE = """
    import time
    from pathlib import Path

    from jinja_imagekit import ImageKit
    from jinja_imagekit.processors import ResizeToFill
    from jinja_imagekit.sourcegroups import GlobSourceGroup


    class Slow:
        def process(self, image):
            time.sleep(0.1)
            return image


    kit = ImageKit(source_dirs=["images"], location="output", state_dir="state")
    kit.spec("blog:card", processors=[ResizeToFill(80, 60)], format="WEBP")
    kit.spec("blog:slow", processors=[Slow(), ResizeToFill(80, 60)], format="WEBP")
    kit.register.source_group("blog:card", GlobSourceGroup("card/*"))
    kit.register.source_group("blog:slow", GlobSourceGroup("slow/*"))
"""


@pytest.fixture
def kit(tmp_path: Path) -> ImageKit:
    """Return a kit with two generators over three photos."""
    for seed, name in enumerate(("canal", "dunes", "harbour")):
        target = tmp_path / f"images/{name}.jpg"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(drawing.jpeg(240, 160, seed))
    kit = ImageKit(source_dirs=[tmp_path / "images"], location=tmp_path / "output", state_dir=tmp_path / "state")
    kit.spec("blog:hero", processors=[ResizeToFill(120, 50)], format="WEBP")
    kit.spec("blog:card", processors=[ResizeToFill(60, 40)], format="JPEG")
    for id in ("blog:hero", "blog:card"):
        kit.register.source_group(id, GlobSourceGroup("*.jpg"))
    return kit


@pytest.fixture
def run(kit: ImageKit) -> Run:
    """Return a function that runs a subcommand on that kit."""
    return lambda *arguments, **options: CliRunner().invoke(commands(lambda: kit), arguments, **options)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, in which `mysite.py` has a kit and one small image."""
    folder = tmp_path / "site"
    (folder / "images/card").mkdir(parents=True)
    (folder / "images/card/canal.jpg").write_bytes(drawing.jpeg(120, 80, 1))
    (folder / "mysite.py").write_text(textwrap.dedent(SITE), encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("JINJA_IMAGEKIT", raising=False)
    return folder


def command(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-m", "jinja_imagekit.cli", *arguments]
    return subprocess.run(whole, capture_output=True, text=True, encoding="utf-8", check=False, timeout=60, **options)  # type: ignore[call-overload,no-any-return]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_generate_makes_what_is_missing_and_says_so(run: Run, tmp_path: Path) -> None:
    """Each image has a line, the summary counts them, and a second run makes none."""
    first = run("generate")
    assert first.exit_code == 0, first.output
    assert first.stdout.count("made CACHE/images/") == 6
    assert "6 images made, 0 fresh already, 0 failed" in first.stdout
    assert len(files(tmp_path / "output")) == 6
    assert "0 images made, 6 fresh already, 0 failed" in run("generate").stdout
    assert "6 images made" in run("generate", "--force", "--workers", "1").stdout


def test_a_pattern_chooses_generators(run: Run) -> None:
    """Only the matching ids are made."""
    assert "3 images made" in run("generate", "*:hero").stdout
    assert "3 images made, 3 fresh" in run("generate", "blog").stdout


def test_a_pattern_that_matches_nothing_is_wrong_usage(run: Run) -> None:
    """The exit status is 2, and the message suggests an id."""
    result = run("generate", "blog:hreo")
    assert result.exit_code == 2
    assert "Did you mean 'blog:hero'?" in result.stderr


def test_a_failure_is_named_and_the_rest_is_made(run: Run, tmp_path: Path) -> None:
    """Exit status 1; standard error has generator, source and reason."""
    (tmp_path / "images/broken.jpg").write_text("no image")
    result = run("generate", "blog:hero", "--quiet")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "failed blog:hero of broken.jpg: " in result.stderr
    assert "it is not an image of a readable format" in result.stderr
    assert len(files(tmp_path / "output")) == 3


def test_control_characters_in_a_name_do_not_reach_the_terminal(run: Run, tmp_path: Path) -> None:
    """A file's name cannot clear the screen or feign a line."""
    try:
        (tmp_path / "images/a\x1b[2J\nb.jpg").write_text("no image")
    except OSError:
        pytest.skip("this file system has no such names")
    result = run("generate")
    assert "\\x1b[2J\\nb.jpg" in result.stderr
    assert "\x1b" not in result.output


def test_a_dry_run_lists_and_makes_nothing(run: Run, kit: ImageKit, tmp_path: Path) -> None:
    """What would be made is named as the run then names it."""
    kit.cachefile("blog:hero", source="canal.jpg").generate()
    result = run("generate", "--dry-run", "--json")
    foreseen = json.loads(result.stdout)
    assert foreseen["dry_run"] is True
    assert len(foreseen["generated"]) == 5
    assert len(foreseen["skipped"]) == 1
    assert len(files(tmp_path / "output")) == 1
    made = json.loads(run("generate", "--json").stdout)
    assert {each["name"] for each in made["generated"]} == {each["name"] for each in foreseen["generated"]}
    assert "6 images to make" in run("generate", "--dry-run", "--force").stdout


def test_a_dry_run_opens_no_source_that_is_remembered(
    run: Run, kit: ImageKit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The facts in the state store are enough, though all results are gone."""
    # What was changed a moment ago is not remembered.
    time.sleep(0.03)
    run("generate")
    for result in files(tmp_path / "output"):
        (tmp_path / "output" / result).unlink()

    def refuse(self: object) -> None:
        raise AssertionError("a source was opened")

    monkeypatch.setattr("jinja_imagekit.sources.FileSource.open", refuse)
    assert "6 images to make, 0 fresh already, 0 cannot be made" in run("generate", "--dry-run").stdout


def test_a_dry_run_says_what_cannot_be_made(run: Run, kit: ImageKit) -> None:
    """A registered source that is not there is a failure before anything runs."""
    kit.register.cachefiles("blog:hero", [{"source": "gone.jpg"}])
    result = run("generate", "--dry-run")
    assert result.exit_code == 1
    assert "failed blog:hero of gone.jpg" in result.stderr


def test_json_is_all_that_standard_output_has(run: Run, tmp_path: Path) -> None:
    """Outcomes with sizes and seconds, failures with reasons, and whether all went well."""
    (tmp_path / "images/broken.jpg").write_text("no image")
    result = run("generate", "--json")
    report = json.loads(result.stdout)
    assert report["ok"] is False
    assert {each["width"] for each in report["generated"]} == {120, 60}
    assert all(each["reason"] for each in report["failed"])


def test_json_has_the_size_of_what_was_fresh(run: Run, kit: ImageKit) -> None:
    """Width, height and bytes are those of the file, whether it was made now, before, or twice in one run."""
    made = {each["name"]: each for each in json.loads(run("generate", "--json").stdout)["generated"]}
    kit.register.cachefiles("blog:hero", [{"source": kit.settings.source_dirs[0] / "canal.jpg"}])
    for arguments in (["generate", "--json"], ["generate", "--json", "-n"]):
        fresh = json.loads(run(*arguments).stdout)["skipped"]
        assert len(fresh) == 7
        for each in fresh:
            assert all(each[key] == made[each["name"]][key] for key in ("size", "width", "height")), each


def test_the_report_is_written_and_a_dry_run_has_none(run: Run, tmp_path: Path) -> None:
    """--report writes a page, in a folder that exists; with --dry-run it is refused."""
    page = tmp_path / "public/report.html"
    page.parent.mkdir()
    assert run("generate", "--report", str(page)).exit_code == 0
    assert "6 images made" in page.read_text(encoding="utf-8")
    assert run("generate", "--dry-run", "--report", str(page)).exit_code == 2
    assert run("generate", "--report", str(page.with_suffix(".json"))).exit_code == 0
    report = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert (report["ok"], len(report["skipped"]), sum(row["images"] for row in report["formats"])) == (True, 6, 6)


@pytest.mark.parametrize("address", ["", "dask", "dask://", "daks://me:hidden@scheduler:8786", "scheduler:8786"])
def test_an_executor_that_is_no_address_of_a_cluster_is_wrong_use(run: Run, tmp_path: Path, address: str) -> None:
    """The exit status is 2, also where nothing is to be made; the message shows what addresses look like."""
    for _ in range(2):
        result = run("generate", "--executor", address)
        assert result.exit_code == 2
        assert "'dask://host:8786'" in result.stderr
        assert "hidden" not in result.stderr
        run("generate")


def test_a_report_that_cannot_be_written_is_one_clear_error(run: Run, tmp_path: Path) -> None:
    """Its folder is mistyped, or a file stands there: nothing is made, neither images nor folders."""
    (tmp_path / "file").write_text("")
    for folder, option in (("file", "--report"), ("pubilc", "--report"), ("pubilc", "--manifest")):
        result = run("generate", option, str(tmp_path / folder / "page"))
        assert result.exit_code == 2
        assert "does not exist" in result.stderr
    assert not (tmp_path / "pubilc").exists()
    assert files(tmp_path / "output") == set()


def test_a_quiet_dry_run_writes_failures_only(run: Run, kit: ImageKit) -> None:
    """What would be made is not listed."""
    assert run("generate", "-n", "-q").output == ""
    kit.register.cachefiles("blog:hero", [{"source": "canla.jpg"}])
    result = run("generate", "-n", "-q")
    assert "canla.jpg" in result.stderr
    assert result.stdout == ""


def test_list_shows_what_patterns_match(run: Run) -> None:
    """As for generate; a pattern that matches nothing is wrong usage."""
    assert [line.split()[0] for line in run("list", "blog:card").stdout.splitlines()] == [
        "blog:card",
        "GlobSourceGroup('*.jpg'):",
    ]
    assert len(json.loads(run("list", "blog", "--json").stdout)) == 2
    assert run("list", "shop").exit_code == 2


def test_clear_lists_what_it_would_delete(run: Run, tmp_path: Path) -> None:
    """A dry run asks nothing, and deletes nothing."""
    run("generate")
    result = run("clear", "blog:hero", "-n")
    assert result.exit_code == 0
    assert result.stdout.count("would delete CACHE/images/") == 3
    assert "3 cache files" in result.stdout
    assert len(files(tmp_path / "output")) == 6


def test_list_shows_ids_groups_and_counts(run: Run, kit: ImageKit) -> None:
    """With --sources each source is named; --json has everything."""
    kit.register.cachefiles("blog:hero", [{"source": "canal.jpg"}])
    text = run("list").stdout
    assert "blog:hero (jinja_imagekit.specs.KeywordSpec): 4 images" in text
    assert "  GlobSourceGroup('*.jpg'): 3 sources" in text
    assert "canal.jpg" not in text
    assert "    dunes.jpg" in run("list", "--sources").stdout
    entries = {entry["id"]: entry for entry in json.loads(run("list", "--json").stdout)}
    assert entries["blog:card"]["source_groups"][0]["sources"] == ["canal.jpg", "dunes.jpg", "harbour.jpg"]
    assert entries["imagekit:thumbnail"]["images"] == 0


def test_list_counts_what_the_last_render_needs(run: Run, kit: ImageKit) -> None:
    """A site that registers nothing, and whose pages are deferred, has images all the same."""
    pages = ImageKit(kit.settings.replace(default_cachefile_strategy=Deferred))
    pages.spec("blog:hero", processors=[ResizeToFill(120, 50)], format="WEBP")
    for name in ("canal.jpg", "dunes.jpg"):
        assert pages.cachefile("blog:hero", source=name).url
        assert pages.cachefile("imagekit:thumbnail", source=name, width=9).url
    pages.finish()
    entries = {entry["id"]: entry for entry in json.loads(run("list", "--json").stdout)}
    assert entries["imagekit:thumbnail"]["rendered"] == ["canal.jpg", "dunes.jpg"]
    assert entries["imagekit:thumbnail"]["images"] == 2
    # These are registered as well.
    assert (entries["blog:hero"]["rendered"], entries["blog:hero"]["images"]) == ([], 3)
    assert "  2 images of the last render" in run("list").stdout


def test_clear_asks_and_deletes_files_and_records(run: Run, kit: ImageKit, tmp_path: Path) -> None:
    """Without a yes nothing happens; with one, the files of the matching ids go, and no others."""
    run("generate")
    refused = run("clear", "blog:hero", input="n\n")
    assert refused.exit_code == 1
    assert "Delete 3 cache files" in refused.output
    assert len(files(tmp_path / "output")) == 6
    assert "3 cache files" in run("clear", "blog:hero", "--yes").stdout
    assert {Path(name).suffix for name in files(tmp_path / "output")} == {".jpg"}
    assert {record.generator for record in kit.records.all()} == {"blog:card"}
    assert "3 cache files" in run("clear", "blog", "--yes").stdout
    assert not (tmp_path / "output/CACHE").exists()
    run("generate", "blog:card")
    assert "3 images made, 3 fresh" in run("generate").stdout


def test_clear_reaches_generators_that_are_registered_no_longer(run: Run, kit: ImageKit, tmp_path: Path) -> None:
    """Their files are known by the id that made them."""
    run("generate")
    kit.unregister.generator("blog:hero")
    assert run("clear", "blog:hero", "--yes").exit_code == 0
    assert len(files(tmp_path / "output")) == 3
    assert run("clear", "shop", "--yes").exit_code == 2


def test_a_long_run_says_what_took_longest_and_what_became_largest(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that its author knows where to look first."""
    assert "slowest" not in run("generate").stdout
    monkeypatch.setattr(sys.modules["jinja_imagekit.cli.subcommands"], "LONG_SECONDS", 0.0)
    said = run("generate", "--force").stdout
    assert re.search(r"^slowest: blog:(hero|card) of \w+\.jpg, [\d.]+ m?s$", said, re.MULTILINE)
    assert re.search(r"^largest: blog:hero of \w+\.jpg, [\d.]+ (kB|bytes)$", said, re.MULTILINE)


def test_help_shows_the_whole_sentence_of_each_command() -> None:
    """Click's own would end in dots."""
    said = CliRunner().invoke(command_line(), ["--help"]).stdout
    assert "..." not in said.partition("Commands:")[2]


def test_prune_deletes_what_nothing_needs(run: Run, kit: ImageKit, tmp_path: Path) -> None:
    """A dry run names it, and deletes nothing."""
    run("generate")
    for path in (tmp_path / "output").rglob("*.*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    kit.unregister.source_group("blog:hero", GlobSourceGroup("*.jpg"))
    listed = run("prune", "--dry-run")
    assert listed.stdout.count("would delete CACHE/images/") == 3
    assert len(files(tmp_path / "output")) == 6
    refused = run("prune")
    assert (refused.exit_code, len(files(tmp_path / "output"))) == (1, 6)
    assert "kit.finish()" in refused.stderr
    kit.finish()
    asked = run("prune", input="n\n")
    assert "Delete 3 cache files (" in asked.stdout
    assert (asked.exit_code, len(files(tmp_path / "output"))) == (1, 6)
    pruned = json.loads(run("prune", "--json").stdout)
    assert (len(pruned["removed"]), pruned["kept"], pruned["dry_run"]) == (3, 3, False)
    assert len(files(tmp_path / "output")) == 3


def test_prune_goes_on_without_a_render_where_told(run: Run, kit: ImageKit, tmp_path: Path) -> None:
    """`--without-render` is for sites that have all their images registered."""
    run("generate")
    kit.unregister.source_group("blog:hero", GlobSourceGroup("*.jpg"))
    assert "3 cache files deleted" in run("prune", "--without-render", "--yes").stdout
    assert len(files(tmp_path / "output")) == 3


def test_doctor_ends_with_1_until_all_is_mended(run: Run, tmp_path: Path) -> None:
    """A truncated file is found, mended, and made again."""
    run("generate")
    victim = next((tmp_path / "output").rglob("*.webp"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[:100])
    found = run("doctor", "--json")
    assert found.exit_code == 1
    assert [finding["kind"] for finding in json.loads(found.stdout)] == ["truncated"]
    mended = run("doctor", "--fix")
    assert mended.exit_code == 0
    assert "1 finding, 1 fixed" in mended.stdout
    assert "Everything is as it should be." in run("doctor").stdout
    run("generate")
    assert victim.read_bytes() == whole


def test_a_host_mounts_the_commands_under_its_own(kit: ImageKit) -> None:
    """The group is one of click's; the kit is asked for only when a subcommand runs."""
    host = click.Group("host")
    asked: list[bool] = []

    def get_kit() -> ImageKit:
        asked.append(True)
        return kit

    host.add_command(commands(get_kit, "images"))
    assert "generate" in CliRunner().invoke(host, ["images", "--help"]).stdout
    assert not asked
    assert "6 images made" in CliRunner().invoke(host, ["images", "generate"]).stdout


def test_an_error_of_the_kit_is_a_message(kit: ImageKit, run: Run) -> None:
    """What is registered under an id without a generator has no traceback."""
    kit.register.source_group("blog:gone", GlobSourceGroup("*.jpg"))
    result = run("generate")
    assert result.exit_code == 1
    assert "Error: No generator is registered as 'blog:gone'" in result.stderr


def test_the_version_is_told_without_a_kit(site: Path) -> None:
    """--version and --help need nothing."""
    assert "0." in CliRunner().invoke(command_line(), ["--version"]).stdout
    assert "generate" in CliRunner().invoke(command_line(), ["--help"]).stdout


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a single process")
def test_ctrl_c_stops_at_once_and_leaves_whole_files(site: Path) -> None:
    """Exit status 130 within moments, a word on how far it got, no temporary file; the next run makes the rest."""
    (site / "images/slow").mkdir()
    for number in range(60):
        (site / f"images/slow/{number}.jpg").write_bytes(drawing.jpeg(100, 80, number % 3) + bytes([number]))
    arguments = [sys.executable, "-m", "jinja_imagekit.cli", "--kit", "mysite:kit", "generate"]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        pressed = time.monotonic()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
        # A second is promised; the other one is for a machine that does something else as well.
        assert time.monotonic() - pressed < 2
    assert first.startswith("made "), errors
    assert process.returncode == 130, errors
    assert "Interrupted; what has been made is whole and stays" in rest
    assert "Traceback" not in errors
    made = files(site / "output")
    assert 1 <= len(made) < 61
    assert not [name for name in made if "imagekit-tmp" in name]
    assert command("--kit", "mysite:kit", "doctor").stdout == "Everything is as it should be.\n"
    finished = command("--kit", "mysite:kit", "generate")
    assert finished.returncode == 0
    assert len(files(site / "output")) == 61


def test_a_bar_is_drawn_on_a_terminal(site: Path) -> None:
    """On a terminal standard error has the bar, the file that was last settled, and failures after it."""
    pty = pytest.importorskip("pty")
    (site / "images/card/broken.jpg").write_text("no image")
    controller, terminal = pty.openpty()
    arguments = [sys.executable, "-m", "jinja_imagekit.cli", "--kit", "mysite:kit", "generate"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(arguments, stdout=terminal, stderr=terminal, env=environment)
    assert process.wait(timeout=60) == 1
    os.close(terminal)
    shown = os.read(controller, 100_000).decode()
    os.close(controller)
    assert "2/2" in shown
    assert "blog:card of card/" in shown[: shown.index("failed")]
    assert shown.index("2/2") < shown.index("failed blog:card of card/broken.jpg")
    assert "1 image made, 0 fresh already, 1 failed" in shown


@pytest.mark.parametrize(
    "value",
    [
        {"ok": True, "none": None, "many": [{"a": 1, "b": 'é "quoted" \udcff'}, {}, []], "nested": {"x": [1.5, [2]]}},
        [],
        {},
        "text",
        [{"a": []}, "b", 7],
    ],
)
def test_json_that_is_written_piece_by_piece_is_that_of_the_standard_library(value: object) -> None:
    """Generators and large lists are lists."""
    assert "".join(json_text(value)) == json.dumps(value, indent=2)
    streamed = {"all": (each for each in (1, 2)), "none": iter(()), "large": LargeList(["a"])}
    assert json.loads("".join(json_text(streamed))) == {"all": [1, 2], "none": [], "large": ["a"]}


def test_shells_complete_subcommands_and_options() -> None:
    """As the reference has it: the command answers what a shell asks after its line was evaluated."""
    for words, at, expected in (
        ("jinja-imagekit pru", "1", "prune"),
        ("jinja-imagekit generate --man", "2", "--manifest"),
    ):
        asked = {"_JINJA_IMAGEKIT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": at}
        answer = subprocess.run(
            [Path(sysconfig.get_path("scripts")) / "jinja-imagekit"],
            env={**os.environ, **asked},
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.stdout == f"plain,{expected}\n", answer.stderr

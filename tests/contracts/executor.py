"""What every executor must do with a plan, whether processes, threads or a cluster are behind it."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import pytest
from cluster_site import ClusterSite
from core_site import photo_bytes
from queue_site import wait_until

from jinja_imagekit.pregenerate import batches, executors


class ExecutorContract:
    """Tests for a subclass whose fixture `site` is a `ClusterSite`, and whose fixture `executor` does the work."""

    def test_the_same_bytes_as_on_threads(
        self, site: ClusterSite, executor: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Others make the same files, whose answers this process finds at once; a second run makes nothing."""
        names = site.write("same", 12)
        report = site.generate(executor, "same")
        assert (len(report.generated), report.failed) == (12, [])
        assert "which this machine would not" not in caplog.text
        assert sorted(str(each.source) for each in report.generated) == sorted(names)
        assert os.getpid() not in site.begun
        there = site.files("same")
        assert len(there) == 12
        assert site.kit.known_files.find("card", {"source": names[0]})
        assert len(site.generate(executor, "same").skipped) == 12
        site.generate(None, "same", force=True)
        assert site.files("same") == there

    def test_workers_with_another_spec_are_noticed(
        self, site: ClusterSite, executor: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What workers of yesterday's code make has names that no page here asks for: one warning says so."""
        site.write("older", 3)
        monkeypatch.setattr(sys.modules["cluster_pages"].Card, "format", "WEBP")
        report = site.generate(executor, "older")
        assert all(str(each.name).endswith(".png") for each in report.generated)
        warnings = [each.message for each in caplog.records if "which this machine would not" in each.message]
        assert len(warnings) == 1
        assert "older/96-" in warnings[0]

    def test_many_small_sources_go_in_few_messages(
        self, site: ClusterSite, executor: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first ones go alone; once it is known how long they take, many go at a time, and few are out."""
        batches_of: list[list[batches.Payload]] = []
        submit = executors._Run._submit
        most = 0

        def noted(run: Any, executor: Any, payloads: list[batches.Payload]) -> None:
            nonlocal most
            submit(run, executor, payloads)
            batches_of.append(payloads)
            most = max(most, len(run._out))

        monkeypatch.setattr(executors._Run, "_submit", noted)
        site.write("small", 100)
        settled: list[int] = []
        report = site.generate(executor, "small", workers=2, on_progress=lambda _, done, __: settled.append(done))
        assert (len(report.generated), report.failed) == (100, [])
        assert settled == list(range(1, 101))
        assert [len(each) for each in batches_of[:4]] == [1, 1, 1, 1]
        assert len(batches_of) < 50
        assert most <= 2 * executors.AHEAD

    def test_results_come_back_while_others_are_made(self, site: ClusterSite, executor: Any) -> None:
        """What is done is told at once, and not when the run has ended."""
        site.write("stream", 10)
        site.close_gate()
        settled: list[int] = []
        reports = site.begin(executor, "stream", workers=2, on_progress=lambda _, done, __: settled.append(done))
        site.wait_for_worker()
        assert settled == []
        site.open_gate()
        wait_until(lambda: settled, "one is told")
        wait_until(lambda: reports, "all are made")
        assert settled == list(range(1, 11))

    def test_a_worker_that_is_killed_costs_its_batch_a_second_try(self, site: ClusterSite, executor: Any) -> None:
        """SIGKILL in the middle of a batch: everything is made all the same, and nothing is reported as failed."""
        site.write("killed", 10)
        site.close_gate()
        reports = site.begin(executor, "killed")
        os.kill(site.wait_for_worker(), signal.SIGKILL)
        site.open_gate()
        wait_until(lambda: reports, "all are made", 60)
        assert reports[0].failed == []
        assert len(site.files("killed")) == 10

    def test_what_kills_its_worker_is_reported(self, site: ClusterSite, executor: Any) -> None:
        """The source that is the cause, and no other that was in the same batch."""
        site.write("deadly", 6)
        [deadly] = site.write("deadly", 1, 160)
        report = site.generate(executor, "deadly", "deadly")
        assert len(report.generated) + len(report.skipped) == 6
        assert [each.source for each in report.failed] == [deadly]
        assert "died" in report.failed[0].reason
        assert len(site.files("deadly")) == 6

    def test_what_cannot_be_made_is_reported_with_its_name(self, site: ClusterSite, executor: Any) -> None:
        """A damaged source costs no other of its batch."""
        names = site.write("damaged", 4)
        (site.folder / "images" / names[1]).write_bytes(b"no image")
        report = site.generate(executor, "damaged")
        assert len(report.generated) == 3
        assert [each.source for each in report.failed] == [names[1]]

    def test_keywords_arrive_as_they_are(self, site: ClusterSite, executor: Any) -> None:
        """Tuples and dicts lead to the same names there as here; bytes are made in this process."""
        [name] = site.write("words", 1)
        size = {"width": 20, "height": 10}
        calls = [{"source": name, **size, "anchor": (0.7, 0.3)}, {"source": name, **size, "options": {"quality": 42}}]
        calls.append({"source": photo_bytes(), **size})
        expected = {site.kit.cachefile("imagekit:thumbnail", **call).name for call in calls}
        site.kit.register.cachefiles("imagekit:thumbnail", calls)
        try:
            report = site.kit.generate("imagekit:thumbnail", executor=executor)
        finally:
            site.kit.unregister.cachefiles("imagekit:thumbnail", calls)
        assert report.failed == []
        assert {each.name for each in report.generated} == expected

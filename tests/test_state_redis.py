"""The state store on a Redis server: the contract, leases, and a server that is gone."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contracts.state_store import StateStoreContract

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import InvalidSetting

pytest.importorskip("redis", reason="redis is not installed: pip install 'jinja-imagekit[redis]'")

from jinja_imagekit.state import redis as module
from jinja_imagekit.state.redis import RedisStore

SERVER = shutil.which("redis-server") or shutil.which("valkey-server")


class Server:
    """A server of this test alone, on a socket in its folder, which can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        if SERVER is None:
            pytest.skip("there is no Redis on this machine: apt-get install redis-server")
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.start()

    def start(self) -> None:
        """Start it, empty."""
        options = ["--port", "0", "--unixsocket", str(self.socket), "--save", "", "--dir", str(self.socket.parent)]
        self.process = subprocess.Popen([str(SERVER), *options], stdout=subprocess.DEVNULL)
        client = module.redis.Redis.from_url(self.url)
        for _ in range(200):
            try:
                client.ping()
                break
            except module.redis.RedisError:
                time.sleep(0.05)
        client.close()

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for the tests of this module that need it only to answer."""
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def server(shared: Server) -> Server:
    """The server, emptied."""
    client = module.redis.Redis.from_url(shared.url)
    client.flushall()
    client.close()
    return shared


@pytest.fixture
def store(server: Server, caplog: pytest.LogCaptureFixture) -> Iterator[RedisStore]:
    """A store on an empty server; nothing is trouble for it."""
    store = RedisStore(server.url)
    yield store
    assert not caplog.records
    store.close()


class TestRedisStore(StateStoreContract):
    """The store on a server keeps the contract."""


def test_two_stores_share_one_server(server: Server) -> None:
    """What one machine writes, another reads; a thread that has one store's lock does not wait for the other's."""
    one, two = RedisStore(server.url), RedisStore(server.url)
    one.set_many({"a": "1"})
    assert two.get("a") == "1"
    with one.lock("hero"), two.lock("hero"):
        pass
    one.close()
    two.close()


def test_values_of_others_are_unknown(server: Server, store: RedisStore) -> None:
    """What another program keeps on the server, whatever its type or bytes, is no error."""
    client = module.redis.Redis.from_url(server.url)
    client.set("binary", b"\xff\xfe")
    client.lpush("list", "a")
    client.close()
    assert store.get("binary") is None
    assert store.get_many(["list", "binary"]) == {}


def test_setting_names_the_server(server: Server, tmp_path: Path) -> None:
    """A URL in the setting leads to the store, and its password is shown nowhere; other addresses are refused."""
    kit = ImageKit(state_store=server.url, state_dir=tmp_path)
    assert isinstance(kit.records.store, RedisStore)
    assert repr(RedisStore("redis://:secret@cache.example:6379/1")) == "RedisStore('redis://cache.example:6379/1')"
    with pytest.raises(InvalidSetting, match="redis"):
        ImageKit(state_store="reddis://localhost")


def _hold(url: str, held: Any) -> None:
    with RedisStore(url).lock("hero"):
        held.set()
        signal.pause()


def test_lock_of_a_dead_machine_ends_with_its_lease(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """While its holder lives, a lock is renewed beyond its lease; when it is killed, others get it soon."""
    monkeypatch.setattr(module, "LEASE_SECONDS", 1)
    context = multiprocessing.get_context("fork")
    held = context.Event()
    holder = context.Process(target=_hold, args=(server.url, held))
    holder.start()
    assert held.wait(20)
    taken = threading.Event()

    def take() -> None:
        with RedisStore(server.url).lock("hero"):
            taken.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    assert not taken.wait(2.5)
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    assert taken.wait(20)
    thread.join(20)


def test_holder_that_stalled_leaves_the_next_ones_lock_alone(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes back after its lease has ended does not give back a lock that is another's by now."""
    store, other = RedisStore(server.url), RedisStore(server.url)
    client = module.redis.Redis.from_url(server.url)
    with store.lock("hero"):
        (name,) = client.keys("imagekit-lock:*")
        client.set(name, b"another's")
    assert client.get(name) == b"another's"
    client.delete(name)
    with other.lock("hero"):
        pass
    assert client.keys("imagekit-lock:*") == []
    client.close()


def test_server_that_goes_away_costs_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images are made and found while the server is away, and its values count again when it is back."""
    monkeypatch.setattr(module, "AWAY_SECONDS", 0.1)
    server = Server(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in "ab":
        (tmp_path / f"photos/{name}.jpg").write_bytes(drawing.jpeg(60, 40))
    kit = ImageKit(
        source_dirs=[tmp_path / "photos"],
        location=tmp_path / "out",
        state_dir=tmp_path / "state",
        state_store=server.url,
    )
    first = kit.cachefile("imagekit:thumbnail", source="a.jpg", width=20)
    assert first.width == 20
    server.stop()
    for name in "ab":
        file = kit.cachefile("imagekit:thumbnail", source=f"{name}.jpg", width=20)
        assert (file.width, Path(file.path).exists()) == (20, True)
    assert not kit.records.store.is_reliable
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    server.start()
    time.sleep(0.15)
    assert kit.cachefile("imagekit:thumbnail", source="b.jpg", width=30).width == 30
    assert kit.records.store.is_reliable
    assert list(kit.records.store.keys("imagekit:file:"))
    kit.close()
    server.stop()

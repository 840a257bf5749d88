"""Celery's workers make batches (the extra `celery`): JSON goes to them, and comes back by a queue of its own.

Workers include `jinja_imagekit.queues.celery`, which includes this module. A message names a kit that its worker was
started with, generators and sources, and nothing that is imported or called.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from celery import Celery, current_app, shared_task, signals  # type: ignore[import-untyped]
from celery.exceptions import OperationalError  # type: ignore[import-untyped]

from ...cachefiles.references import Reference, keywords_of, reference_to
from ...exceptions import CannotRebuild, ImageKitError, InvalidSetting
from ...loading import KITS_VARIABLE, is_announced, load_kit
from ..batches import Batch, ClusterExecutor, Made, Payload, make_payloads
from ..report import Outcome

if TYPE_CHECKING:
    from ...kit import ImageKit

logger = logging.getLogger("jinja_imagekit.pregenerate")

TASK = "jinja_imagekit.make_batch"

VERSION = 1
"""Version of the message format; messages of other versions are refused."""

BEAT_SECONDS = 3.0
"""Seconds between a worker's signs of life."""

LEASE_SECONDS = 12.0
"""Seconds without a sign of life after which a batch's worker counts as dead."""

UNBEGUN_SECONDS = 15.0
"""Seconds after which a batch that no worker has begun is sent again, since one may have died with it in its hands.

Each time it takes four times as long: in a queue that is only long, a batch is sent two or three times, and costs a
look.
"""

EXPIRES_SECONDS = 3600
"""Seconds after which no worker begins a batch any more, should a broker keep it for so long."""

SECONDS = 10.0
"""Seconds within which broker and workers have to answer."""

LISTEN_SECONDS = 0.1
"""Seconds for which replies are waited for at a time, before overdue batches are looked for."""

ASK_SECONDS = 0.3
"""Seconds for which workers' answers are collected at a time."""

_REPLIES = "imagekit-replies-"


# The sender is told of a death and decides; a broker would give what kills workers to one after the other.
@shared_task(bind=True, name=TASK, acks_late=True, reject_on_worker_lost=False, ignore_result=True)  # type: ignore[untyped-decorator]
def make(task: Any, *message: Any, **named: Any) -> None:
    """Make the batch of a message, and send what became of it to the queue that the message names."""
    try:
        order = _Order.from_message(message[0] if len(message) == 1 and not named else (message, named))
    except ValueError as error:
        logger.error("A message was dropped: %s", error)
        return
    with _signs_of_life(task, order):
        try:
            kit, payloads = order.read()
        except Exception as error:  # noqa: BLE001  # importing a site's module may raise anything
            reply: dict[str, Any] = {"refused": f"{type(error).__name__}: {error}"}
        else:
            made = make_payloads(kit, payloads, order.force)
            reply = {"made": [made.seconds, made.outcomes]}
    order.reply(task, reply)


@signals.task_failure.connect  # type: ignore[untyped-decorator]
def _tell_death(sender: Any = None, exception: Any = None, args: Any = (), **_: Any) -> None:
    """Tell the sender at once that a batch has killed its process, which Celery's main process sees."""
    if getattr(sender, "name", None) == TASK:
        with suppress(ValueError, IndexError, TypeError):
            _Order.from_message(args[0]).reply(sender, {"died": str(exception)})


@contextmanager
def _signs_of_life(task: Any, order: _Order) -> Iterator[None]:
    """Tell the sender within the block that somebody is at its batch."""
    done = threading.Event()

    def tell() -> None:
        while not done.wait(BEAT_SECONDS):
            # A broker that is away for a moment misses one.
            with suppress(Exception):
                order.reply(task, {})

    order.reply(task, {})
    thread = threading.Thread(target=tell, name="imagekit-life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class _Order:
    """A batch as JSON.

    Attributes:
        id: The batch's id.
        replies: The queue to which its outcomes go.
        force: Make existing files too.
    """

    def __init__(self, id: str, replies: str, kit: str, payloads: list[Any], force: bool) -> None:
        self.id, self.replies, self.force = id, replies, force
        self._kit, self._payloads = kit, payloads

    @classmethod
    def from_message(cls, message: object) -> _Order:
        """Return what a message orders.

        Raises:
            ValueError: It orders nothing.
        """
        match message:
            case {
                "version": version,
                "id": str(id),
                "replies": str(replies),
                "kit": str(kit),
                "payloads": list(payloads),
                "force": bool(force),
            } if version == VERSION and re.fullmatch(f"{_REPLIES}[0-9a-f]{{32}}", replies):
                return cls(id, replies, kit, payloads, force)
        raise ValueError(
            f"{message!r:.300} is not a batch of this version of jinja-imagekit: run the same version everywhere"
        )

    def message(self) -> dict[str, Any]:
        """Return values that JSON can hold."""
        return {
            "version": VERSION,
            "id": self.id,
            "replies": self.replies,
            "kit": self._kit,
            "payloads": self._payloads,
            "force": self.force,
        }

    def read(self) -> tuple[ImageKit, tuple[Payload, ...]]:
        """Return the kit and what it is to make.

        Raises:
            InvalidSetting: The kit is not one that this process was started with, or cannot be imported.
            ValueError: The payloads are damaged.
        """
        if not is_announced(self._kit):
            raise InvalidSetting(
                "import_name",
                f"{self._kit!r} is not a kit that the worker on {platform.node()} was started with: have it import "
                f"the module that makes the kit, or set {KITS_VARIABLE}={self._kit}",
            )
        kit: ImageKit = load_kit(self._kit)
        return kit, tuple(
            Payload(source, name, weight, tuple((id, keywords_of(Reference(id, plain), kit)) for id, plain in calls))
            for source, name, weight, calls in self._payloads
        )

    def reply(self, task: Any, content: dict[str, Any]) -> None:
        """Send something to whoever has ordered the batch."""
        with task.app.producer_or_acquire() as producer:
            producer.publish(
                {"id": self.id, "worker": f"{task.request.hostname}/{os.getpid()}", **content},
                # The exchange without a name leads to the queue of that name.
                exchange="",
                routing_key=self.replies,
                serializer="json",
                delivery_mode="transient",
                retry=True,
                retry_policy={"max_retries": 3},
            )


def _plain(payload: Payload) -> list[Any] | None:
    """Return a payload as values that JSON can hold; None if its keywords are others."""
    calls = [reference_to(id, kwargs, None) for id, kwargs in payload.calls]
    if None in calls:
        return None
    return [payload.source, payload.name, payload.weight, calls]


def connect(address: str, shown: str, kit: ImageKit) -> CeleryExecutor:
    """Connect to the broker at an address.

    Args:
        address: The broker's URL; empty for that of the site's own Celery application.
        shown: What errors call it.
        kit: The kit whose images are to be made.

    Raises:
        InvalidSetting: The kit has no `import_name`.
        ImageKitError: The broker does not answer, or nobody works for it.
    """
    if not kit.import_name:
        raise InvalidSetting(
            "import_name", "Celery's workers must be able to find this kit: ImageKit(import_name='mysite:kit', …)"
        )
    app = current_app._get_current_object()
    if address:
        app = Celery(broker=address, set_as_current=False)
        # By default a broker that is away is waited for without end.
        app.conf.broker_transport_options = {"max_retries": 1, "interval_start": 0.1}
    try:
        with _connection(app):
            pass
    except (OperationalError, OSError, KeyError, ImportError) as error:
        raise ImageKitError(f"No broker answers at {shown!r}: {error}") from error
    executor = CeleryExecutor(app, kit.import_name)
    deadline = time.monotonic() + SECONDS
    while not executor.has_workers():
        if time.monotonic() > deadline:
            executor.shutdown()
            raise ImageKitError(
                f"No worker that makes batches answers at {shown!r}. Start some: {KITS_VARIABLE}={kit.import_name} "
                "python -m celery --broker URL worker --include jinja_imagekit.queues.celery --prefetch-multiplier 1"
            )
    return executor


@contextmanager
def _connection(app: Any) -> Iterator[Any]:
    """Yield a connection to an application's broker.

    Raises:
        OperationalError: It does not answer.
    """
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=SECONDS)
        yield connection


class _Sent:
    """A batch that is out, and when something was last heard of it, by its executor's clock."""

    def __init__(self, order: _Order, now: float) -> None:
        self.order = order
        self.future: Future[Made] = Future()
        self.tasks: list[str] = []
        self.sent_at = now
        self.heard_at: float | None = None


class CeleryExecutor(ClusterExecutor):
    """Has Celery's workers make batches.

    Args:
        app: A Celery application with the broker.
        kit: Where workers import the kit from.
    """

    def __init__(self, app: Any, kit: str) -> None:
        self._app, self._kit = app, kit
        self._replies = _REPLIES + secrets.token_hex(16)
        self._out: dict[str, _Sent] = {}
        self._mutex = threading.Lock()
        # Seconds for which this process has listened: while it is stopped, or its machine asleep, nobody is late.
        self._clock = 0.0
        self._size = 0
        self._heard: dict[str, float] = {}
        self._is_listening, self._is_closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._listen, name="imagekit-celery", daemon=True)
        self._thread.start()
        self._is_listening.wait(SECONDS)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a worker make a batch; Celery's workers do nothing else.

        Raises:
            BrokenExecutor: The broker cannot be reached.
        """
        batch: Batch = args[0]
        payloads = list(map(_plain, batch.payloads))
        sent = _Sent(_Order(batch.id, self._replies, self._kit, payloads, batch.force), self._clock)
        with self._mutex:
            self._out[batch.id] = sent
        try:
            if not self._thread.is_alive():
                raise OSError("nobody listens any more")
            self._send(sent)
        except (OperationalError, OSError) as error:
            with self._mutex:
                del self._out[batch.id]
            raise BrokenExecutor(str(error)) from error
        return sent.future

    def count_workers(self) -> int:
        """Return how many processes the workers have, as far as they have answered or been heard of lately."""
        with self._mutex:
            since = self._clock - 5 * LEASE_SECONDS
            return max(self._size, sum(heard > since for heard in self._heard.values()))

    def has_workers(self) -> bool:
        """Ask all workers, and tell whether any answers that includes this module."""
        with suppress(OperationalError, OSError), _connection(self._app) as connection:
            inspect = partial(self._app.control.inspect, connection=connection)
            tasks = inspect(timeout=ASK_SECONDS).registered() or {}
            able = [name for name, known in tasks.items() if TASK in known]
            stats = inspect(able, timeout=SECONDS, limit=len(able)).stats() if able else None
            self._size = sum(each.get("pool", {}).get("max-concurrency", 1) for each in (stats or {}).values())
            return bool(stats)
        return False

    def accepts(self, payload: Payload) -> bool:
        """Tell whether JSON can hold a payload."""
        return _plain(payload) is not None

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Disconnect, and have nothing done of what no worker has begun."""
        with self._mutex:
            left = [id for sent in self._out.values() for id in sent.tasks]
        if left:
            with suppress(OperationalError, OSError), _connection(self._app) as connection:
                self._app.control.revoke(left, connection=connection)
        self._is_closing.set()
        self._thread.join(SECONDS)

    def _send(self, sent: _Sent) -> None:
        sent.tasks.append(f"{sent.order.id}-{len(sent.tasks)}")
        self._app.send_task(
            TASK,
            (sent.order.message(),),
            task_id=sent.tasks[-1],
            serializer="json",
            ignore_result=True,
            expires=EXPIRES_SECONDS,
            retry=True,
            retry_policy={"max_retries": 3, "interval_start": 0.2, "interval_step": 0.5},
        )

    def _listen(self) -> None:
        """Take replies until the executor is closed, or the broker stays away."""
        answered = time.monotonic()
        while not self._is_closing.is_set():
            try:
                with _connection(self._app) as connection, self._reply_queue(connection) as replies:
                    while not self._is_closing.is_set():
                        begun = time.monotonic()
                        with suppress(replies.Empty):
                            self._hear(replies.get(timeout=LISTEN_SECONDS).payload)
                        answered = time.monotonic()
                        self._clock += min(answered - begun, 1.0)
                        self._look_after_all()
            except Exception as error:  # noqa: BLE001  # each broker has its own errors
                if time.monotonic() - answered > SECONDS:
                    self._fail_all(BrokenExecutor(f"the broker does not answer any more: {error}"))
                    return
                self._is_closing.wait(0.5)

    @contextmanager
    def _reply_queue(self, connection: Any) -> Iterator[Any]:
        passing = {"durable": False}
        replies = connection.SimpleQueue(
            self._replies,
            no_ack=True,
            # Should this process be killed, the broker forgets the queue in time, if it can.
            queue_opts={**passing, "expires": EXPIRES_SECONDS},
            exchange_opts={**passing, "auto_delete": True},
        )
        self._is_listening.set()
        yield replies
        replies.close()
        replies.queue.delete()

    def _hear(self, reply: object) -> None:
        match reply:
            case {"id": str(id), "worker": str(worker), **content}:
                with self._mutex:
                    self._heard[worker] = self._clock
                    sent = self._out.get(id)
            case _:
                return
        if sent is None:
            # It was sent twice, and this is the second time that it is done.
            return
        match content:
            case {"made": [float(seconds), list(outcomes)]}:
                self._settle(sent, Made(seconds, [[Outcome(*each) for each in group] for group in outcomes]))
            case {"refused": str(reason)}:
                self._settle(sent, CannotRebuild(reason))
            case {"died": str(reason)}:
                self._settle(sent, RuntimeError(reason))
            case _:
                sent.heard_at = self._clock

    def _look_after_all(self) -> None:
        now = self._clock
        with self._mutex:
            out = list(self._out.values())
        for sent in out:
            if sent.future.cancelled():
                self._settle(sent, None)
            elif sent.heard_at is None:
                if now - sent.sent_at > UNBEGUN_SECONDS * 4 ** (len(sent.tasks) - 1):
                    self._send(sent)
            elif now - sent.heard_at > LEASE_SECONDS:
                self._settle(sent, RuntimeError(f"nothing has been heard of its worker for {LEASE_SECONDS:g} seconds"))

    def _settle(self, sent: _Sent, result: Made | Exception | None) -> None:
        with self._mutex:
            self._out.pop(sent.order.id, None)
        if not sent.future.set_running_or_notify_cancel():
            return
        if isinstance(result, Made):
            sent.future.set_result(result)
        else:
            sent.future.set_exception(result)

    def _fail_all(self, error: Exception) -> None:
        with self._mutex:
            out = list(self._out.values())
        for sent in out:
            self._settle(sent, error)

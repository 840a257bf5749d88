"""What every state store does: subclass `StateStoreContract` and define the fixture `store`."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from jinja_imagekit.interfaces import StateStore

AWKWARD = [
    "",
    " ",
    "été/it's #1 100%.jpg",
    "\N{CAMERA}",
    "line\nbreak",
    "quote\"'",
    "nul\0inside",
    "x" * 100_000,
    "'; DROP TABLE Cache; --",
]


class StateStoreContract:
    """The behaviour that a kit relies on, whatever the store."""

    def test_unknown_key_is_none(self, store: StateStore) -> None:
        """A key that nobody has set is unknown."""
        assert store.get("missing") is None
        assert store.get_many(["missing"]) == {}

    def test_value_is_returned_as_it_was_set(self, store: StateStore) -> None:
        """A value comes back, and the last one set counts."""
        store.set_many({"a": "1"})
        assert store.get("a") == "1"
        store.set_many({"a": "2"})
        assert store.get("a") == "2"

    @pytest.mark.parametrize("text", AWKWARD, ids=range(len(AWKWARD)))
    def test_any_text_is_a_key_and_a_value(self, store: StateStore, text: str) -> None:
        """Keys and values are any Unicode text, of any length."""
        store.set_many({text: text})
        assert store.get(text) == text
        assert list(store.keys()) == [text]
        store.delete_many([text])
        assert store.get(text) is None

    def test_what_is_not_unicode_raises_nothing(self, store: StateStore) -> None:
        """A lone surrogate may be kept or forgotten, but no error comes out, and the store works on."""
        store.set_many({"\udcff": "1"})
        assert store.get("\udcff") in (None, "1")
        store.set_many({"v": "\udcff"})
        assert store.get("v") in (None, "\udcff")
        store.delete_many(["\udcff"])
        store.set_many({"after": "1"})
        assert store.get("after") == "1"
        assert store.is_reliable

    def test_many_values_at_once(self, store: StateStore) -> None:
        """Values that are set in one call are all there; unknown keys are left out."""
        values = {f"k{number}": str(number) for number in range(500)}
        store.set_many(values)
        assert store.get_many([*values, "missing"]) == values

    def test_nothing_to_do_is_not_an_error(self, store: StateStore) -> None:
        """Empty collections are taken."""
        store.set_many({})
        store.delete_many([])
        assert store.get_many([]) == {}

    def test_deleted_keys_are_unknown(self, store: StateStore) -> None:
        """Deleting forgets the named keys and no others, and takes unknown ones."""
        store.set_many({"a": "1", "b": "2"})
        store.delete_many(iter(["a", "missing"]))
        assert store.get("a") is None
        assert store.get("b") == "2"

    def test_keys_are_listed_by_prefix(self, store: StateStore) -> None:
        """`keys` yields the keys with the prefix, whose characters mean nothing but themselves."""
        store.set_many({"a:1": "", "a:2": "", "b:1": "", "a%": "", "a_": ""})
        assert sorted(store.keys("a:")) == ["a:1", "a:2"]
        assert sorted(store.keys()) == ["a%", "a:1", "a:2", "a_", "b:1"]
        assert list(store.keys("a%")) == ["a%"]

    def test_more_keys_than_one_page(self, store: StateStore) -> None:
        """All keys are listed, however many."""
        store.set_many({f"{number:04}": "x" for number in range(1_050)})
        assert sorted(store.keys()) == [f"{number:04}" for number in range(1_050)]

    def test_keys_may_be_deleted_while_they_are_listed(self, store: StateStore) -> None:
        """Whoever deletes what is listed misses nothing of the rest, and what is set behind it does no harm."""
        store.set_many({f"a{number:04}": "x" for number in range(2_100)} | {"b": "x"})
        listed = []
        for key in store.keys("a"):
            listed.append(key)
            if len(listed) % 700 == 1:
                store.delete_many([key])
                store.set_many({"c": "x"})
        assert sorted(listed) == [f"a{number:04}" for number in range(2_100)]
        assert len(list(store.keys("a"))) == 2_097

    def test_value_ends_with_its_timeout(self, store: StateStore) -> None:
        """A value with a timeout is unknown once that is over; one without stays."""
        store.set_many({"short": "1"}, timeout=0.05)
        store.set_many({"long": "1"}, timeout=60)
        store.set_many({"ever": "1"})
        time.sleep(0.1)
        assert store.get("short") is None
        assert sorted(store.keys()) == ["ever", "long"]
        assert store.get_many(["short", "long", "ever"]) == {"long": "1", "ever": "1"}

    def test_setting_again_ends_the_timeout(self, store: StateStore) -> None:
        """A value that is set again without a timeout stays."""
        store.set_many({"a": "1"}, timeout=0.05)
        store.set_many({"a": "2"})
        time.sleep(0.1)
        assert store.get("a") == "2"

    def test_store_works_after_close(self, store: StateStore) -> None:
        """A closed store opens again when it is used, with what it knew."""
        store.set_many({"a": "1"})
        store.close()
        store.close()
        assert store.get("a") == "1"

    def test_threads_share_it(self, store: StateStore) -> None:
        """Eight threads write and read at once; nothing is lost or mixed up."""

        def work(thread: int) -> bool:
            for number in range(25):
                store.set_many({f"{thread}-{number}": f"{thread}:{number}"})
            return all(store.get(f"{thread}-{number}") == f"{thread}:{number}" for number in range(25))

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(8)))
        assert len(list(store.keys())) == 200

    def test_lock_lets_one_thread_in(self, store: StateStore) -> None:
        """The lock of one name is held by one thread at a time."""
        inside: list[int] = []
        most: list[int] = []

        def work(_: int) -> None:
            with store.lock("hero"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(40)))
        assert len(most) == 40
        assert max(most) == 1

    def test_locks_of_other_names_are_free(self, store: StateStore) -> None:
        """Who holds one name's lock does not stop another name."""
        entered = threading.Event()

        def work() -> None:
            with store.lock("other"):
                entered.set()

        with store.lock("hero"):
            thread = threading.Thread(target=work)
            thread.start()
            assert entered.wait(5)
            thread.join()

    def test_lock_may_be_taken_again_by_its_holder(self, store: StateStore) -> None:
        """A thread that holds a lock may take it again; it is free after the last of them."""
        with store.lock("hero"), store.lock("other"), store.lock("hero"):
            assert not _is_free(store, "hero")
        assert _is_free(store, "hero")

    def test_lock_ends_with_an_exception(self, store: StateStore) -> None:
        """An exception in the block goes through, and the lock is free."""
        with pytest.raises(KeyError), store.lock("hero"):
            raise KeyError
        assert _is_free(store, "hero")

    @pytest.mark.parametrize("count", [2, 3, 5])
    def test_locks_in_a_circle_are_given_up(self, store: StateStore, count: int) -> None:
        """Threads that each hold one lock and want the next one's do not wait for ever: somebody goes on without."""
        begun = threading.Barrier(count)
        done: list[int] = []

        def work(number: int) -> None:
            with store.lock(f"file {number}"):
                begun.wait(10)
                with store.lock(f"file {(number + 1) % count}"):
                    done.append(number)

        threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sorted(done) == list(range(count))
        assert all(_is_free(store, f"file {number}") for number in range(count))

    def test_a_wait_in_no_circle_is_waited_out(self, store: StateStore) -> None:
        """Who holds one lock and waits for another has it alone, however long its holder takes."""
        order: list[str] = []
        held = threading.Event()

        def hold() -> None:
            with store.lock("slow"):
                held.set()
                time.sleep(0.6)
                order.append("first")

        def want() -> None:
            with store.lock("own"):
                held.wait(10)
                with store.lock("slow"):
                    order.append("second")

        threads = [threading.Thread(target=work, daemon=True) for work in (hold, want)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert order == ["first", "second"]

    def test_lock_is_handed_over_promptly(self, store: StateStore) -> None:
        """A waiting thread gets the lock within a tenth of a second of its release."""
        released: list[float] = []
        taken: list[float] = []
        waiting = threading.Event()

        def work() -> None:
            waiting.set()
            with store.lock("hero"):
                taken.append(time.perf_counter())

        thread = threading.Thread(target=work)
        with store.lock("hero"):
            thread.start()
            waiting.wait()
            time.sleep(0.05)
            released.append(time.perf_counter())
        thread.join()
        assert 0 <= taken[0] - released[0] < 0.1


def _is_free(store: StateStore, key: str) -> bool:
    def work() -> None:
        with store.lock(key):
            pass

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(0.3)
    return not thread.is_alive()

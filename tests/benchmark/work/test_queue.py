"""The queue of units: order, what waits for what, and what becomes of units whose worker died."""

from dataclasses import dataclass

from benchmark.work.queue import Queue, Unit


@dataclass(frozen=True)
class Nothing:
    pass


def unit(key, after=None, shape=""):
    return Unit(key=key, config=Nothing(), after=after, shape=shape)


def keys(queue, own=frozenset(), others=frozenset()):
    found = []
    while (taken := queue.take(set(own), set(others))) is not None:
        found.append(taken.key)
    return found


def test_a_unit_waits_until_the_one_before_it_is_over():
    queue = Queue([unit("weights"), unit("cell", after="weights"), unit("other")])
    assert keys(queue) == ["weights", "other"]
    (ended,) = queue.over(unit("weights"), {"status": "done"})
    assert ended[0].key == "weights"
    assert keys(queue) == ["cell"]


def test_a_worker_takes_units_of_its_own_shapes_first_and_leaves_others_theirs():
    queue = Queue(
        [unit("a1", shape="a"), unit("b1", shape="b"), unit("c1", shape="c"), unit("b2", shape="b")]
    )
    assert keys(queue, own={"b"}, others={"a"}) == ["b1", "b2", "c1", "a1"]


def test_what_needs_a_failed_unit_fails_with_its_reason():
    queue = Queue([unit("weights"), unit("one", after="weights"), unit("two", after="weights")])
    weights = queue.take(set(), set())
    ended = list(queue.over(weights, {"status": "failed", "reason": "It collapsed."}))
    assert [u.key for u, _ in ended] == ["weights", "one", "two"]
    assert {outcome["reason"] for _, outcome in ended} == {"It collapsed."}
    assert queue.left == 0
    assert queue.take(set(), set()) is None


def test_a_unit_is_tried_twice():
    queue = Queue([unit("one"), unit("two")])
    one = queue.take(set(), set())
    assert queue.back(one)
    assert queue.take(set(), set()) is one  # at once, not at the end
    assert not queue.back(one)
    assert queue.attempts["one"] == 2
    assert queue.left == 2

"""The queue of items: order, what waits for what, and what becomes of items whose worker died."""

from benchmark.work.queue import Queue, WorkItem


def item(key, after=None, shape=""):
    return WorkItem(key=key, after=after, shape=shape)


def keys(queue, own=frozenset(), others=frozenset()):
    found = []
    while (taken := queue.take(set(own), set(others))) is not None:
        found.append(taken.key)
    return found


def test_an_item_waits_until_the_one_before_it_is_over():
    queue = Queue([item("weights"), item("cell", after="weights"), item("other")])
    assert keys(queue) == ["weights", "other"]
    (ended,) = queue.complete(item("weights"), {"status": "done"})
    assert ended[0].key == "weights"
    assert keys(queue) == ["cell"]


def test_a_worker_takes_items_of_its_own_shapes_first_and_leaves_others_theirs():
    queue = Queue(
        [item("a1", shape="a"), item("b1", shape="b"), item("c1", shape="c"), item("b2", shape="b")]
    )
    assert keys(queue, own={"b"}, others={"a"}) == ["b1", "b2", "c1", "a1"]


def test_what_needs_a_failed_item_fails_with_its_reason():
    queue = Queue([item("weights"), item("one", after="weights"), item("two", after="weights")])
    weights = queue.take(set(), set())
    ended = list(queue.complete(weights, {"status": "failed", "reason": "It collapsed."}))
    assert [i.key for i, _ in ended] == ["weights", "one", "two"]
    assert {outcome["reason"] for _, outcome in ended} == {"It collapsed."}
    assert queue.open == 0
    assert queue.take(set(), set()) is None


def test_an_item_is_tried_twice():
    queue, said = Queue([item("one"), item("two")]), []
    one = queue.take(set(), set())
    assert list(queue.lost(one, "Its worker died", lambda *event: said.append(event))) == []
    assert said == [("say", one, "Its worker died; it is tried once more.")]
    assert queue.take(set(), set()) is one  # at once, not at the end
    assert queue.attempts["one"] == 2
    assert queue.open == 2
    ((lost, outcome),) = queue.lost(one, "Its worker died", lambda *event: said.append(event))
    assert (lost, outcome["status"], len(said)) == (one, "failed", 1)
    assert outcome["reason"] == "Its worker died 2 times while it ran this."
    assert queue.open == 1

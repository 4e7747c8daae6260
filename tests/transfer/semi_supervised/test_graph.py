"""Labels on a graph, against dense algebra, and against leaving each label out for real."""

import json

import numpy as np
import pytest
from toys import patterns

import transfer.semi_supervised.graph as graph
from transfer.semi_supervised.graph import WAYS, Graphs, neighbour_graph, representations


def clusters(each=25, size=5, seed=0):
    """Three clusters that touch, and their classes."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(3), each)
    x = 3 * np.eye(3, size)[y] + rng.normal(size=(3 * each, size))
    return x.astype(np.float32), y


def test_neighbours_weigh_by_their_distance_and_both_ways_alike(monkeypatch):
    monkeypatch.setattr(graph, "NEIGHBOURS", 4)
    x, _ = clusters()
    found = neighbour_graph(x).toarray()
    apart = np.linalg.norm(x[:, None] - x, axis=2)
    np.fill_diagonal(apart, np.inf)
    one_way = np.zeros_like(apart)
    for i, row in enumerate(apart):
        near = np.argsort(row)[:4]
        one_way[i, near] = np.exp(-4 * (row[near] / row[near[-1]]) ** 2)
    np.testing.assert_allclose(found, (one_way + one_way.T) / 2, atol=1e-4)


def test_a_duplicate_is_a_neighbour_and_an_example_is_not_its_own():
    x = np.repeat(clusters(5)[0], 2, axis=0)
    found = neighbour_graph(x).toarray()
    assert not np.diag(found).any()
    assert found[np.arange(0, 30, 2), np.arange(1, 30, 2)] == pytest.approx(1)


def test_spreading_goes_to_the_solution_of_its_equations(monkeypatch):
    monkeypatch.setattr(graph, "SPREADING_STEPS", 3000)
    x, _ = clusters()
    made = neighbour_graph(x)
    sources = np.zeros((len(x), 2))
    sources[[0, 30], [0, 1]] = 1
    weights = made.toarray().astype(float)
    root = 1 / np.sqrt(weights.sum(axis=1))
    step = root[:, None] * weights * root
    a = graph.ALPHA
    expected = np.linalg.solve(np.eye(len(x)) - a * step, (1 - a) * sources)
    np.testing.assert_allclose(WAYS["spreading"](made, sources), expected, atol=1e-6)


def test_poisson_goes_to_the_solution_of_poissons_equation(monkeypatch):
    monkeypatch.setattr(graph, "POISSON_STEPS", 20_000)
    x, _ = clusters()
    made = neighbour_graph(x)
    weights = made.toarray().astype(float)
    laplacian = np.diag(weights.sum(axis=1)) - weights
    assert np.linalg.matrix_rank(laplacian, tol=1e-6) == len(x) - 1, "the graph is connected"
    sources = np.zeros((len(x), 1))
    sources[[0, 60], 0] = 1, -1
    found = WAYS["poisson"](made, sources)[:, 0]
    expected = np.linalg.pinv(laplacian) @ sources[:, 0]
    np.testing.assert_allclose(found - found.mean(), expected - expected.mean(), atol=1e-4)


@pytest.mark.parametrize("way", sorted(WAYS))
def test_leaving_a_label_out_is_as_if_it_had_never_been_given(way, monkeypatch):
    monkeypatch.setattr(graph, "WAYS", {way: WAYS[way]})
    # The temperature depends on all labels; without it the distributions are those of the scores.
    monkeypatch.setattr(graph, "fit_temperature", lambda *_: 1.0)
    x, y = clusters()
    graphs = Graphs({"x": x})
    rows = np.array([0, 3, 7, 26, 31, 33, 52, 58, 70])
    whole = graphs.teach(rows, y[rows], classes=3, seed=0)
    for i in range(len(rows)):
        others = np.delete(rows, i)
        alone = graphs.teach(others, y[others], classes=3, seed=0)
        if (
            way == "poisson"
        ):  # its scale is the spread of all scores, of each group of labels its own
            assert whole.held_out[i].argmax() == alone.soft[rows[i]].argmax()
        else:
            np.testing.assert_allclose(whole.held_out[i], alone.soft[rows[i]], atol=1e-4)


def test_groups_of_many_labels_are_left_out_together(monkeypatch):
    monkeypatch.setattr(graph, "ONE_BY_ONE", 5)
    monkeypatch.setattr(graph, "GROUPS", 3)
    x, y = clusters()
    rows = np.arange(0, 75, 5)
    taught = Graphs({"x": x}).teach(rows, y[rows], classes=3, seed=0)
    assert taught.about["accuracy"] > 0.8
    assert (taught.soft.argmax(axis=1) == y).mean() > 0.9
    np.testing.assert_allclose(taught.soft.sum(axis=1), 1, atol=1e-5)


def test_the_labels_choose_the_space_in_which_they_are_near():
    x, y = clusters()
    noise = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    rows = np.array([0, 5, 10, 30, 35, 40, 55, 60, 65])
    taught = Graphs({"noise": noise, "good": x}).teach(rows, y[rows], classes=3, seed=0)
    assert taught.about["space"] == "good and noise"
    assert len(taught.about["tried"]) == 2 * len(WAYS)
    assert (taught.soft.argmax(axis=1) == y).mean() > 0.9


def test_two_graphs_speak_together_and_where_one_is_silent_the_other_speaks(monkeypatch):
    monkeypatch.setattr(graph, "NEIGHBOURS", 3)
    x, y = clusters()
    rows = np.array([0, 5, 10, 30, 35, 40, 55, 60, 65])
    far = np.concatenate(
        [x[:70], x[70:] + 1000]
    )  # its own component, without a label, in one space
    spaces = {"x": x, "far": far}
    alone = {
        n: Graphs({n: space}).teach(rows, y[rows], classes=3, seed=0) for n, space in spaces.items()
    }
    assert not alone["far"].soft[70:].any()
    both = Graphs(spaces).teach(rows, y[rows], classes=3, seed=0)
    logs = np.log(np.clip(alone["x"].soft, 1e-4, 1)) + np.log(np.clip(alone["far"].soft, 1e-4, 1))
    logs[70:] = np.log(np.clip(alone["x"].soft[70:], 1e-4, 1))
    logs /= both.about["temperature"]
    product = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(both.soft, product, atol=1e-3)
    assert both.about["method"].count(" and ") == 1
    assert len(both.about["tried"]) == 2 * len(WAYS)


def test_what_no_label_reaches_is_not_known_and_a_class_without_labels_is_never_said():
    rng = np.random.default_rng(0)
    centres = np.array([[50, 0, 0], [0, 50, 0], [0, 0, 50.0]])
    x = np.repeat(centres, 30, axis=0) + 0.3 * rng.standard_normal((90, 3))
    rows = np.array([0, 1, 31, 32])
    taught = Graphs({"x": x}).teach(rows, np.array([0, 0, 2, 2]), classes=4, seed=0)
    assert (taught.soft[:30].argmax(axis=1) == 0).all()
    assert (taught.soft[30:60].argmax(axis=1) == 2).all()
    assert taught.soft[:60, [1, 3]].max() < 1e-3
    assert not taught.soft[60:].any()


def test_the_same_examples_give_the_same_bits():
    x = patterns(60).x.astype(np.float32) / 255
    first, again = (representations(x, seed=3) for _ in range(2))
    assert set(first) == {"raw values", "whitened raw values", "patches"}
    for name, points in first.items():
        assert points.dtype == np.float32
        assert np.array_equal(points, again[name])
    features = representations(x.reshape(60, -1), x.reshape(60, -1)[:, :7])
    assert set(features) == {"raw values", "whitened raw values", "features"}


def test_one_label_a_class_leaves_nothing_to_judge_by_and_the_result_is_json():
    x, y = clusters()
    rows = np.array([0, 30, 60])
    taught = Graphs({"x": x}).teach(rows, y[rows], classes=3, seed=0)
    json.dumps(taught.about, allow_nan=False)
    assert taught.about["loss"] is None
    assert taught.loss == np.inf
    assert (taught.soft.argmax(axis=1) == y).mean() > 0.7

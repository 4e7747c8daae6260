"""A small table with categories, gaps, dates, large whole numbers, and a target that a third of it has."""

import numpy as np

ROWS = 180


def people(seed=0, rows=ROWS, labelled=1 / 3):
    """A DataFrame; ``churn`` depends on age, job and member."""
    import pandas

    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, rows)
    job = rng.choice(["nurse", "smith", "clerk", "=cmd()"], rows)
    member = rng.random(rows) < 0.4
    score = (age - 50) / 20 + 2 * (job == "smith") - 1.5 * member + rng.normal(0, 0.3, rows)
    stamp = 1_700_000_000_000 + rng.integers(0, 50, rows)
    days = pandas.Timestamp("2020-01-01") + pandas.to_timedelta(
        rng.integers(0, 900, rows), unit="D"
    )
    pay = np.where(rng.random(rows) < 0.1, np.nan, np.round(rng.normal(3000, 400, rows), 2))
    churn = np.where(score > 0.2, "yes", "no").astype(object)
    churn[rng.random(rows) > labelled] = None
    return pandas.DataFrame(
        {
            "age": age,
            "job": np.where(rng.random(rows) < 0.1, None, job.astype(object)),
            "member": member,
            "pay": pay,
            "since": days.strftime("%Y-%m-%d"),
            "stamp": stamp,
            "churn": churn,
        }
    )


def raw_columns(frame, names):
    """The columns ``names`` of a frame as tensors that an exported model takes."""
    import pandas
    import tensorflow as tf

    found = {}
    for name in names:
        column = frame[name]
        if name == "since":
            column = (pandas.to_datetime(column) - pandas.Timestamp("1970-01-01")).dt.days
        values = column.fillna("").astype(str) if name == "job" else column
        found[name] = tf.constant(
            values.to_numpy().astype("U" if name == "job" else float)[:, None]
        )
    return found

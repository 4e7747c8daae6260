"""A race: the strategies that fit a pool, inside a time budget, and the weights of the one that wins.

Successive halving (Jamieson & Talwalkar 2016, "Non-stochastic Best Arm Identification and Hyperparameter
Optimization"). The strategies train for a short while each; the best third of them trains again, three
times as long; and so on. Half of the time is left for the winner, which is trained anew: its learning rate
falls over all of its steps, so its weights are those of a plain run with its epochs.

The measure of a candidate's features is the accuracy of a linear classifier, cross-validated on the probe's
labels; without a probe it needs no labels (``pretrain.race.measures``). The pool's own labels and test
examples are never looked at, except by strategies that learn from labels, which race only where the pool
has labels and none of the probe's examples is in it.
"""

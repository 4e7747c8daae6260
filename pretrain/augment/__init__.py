"""Random views of examples: the recipes, one for each kind of input, and their mathematics."""

"""Named recipes of augmentation, without TensorFlow: which changes leave an example what it is.

A flip makes another digit of a 2 and another face of nobody, a crop takes the stroke off a 7 that made
it one, colours are innocent in a photo of a dog and not in one of a bruise: so there is a recipe for
each kind of input, and each of its numbers can be set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headstart.errors import check_known, require
from pretrain.encoders.base import Option, number, resolve_options
from tasks.dataset import Dataset


def _most(high: float, about: str) -> Option:
    return Option(0.0, about, number(0.0, high))


IMAGE_OPTIONS: dict[str, Option] = {
    "crop": Option(
        1.0, "least part of the area that a random crop keeps; 1 crops nothing", number(0.05, 1.0)
    ),
    "aspect": Option(
        1.0, "most by which a crop's width and height are stretched", number(1.0, 4.0)
    ),
    "flip": _most(1.0, "probability of a left-right flip"),
    "turn": _most(180.0, "most degrees of a random rotation, either way"),
    "zoom": _most(0.5, "most by which the image shrinks or grows"),
    "shear": _most(0.5, "most slant, as a part of the height"),
    "shift": _most(0.5, "most shift, as a part of the size, either way"),
    "gamma": _most(
        4.0, "values are raised to a power of 1 / (1 + g) to 1 + g: tones change, black stays"
    ),
    "blur": _most(1.0, "most blur by a 5x5 box; half as much sharpens"),
    "brightness": _most(0.9, "values are multiplied by 1 - b to 1 + b"),
    "contrast": _most(0.9, "distances to the image's mean are multiplied by 1 - c to 1 + c"),
    "saturation": _most(1.0, "distances to grey are multiplied by 1 - s to 1 + s; colour only"),
    "grey": _most(1.0, "probability that colour is dropped"),
    "erase": _most(1.0, "probability that a rectangle of 5 to 25 % of the area is blanked"),
    "noise": _most(1.0, "standard deviation of Gaussian noise; values span 0 to 1"),
}
VECTOR_OPTIONS: dict[str, Option] = {
    "swap": _most(1.0, "part of the values that are taken from another example of the batch"),
    "noise": IMAGE_OPTIONS["noise"],
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A named augmentation: its purpose, and the options that differ from "change nothing"."""

    name: str
    summary: str
    table: Mapping[str, Option] = field(default_factory=lambda: IMAGE_OPTIONS)
    values: Mapping[str, float] = field(default_factory=dict)


RECIPES: dict[str, Recipe] = {
    row.name: row
    for row in (
        Recipe(
            name="objects",
            summary="single things in greyscale, such as clothes: slight crop, flip, tones, holes",
            values={
                "crop": 0.8,
                "aspect": 1.1,
                "flip": 0.5,
                "gamma": 1.0,
                "brightness": 0.4,
                "contrast": 0.4,
                "erase": 0.5,
            },
        ),
        Recipe(
            name="digits",
            summary="digits and letters: small turns, shifts, slants; never a flip",
            values={"turn": 15.0, "zoom": 0.15, "shear": 0.2, "shift": 0.1, "brightness": 0.2},
        ),
        Recipe(
            name="photos",
            summary="colour photos: crop, flip, light, colour, sometimes grey",
            values={
                "crop": 0.25,
                "aspect": 1.33,
                "flip": 0.5,
                "brightness": 0.4,
                "contrast": 0.4,
                "saturation": 0.4,
                "grey": 0.2,
            },
        ),
        Recipe(
            name="faces",
            summary="faces, upright and centred: near crop, nearer or further, flip, small turn, light",
            values={
                "crop": 0.6,
                "aspect": 1.1,
                "flip": 0.5,
                "turn": 10.0,
                "zoom": 0.2,
                "brightness": 0.3,
                "contrast": 0.3,
            },
        ),
        Recipe(
            name="vectors",
            summary="tables: values swapped in from other examples (Bahri et al. 2022), some noise",
            table=VECTOR_OPTIONS,
            values={"swap": 0.4, "noise": 0.02},
        ),
        Recipe(name="none", summary="no change at all; strategies that need two views refuse it"),
    )
}


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """A recipe resolved for one data set: its name and the value of each of its options."""

    name: str
    options: Mapping[str, float]

    @classmethod
    def resolve(
        cls, dataset: Dataset, name: str = "auto", given: Mapping[str, Any] | None = None
    ) -> Augmentation:
        """Return the recipe ``name`` (or the one for the data set's kind) with ``given`` options.

        Raises InputError: an unknown name or option, a value out of its range, or a recipe for
        images on a table.
        """
        return cls.of(kind_of(dataset) if name == "auto" else name, dataset.input_shape, given)

    @classmethod
    def of(
        cls, name: str, input_shape: tuple[int, ...], given: Mapping[str, Any] | None = None
    ) -> Augmentation:
        """Return the recipe ``name`` for examples of a shape, as ``resolve`` does."""
        row, vectors = recipe(name), len(input_shape) == 1
        fits = [r.name for r in RECIPES.values() if vectors == (r.table is VECTOR_OPTIONS)]
        rule = f"is not for examples of shape {input_shape}"
        hint = f"For these there are: {', '.join(fits)}."
        require(row.name in (*fits, "none"), "augment", rule, value=row.name, hint=hint)
        table = VECTOR_OPTIONS if vectors else row.table
        owner = f"the augmentation {row.name!r}"
        options = resolve_options(owner, table, {**row.values, **(given or {})})
        return cls(name=row.name, options=options)

    def to_json(self) -> dict[str, Any]:
        """Return name and options as JSON."""
        return {"name": self.name, "options": dict(self.options)}


def recipe(name: str) -> Recipe:
    """Return the recipe called ``name``. Raises InputError with near names."""
    check_known(name, RECIPES, "augment")
    return RECIPES[name]


def kind_of(dataset: Dataset) -> str:
    """Return the recipe's name for a data set: the kind that its source gives, else by the shape."""
    return usual_kind(dataset.input_shape) if dataset.kind is None else dataset.kind


def usual_kind(input_shape: tuple[int, ...]) -> str:
    """Return the recipe's name for examples of which only the shape is known."""
    if len(input_shape) == 1:
        return "vectors"
    return "photos" if input_shape[-1] == 3 else "objects"

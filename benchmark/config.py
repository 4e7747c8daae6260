"""Options of a benchmark: what is compared on equal terms, how its data are read, and how it is run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from headstart.errors import InputError, arg, suggest
from headstart.options import ReadOptions, TestPartOptions, check_options, option, options_of

if TYPE_CHECKING:
    from transfer.recipes import TransferRecipe

MODES = FINE_TUNE, LINEAR_PROBE, AUTO, POOL = "fine-tune", "linear-probe", "auto", "pool"
OWN = "own"
"""The name that stands for a data set's own training part, without its labels, as the pool."""
BUDGET, ALL = "budget", "all"
"""Labels that the best network is trained on again: those of the largest budget, or all."""


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A way of the transfer.

    Attributes:
        recipe: the schedule of the training.
        search: seconds that a cell may search (transfer.selection.search) with ``recipe`` as the plain
            candidate: strategies choose how to reuse their encoder, scratch its rate and length, the frozen
            random encoder its depth and head. None takes the recipe as it is.
        pool: whether every row, scratch too, may learn from the pool's examples in the transfer
            (transfer.semi_supervised).
    """

    recipe: TransferRecipe
    search: float | None = None
    pool: bool = False

    @property
    def views(self) -> bool:
        """Whether there is a row from scratch on random views: without search, pool and views of its own."""
        seen = self.recipe.augment != "none" or self.pool or self.search is not None
        return not seen and not self.recipe.untuned

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON; without a pool as modes were before there was one."""
        found = {**asdict(self), "recipe": self.recipe.to_json()}
        return found if self.pool else {n: v for n, v in found.items() if n != "pool"}


def _mode(name: str, recipe: TransferRecipe) -> Mode:
    """Return a mode of MODES, from the benchmark's recipe."""
    from transfer.config import SEARCH_SECONDS
    from transfer.recipes import recipe as named

    if name == LINEAR_PROBE:
        return Mode(recipe=named(LINEAR_PROBE))
    search = SEARCH_SECONDS if name == AUTO else None
    return Mode(recipe=recipe, search=search, pool=name == POOL)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The cost of every pretraining: either seconds on one thread or a number of updates."""

    seconds: float | None = None
    updates: int | None = None

    def __str__(self) -> str:
        return f"{self.seconds:g} s" if self.seconds is not None else f"{self.updates:,} updates"


def names(value: Any) -> tuple[str, ...]:
    """Return the names in "a, b", or in a sequence. Raises ValueError when there is none."""
    parts = value.split(",") if isinstance(value, str) else value
    found = tuple(part.strip() for part in parts if part.strip())
    if not found:
        raise ValueError("must be one or more names, with commas between them")
    return found


def label_budgets(value: Any) -> tuple[int, ...]:
    """Return the rising label budgets of "50,200", a number or a sequence. Raises ValueError."""
    parts = value.split(",") if isinstance(value, str) else value
    try:
        parts = list(parts) if isinstance(parts, Iterable) else [parts]
        found = sorted({int(part) for part in parts})
        if not found or found[0] < 1 or any(isinstance(p, float) and p % 1 for p in parts):
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError("must be one or more positive numbers, such as 50,200") from None
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """The choices that decide a benchmark's results, except for the data.

    ``recipe`` may be a ``TransferRecipe``, and ``modes`` a mapping from names to ``Mode``, in place of names.
    Of one seed, every label budget's subset contains the smaller budgets', and is the same for every row.
    """

    strategies: tuple[str, ...] = option(
        ("all",), "Names with commas, or all.", parse=names, metavar="TEXT"
    )
    labels: tuple[int, ...] = option(
        MISSING, "Label budgets with commas, as 50,200.", parse=label_budgets, metavar="TEXT"
    )
    seeds: int = option(5, "Number of seeds, counted up from the first.", within="[1, inf)")
    seed: int = option(0, "Random seed; decides every random choice.", within=f"[0, {2**31 - 1}]")
    recipe: str | TransferRecipe = option(
        "default",
        "default, linear-probe (the encoder stays frozen) or notebook (the notebook's).",
        parse=lambda value: value,
        metavar="TEXT",
    )
    modes: Any = option(
        (),
        "Ways of the transfer side by side, with commas: fine-tune, linear-probe, auto (a search of the "
        "reuse), pool (every row, scratch too, may learn from the pool).",
        parse=lambda value: (
            dict(value) if isinstance(value, Mapping) else names(value) if value else ()
        ),
        metavar="TEXT",
        usual="the recipe's",
    )
    encoder: str | None = option(
        None,
        "convnet, resnet, mlp or auto (by the data); several with commas.",
        usual="the recipe's",
    )
    encoder_options: Mapping[str, Any] = option(
        {}, "name=value, of the encoder; of several, ENCODER.name=value.", spelled=("encoder-opt",)
    )
    augment: str = option(
        "auto",
        "The random views, of strategies that learn from them; the list of pretrain names them.",
    )
    augment_options: Mapping[str, Any] = option(
        {}, "name=value, of the augmentation.", spelled=("augment-opt",)
    )
    options: Mapping[str, Any] = option(
        {}, "STRATEGY.name=value, of a strategy, as rbm.finetune=10.", spelled=("opt",)
    )
    primary: str | None = option(
        None,
        "The strategy of the primary question, to be named before there are results: it is not corrected for "
        "the number of strategies.",
        usual="the best of all",
    )
    pretrain_epochs: int | None = option(
        None, "Epochs of every strategy.", within="[1, inf)", usual="its own"
    )
    pretrain_seconds: float | None = option(
        None,
        "Equal cost: as many epochs of every strategy as take this long on one thread, measured once.",
        within="(0, inf)",
    )
    pretrain_updates: int | None = option(
        None, "As many epochs of every strategy as make these updates.", within="[1, inf)"
    )
    pretrain_fields: Mapping[str, Any] = option(
        {}, "Fields of every pretraining's recipe, by name.", command=False
    )
    validation: float = option(
        0.1, "Share of the pool that pretraining holds out.", within="[0, 1)", command=False
    )

    def __post_init__(self) -> None:
        check_options(self)
        for row, info in options_of(type(self)):
            if info.parse is not None:
                object.__setattr__(self, row.name, info.parse(getattr(self, row.name)))
        lengths = (self.pretrain_epochs, self.pretrain_seconds, self.pretrain_updates)
        if sum(given is not None for given in lengths) > 1:
            raise InputError(
                f"{arg.pretrain_epochs}, {arg.pretrain_seconds} and {arg.pretrain_updates} each decide how "
                f"long pretraining is.",
                hint="Give one of them.",
            )

    @property
    def seed_values(self) -> list[int]:
        """The seeds, each of subsets, initial weights and order."""
        return [self.seed + i for i in range(self.seeds)]

    @property
    def budget(self) -> Budget | None:
        """The cost of each pretraining; None leaves every strategy its own epochs."""
        if self.pretrain_seconds is None and self.pretrain_updates is None:
            return None
        return Budget(seconds=self.pretrain_seconds, updates=self.pretrain_updates)

    @property
    def strategy_options(self) -> dict[str, dict[str, Any]]:
        """``options`` by strategy: {"rbm": {"k": "2"}} of {"rbm.k": "2"}, or as they are if nested."""
        found: dict[str, dict[str, Any]] = {}
        for key, value in self.options.items():
            name, dot, own = key.partition(".")
            if isinstance(value, Mapping):
                found.setdefault(key, {}).update(value)
            elif dot and own:
                found.setdefault(name, {})[own] = value
            else:
                raise InputError(
                    "must be spelled STRATEGY.name=value",
                    argument="options",
                    value=f"{key}={value}",
                )
        return found

    def mode_table(self) -> dict[str, Mode]:
        """Return the modes by name; without names, the one that the recipe is. Raises InputError."""
        from transfer.recipes import recipe as named

        if isinstance(self.modes, Mapping):
            return dict(self.modes)
        recipe = named(self.recipe)
        if not self.modes:
            return {LINEAR_PROBE if self.recipe == LINEAR_PROBE else FINE_TUNE: Mode(recipe=recipe)}
        for name in self.modes:
            if name not in MODES:
                raise InputError(
                    f"must name ways of a transfer: there is no {name!r}.{suggest(name, MODES)}",
                    argument="modes",
                    hint=f"There are: {', '.join(MODES)}.",
                )
        return {name: _mode(name, recipe) for name in self.modes}

    def with_recipe(self) -> BenchmarkConfig:
        """Return the configuration with the encoder and fields of pretraining that its recipe brings."""
        from pretrain.config import PRETRAIN_RECIPES, RECIPE_ALIASES, pretrain_recipe

        fields = dict(self.pretrain_fields)
        if self.recipe in (*PRETRAIN_RECIPES, *RECIPE_ALIASES):
            fields.setdefault("recipe", self.recipe)
        if self.pretrain_epochs is not None:
            fields["epochs"] = self.pretrain_epochs
        base = pretrain_recipe(fields.get("recipe", "default"))
        return replace(self, encoder=self.encoder or base.encoder, pretrain_fields=fields)


@dataclass(frozen=True, kw_only=True)
class ReadingConfig(ReadOptions, TestPartOptions):
    """How labelled data and pools are read."""


@dataclass(frozen=True, kw_only=True)
class RunnerConfig:
    """Where the work is done; it changes none of the results."""

    workers: int = option(1, "Processes of one thread each; 1 is this process.", within="[1, inf)")
    engine: str = option(
        "local",
        "Where the cells run: this machine's processes, or a Dask cluster (extra: dask).",
        choices=("local", "dask"),
    )
    scheduler: str | None = option(
        None, "The Dask scheduler's address.", usual="processes of this machine"
    )
    export_best: str | None = option(
        None,
        "Train the best network again and write best.keras: on the largest budget's labels, or all.",
        choices=(BUDGET, ALL),
        command=False,
        usual="it is not written",
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.scheduler is not None and self.engine != "dask":
            raise InputError(
                f"changes nothing without {arg.engine:dask}",
                argument="scheduler",
                hint="Leave it out.",
            )

    @property
    def in_process(self) -> bool:
        """Whether this process does the work itself."""
        return self.engine == "local" and self.workers == 1

    def threads(self, given: int | None) -> int | None:
        """Return the threads of an operation; None leaves it to what runs in this process already."""
        return given if self.in_process else given or 1

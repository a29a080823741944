"""A recipe's methods, with their options and their weights."""

from functools import partial

from kdcli.core import registry
from kdcli.core.method import Method
from kdcli.recipe.schema import Recipe
from kdcli.recipe.weight import weight_at
from kdcli.training.distiller import Term


def terms_of(recipe: Recipe) -> tuple[Term, ...]:
    """What the distiller scores, in the recipe's order; weights are functions of the epochs done,
    which ramps need."""
    epochs = int(recipe.train.epochs)
    return tuple(
        Term(name, method, partial(weight_at, recipe.methods[name].weight, epochs=epochs))
        for name, method in methods_of(recipe).items()
    )


def methods_of(recipe: Recipe) -> dict[str, Method]:
    """The recipe's methods with their options, by the names of their terms: a method may be used
    twice, under a name of its own (`hot: {use: kd, temperature: 10}`)."""
    return {
        name: registry.load("methods", use.use or name)(**use.options)
        for name, use in recipe.methods.items()
    }

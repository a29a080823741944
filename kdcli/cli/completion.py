"""What the shell completes; nothing heavy here."""


def models(incomplete: str) -> list[str]:
    """Families, small models, usual teachers; timm itself would take seconds to import."""
    from kdcli.models.families import EDGE, FAMILIES, TEACHERS

    small = {name for family in EDGE.values() for name in family}
    known = {*FAMILIES, *FAMILIES.values(), *small, *TEACHERS}
    return sorted(name for name in known if name.startswith(incomplete))


def recipes(incomplete: str) -> list[str]:
    """Shipped recipes."""
    from kdcli.recipe.load import recipe_names

    return [name for name in recipe_names() if name.startswith(incomplete)]


def runs(incomplete: str) -> list[str]:
    """Folders under runs/."""
    from kdcli.runs.find import all_runs

    return [str(r.path) for r in all_runs() if str(r.path).startswith(incomplete)]


def things(incomplete: str) -> list[str]:
    """What `kd inspect` looks at: models and runs; the shell itself knows files."""
    return [*models(incomplete), *runs(incomplete)]

"""The page's sections in their order: what each shows, or why it shows nothing."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from kdcli.core.text import counted, points
from kdcli.report.licences import licence_line
from kdcli.report.page.classes import confusion, recall, recalls
from kdcli.report.page.facts import Facts
from kdcli.report.page.forest import forest
from kdcli.report.page.learning import accuracies, band, gradient
from kdcli.report.page.models_table import models_table
from kdcli.report.page.reliability import confidences, reliability
from kdcli.report.page.report_points import by_size, by_time
from kdcli.report.page.roles import colour, names, shape, shown
from kdcli.report.page.section import Details, Key, Plot, Section, Table
from kdcli.report.page.svg import shorter
from kdcli.report.page.trade_off import trade_off
from kdcli.report.schema import Report, imitated
from kdcli.report.sentences import figures, worth_lines
from kdcli.report.table import LONG, learning_table, table


def sections(report: Report, facts: Facts) -> list[Section]:
    """All of them."""
    return [make(report, facts) for make in _SECTIONS]


def _legend(report: Report, among: Mapping[str, object]) -> tuple[Key, ...]:
    return tuple(Key(name, shape(r), colour(r)) for r, name in shown(names(report), among))


def _who(report: Report) -> str:
    """The student, or what a model that was measured alone is."""
    return names(report)["student"]


def _seeds(report: Report) -> int:
    return report.comparison.seeds if report.comparison else 1


# Figures -----------------------------------------------------------------------------------------


def _models(report: Report, facts: Facts) -> Section:
    rows = models_table(report, facts.files_ci95)
    said = (*figures(report), *worth_lines(report.exports or []))
    lead = "Nothing was measured on test images yet: kd evaluate does."
    if data := report.data:
        images = counted(data.test_images, "test image")
        lead = f"Measured on {images} of {data.name}, {data.classes:,} classes."
    if _seeds(report) > 1:
        lead += f" Accuracies are means over {_seeds(report)} seeds"
        seeds = report.models["student"].seeds
        lead += f", those of files of seed {seeds[0].seed}." if report.exports and seeds else "."
    folded = [Details("All figures", Table(["", *names(report).values()], table(report)))]
    folded += [Details("In words", lines=said)] if said else []
    return Section(
        "models",
        "Models",
        lead,
        Table(rows[0], rows[1:]),
        tuple(report.notes),
        details=tuple(folded),
    )


def _trade_off(report: Report, facts: Facts) -> Section:
    section = Section("trade-off", "Accuracy against size and time")
    what, sizes = by_size(report, facts.files_ci95)
    if len(sizes) < 2:
        alone = "there is a single model: nothing to compare its size with"
        return _without(section, alone if sizes else "kd evaluate measures accuracies")
    unit = "B" if what.startswith("size") else ""
    hollow = " Hollow: smaller files of the student." if any(p.hollow for p in sizes) else ""
    plots = [
        Plot(
            trade_off(sizes, what, unit),
            f"Against {what}",
            "Upper left is better; vertical lines are 95% intervals, side by side where sizes are "
            f"equal.{hollow}",
        )
    ]
    if times := by_time(report, facts.files_ci95):
        plots.append(
            Plot(
                trade_off(times, "one image, onnxruntime, one thread", "ms"),
                "Against time",
                f"Medians, with a line to the 90th percentile; measured on {report.measured_on}.",
            )
        )
    lead = "" if times else "Times are not known yet: kd export measures them."
    return replace(section, lead=lead, plots=tuple(plots))


def _gain(report: Report, facts: Facts) -> Section:
    section, c = Section("gain", "Gain over the baseline"), report.comparison
    if c is None:
        return _without(section, "there is no baseline to compare with")
    gains = facts.gains
    if gains is None:
        return _without(section, facts.lacking.get("gains", ""))
    if len(gains) > 1:
        caption = (
            "A square is a seed, its line the paired 95% interval over test images. The diamond is "
            "what the verdict speaks of: its interval allows for both, images and seeds."
        )
    else:
        caption = (
            "One seed, with its paired 95% interval over test images: of training again it says "
            "nothing. kd evaluate --seeds 3 does."
        )
    plot = Plot(forest(gains, c.gain, c.gain_ci95), "", caption)
    lead = f"{points(c.gain)} on average over {counted(c.seeds, 'seed')}, p = {c.p_value:.3g}."
    return replace(section, lead=lead if c.seeds > 1 else "", plots=(plot,))


def _learning(report: Report, facts: Facts) -> Section:
    section = Section("learning", "Learning")
    if not facts.curves:
        return _without(section, facts.lacking.get("curves", ""))
    roles = {curve.role: True for curve in facts.curves}
    several = len(facts.curves) > len(roles)
    caption = "Solid: validation. Dashed: training, whose images are varied on the way."
    caption += " Paler: further seeds." if several else ""
    plots = [Plot(accuracies(facts.curves), "Accuracy", caption, _legend(report, roles))]
    lead = ""
    if facts.shares:
        caption = "What pulls at the student's weights, term by term, and what at the end."
        ends = [(name, row[-1]) for name, row in facts.shares.terms.items()]
        keys = [Key(f"{n} {share:.0%}", "square", band(i)) for i, (n, share) in enumerate(ends)]
        drawn = gradient(facts.shares)
        plots.append(Plot(drawn, "Shares of the gradient", caption, tuple(reversed(keys))))
    else:
        lead = facts.lacking.get("shares", "")
    rows = learning_table(report)
    folded = (Details("Where they end", Table(rows[0], rows[1:])),) if rows else ()
    return replace(section, lead=_sentence(lead), plots=tuple(plots), details=folded)


def _reliability(report: Report, facts: Facts) -> Section:
    section = Section("reliability", "Can its confidence be believed?")
    if not facts.reliability:
        return _without(section, facts.lacking.get("reliability", ""))
    errors = {role: report.models[role].ece for role in facts.reliability}
    told = [f"{names(report)[r]} {e:.3f}" for r, e in errors.items() if e is not None]
    keys = _legend(report, facts.reliability)
    plots = (
        Plot(
            reliability(facts.reliability),
            "Accuracy against confidence",
            "On the dashed line answers are as often right as they are sure; below it they are too "
            "sure. Where a model is seldom so sure nothing is drawn.",
            keys,
        ),
        Plot(
            confidences(facts.reliability),
            "How sure they are",
            "The share of test images that is answered with so much confidence.",
            keys,
        ),
    )
    lead = f"Expected calibration error (0 is best): {', '.join(told)}." if told else ""
    return replace(section, lead=lead, plots=plots)


def _confusion(report: Report, facts: Facts) -> Section:
    section = Section("confusion", "What is taken for what")
    if facts.confusion:
        caption = f"Rows: what is shown. Columns: what the {_who(report)} takes it for, in %."
        plot = Plot(confusion(facts.confusion), "", caption)
        return replace(section, plots=(plot,), half=True)
    if facts.confused is None:
        return _without(section, facts.lacking.get("confusion", ""))
    above = imitated(report.models)
    heads = ["shown", "taken for", "test images", _who(report), *([above] if above else [])]
    rows = [
        [shorter(one.shown, LONG), shorter(one.taken_for, LONG)]
        + [f"{one.images:,}", f"{one.student:.1%}"]
        + ([_share(one.teacher)] if above else [])
        for one in facts.confused
    ]
    lead = "The most frequent confusions, as a share of the test images of the class shown."
    return replace(section, lead=lead, table=Table(heads, rows))


def _recall(report: Report, facts: Facts) -> Section:
    section, found = Section("recall", "Recall of each class"), recalls(report)
    if found is None:
        return _without(section, "kd evaluate measures it")
    caption = f"The {_who(report)}'s worst class first"
    caption += f"; right: minus {found.against}, in points." if found.against else "."
    if not found.whole:
        caption += f" Of {found.of:,} classes, the worst ones and those that changed most."
    plot = Plot(recall(found), "", caption, _legend(report, found.by_role))
    return replace(section, plots=(plot,), half=facts.confusion is not None)


# Images ------------------------------------------------------------------------------------------


def _differing(report: Report, facts: Facts) -> Section:
    section = Section("differing", "Where student and baseline differ")
    if (found := facts.differing) is None:
        return _without(section, facts.lacking.get("differing", ""))
    lead = (
        f"The student alone is right on {counted(found.only_student, 'test image')}, the baseline "
        f"alone on {found.only_baseline:,}"
    )
    lead += "; here those on which they are farthest apart." if found.tiles else "."
    return replace(section, lead=lead, tiles=found.tiles)


def _wrong(report: Report, facts: Facts) -> Section:
    section = Section("wrong", "Surely wrong")
    if (found := facts.wrong) is None:
        return _without(section, facts.lacking.get("wrong", ""))
    images = counted(found.images, "test image")
    lead = f"The {_who(report)} is wrong on {images}"
    some = "; here those of which it is surest. Some may be labelled wrongly."
    lead += some if found.tiles else "."
    return replace(section, lead=lead, tiles=found.tiles)


def _attention(report: Report, facts: Facts) -> Section:
    section = Section("attention", "Where they look")
    if (found := facts.attention) is None:
        return _without(section, facts.lacking.get("attention", ""))
    grids = ", ".join(
        f"{names(report).get(role, role)} {h} x {w}" for role, (h, w) in found.grids.items()
    )
    lead = (
        "Attention maps of the last stage that is fine enough (mean square over its channels): "
        f"bright where activations are strong, dark where they are weak. Cells: {grids}."
    )
    return replace(section, lead=lead, looks=found)


def _softened(report: Report, facts: Facts) -> Section:
    section = Section("softened", "Soft targets")
    if (found := facts.softened) is None:
        return _without(section, facts.lacking.get("softened", ""))
    taught = f" The student was taught at T = {found.own:g}." if found.own else ""
    lead = (
        f"Answers of the {found.who} to test images, in %, at rising temperatures T: what it holds "
        f"to be alike shows.{taught}"
    )
    return replace(section, lead=lead, softened=found)


def _story(report: Report, facts: Facts) -> Section:
    section = Section("story", "What was run")
    if (found := facts.story) is None:
        return _without(section, facts.lacking.get("story", ""))
    licences = licence_line(report.licences) if report.licences else ""
    rows = [
        *map(list, found.who),
        ["data", found.data],
        ["recipe", found.recipe_name],
        ["seeds", ", ".join(map(str, found.seeds))],
        ["started", found.started],
        ["trained on", found.machine or ""],
        ["threads", str(found.threads or "")],
        ["licences", licences.removeprefix("licences").lstrip(":, ")],
        ["timed on", report.measured_on or ""],
        ["versions", ", ".join(f"{name} {v}" for name, v in found.versions.items())],
        ["sha256 of model.pt", report.model_sha256],
    ]
    unknown = "Called from Python, so no command line is known; the recipe has all settings."
    return replace(
        section,
        lead="" if found.commands else unknown,
        table=Table([], [row for row in rows if row[1]]),
        commands=found.commands,
        details=(Details("The recipe, resolved", text=found.recipe),),
    )


_SECTIONS: tuple[Callable[[Report, Facts], Section], ...] = (
    *(_models, _trade_off, _gain, _learning, _reliability, _confusion, _recall),
    *(_differing, _wrong, _attention, _softened, _story),
)


def _without(section: Section, why: str) -> Section:
    return replace(section, lacking=_sentence(why or "nothing is known of it"))


def _sentence(words: str) -> str:
    first = words.split()[0] if words else ""
    begin = words[:1] if "." in first or first == "kd" else words[:1].upper()
    return f"{begin}{words[1:]}." if words else ""


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"

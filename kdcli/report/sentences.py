"""A report's figures in lines: gains, ensembles, latency, parity, folded heads, smaller files."""

from collections.abc import Sequence

from kdcli.core.latency import beyond
from kdcli.core.text import counted, points, signed, size_in_words, span
from kdcli.report.comparison import WORTH_CLOSING, Comparison, EnsembleComparison, Speedup
from kdcli.report.export import Export, FoldPart, ParityPart, QuantizedPart
from kdcli.report.model import DevicePart, ModelPart, Percentiles, Range, TeacherPart
from kdcli.report.schema import Report, between, imitated
from kdcli.report.table import UNEVEN

TELLING = {"ensemble": "nearer the ensemble", "single": "nearer its best member"}


def ensemble_lines(c: EnsembleComparison, members: list[TeacherPart]) -> list[str]:
    """What the ensemble adds, what of it the student kept, and whom it takes after."""
    accuracies = [member.accuracy for member in members]
    lines = [_ahead(c) + _kept(c)]
    if accuracies:
        average = sum(accuracies) / len(accuracies)
        lines.append(
            f"its members: test accuracy {min(accuracies):.4f} to {max(accuracies):.4f}, "
            f"{average:.4f} on average"
        )
    lines += [
        f"the student's accuracy: {points(c.gap_to_ensemble)} against the ensemble "
        f"(95% CI {_span(c.gap_to_ensemble_ci95)}), {points(c.gap_to_single)} against its best "
        f"member (95% CI {_span(c.gap_to_single_ci95)}): {_nearer(c.closer_to.accuracy)}",
        f"the student's answers: as the ensemble's on {c.agreement_with_ensemble:.1%} of images, "
        f"as its best member's on {c.agreement_with_single:.1%}, as a member's on "
        f"{c.agreement_with_members:.1%} on average: {_nearer(c.closer_to.agreement)}",
    ]
    return lines


def _ahead(c: EnsembleComparison) -> str:
    gain, interval = c.gain_over_single, f"95% CI {_span(c.gain_over_single_ci95)}"
    whole = f"the ensemble of {c.members:,} is"
    if gain <= 0:
        return f"{whole} not ahead of its best member: {points(gain)} ({interval})"
    luck = ", which may be luck" if c.gain_over_single_ci95.low <= 0 else ""
    return f"{whole} {100 * gain:.1f} points ahead of its best member ({interval}{luck})"


def _kept(c: EnsembleComparison) -> str:
    if c.gap_kept is None:
        return f"; the student has {_share(c.params_ratio)} its parameters"
    kept = f"{c.gap_kept:.0%}" if c.gap_kept >= 0 else "nothing"
    return f"; the student kept {kept} of that, at {_share(c.params_ratio)} the parameters"


def _share(ratio: float) -> str:
    """`1/5 of` where one has five times as many."""
    return f"1/{ratio:.3g} of" if ratio >= 1 else f"{1 / ratio:.3g} times"


def _nearer(closer: str) -> str:
    return TELLING.get(closer, "these images cannot tell to which it is nearer")


def peers_line(models: dict[str, ModelPart]) -> str | None:
    """What student and peers as one would add, and cost; None where there are no peers."""
    peers, student = models.get("peers"), models["student"]
    if peers is None or peers.accuracy is None or student.accuracy is None:
        return None
    who = "all networks" if "peer_0" in models else "student and peers"  # the student is fused
    return (
        f"{who} as one: {points(peers.accuracy - student.accuracy)} against the "
        f"student, at {peers.params / student.params:.3g} times its parameters"
    )


def hops(models: dict[str, ModelPart]) -> str | None:
    """How much each step of a chain lost or gained on test; None where there is a single one."""
    above, on_the_way = imitated(models), between(models)
    if not (above and on_the_way):
        return None
    roles = [r for r in (above, *on_the_way, "student") if models[r].accuracy is not None]
    accuracies = [models[role].accuracy or 0.0 for role in roles]
    steps = [f"{roles[0]} {accuracies[0]:.4f}"]
    steps += [
        f"{role.replace('_', ' ')} {here:.4f} ({points(here - before)})"
        for role, here, before in zip(roles[1:], accuracies[1:], accuracies, strict=False)
    ]
    return f"test accuracy along the chain: {', '.join(steps)}"


def all_generations(models: dict[str, ModelPart]) -> str | None:
    """What a student and its earlier generations do as one; None where there are none."""
    if not (whole := models.get("generations")):
        return None
    student = models["student"]
    ahead = (whole.accuracy or 0.0) - (student.accuracy or 0.0)
    return (
        f"all generations as one: test accuracy {whole.accuracy:.4f} ({points(ahead)} against the "
        f"student), with {_share(student.params / whole.params)} its parameters"
    )


def faster(report: Report, found: Speedup) -> str:
    """Both ratios, each against its own noise; one within it is called so, and none is claimed."""
    above = imitated(report.models)
    indicative = ", quick: indicative" if report.protocol == "quick" else ""
    where = f"({report.measured_on}{indicative})"
    if beyond(found.onnxruntime, report.noise) and beyond(found.pytorch, report.noise_pytorch):
        return (
            f"{found.onnxruntime:.3g}x as fast as the {above} in onnxruntime, "
            f"{found.pytorch:.3g}x in PyTorch {where}"
        )
    onnxruntime = _told(found.onnxruntime, report.noise)
    pytorch = _told(found.pytorch, report.noise_pytorch)
    return f"beside the {above}: in onnxruntime {onnxruntime}, in PyTorch {pytorch} {where}"


def _told(ratio: float, noise: float | None) -> str:
    if beyond(ratio, noise):
        return f"{ratio:.3g}x as fast"
    known = "unknown" if noise is None else f"{noise:.1%}"
    return f"no faster or slower than can be told (x{ratio:.2f}, noise {known})"


def in_use(export: Export) -> list[str]:
    """What a file takes of time and memory: here, and on every device that measured it."""
    return [
        f"here: {_times(export.latency_ms, export.memory_bytes)}",
        *(
            f"on {part.device} ({part.system}, {counted(part.threads, 'thread')}, onnxruntime "
            f"{part.onnxruntime}): {_times(part, part.memory_bytes)}"
            for part in export.measured
        ),
    ]


def _times(found: Percentiles | DevicePart, memory: int | None) -> str:
    """`4.1 / 4.4 ms, 35 MB (p99 5.2 ms, the first image 30 ms)`."""
    words = f"{found.p50:.3g} / {found.p90:.3g} ms"
    if memory is not None:
        words += f", {size_in_words(memory)} of memory"
    if found.p99 is None or found.cold is None:
        return words
    return f"{words} (p99 {found.p99:.3g} ms, the first image {found.cold:.3g} ms)"


def figures(report: Report) -> list[str]:
    """The comparison in a few lines, for terminal, report.md and model card alike; none of a model
    that was measured alone."""
    if (c := report.comparison) is None:
        return []
    above = imitated(report.models)
    lines = [
        f"gain over the baseline {points(c.gain)} (95% CI {_span(c.gain_ci95)}), "
        f"p = {c.p_value:.3g}, {c.seeds} seed{'s' if c.seeds > 1 else ''}",
    ]
    if over := c.self_training:
        lines.append(
            f"over self-training, whose teacher is the baseline: {points(over.gain)} (95% CI "
            f"{_span(over.gain_ci95)}), p = {over.p_value:.3g}"
        )
    if c.accuracy_drop is not None and c.agreement is not None and c.size_reduction is not None:
        lines.append(
            f"{_smaller(c.size_reduction, c.macs_reduction)}accuracy {points(-c.accuracy_drop)} "
            f"against the {above}, agreement {c.agreement:.3f}"
        )
    elif c.size_reduction is not None and (told := _smaller(c.size_reduction, c.macs_reduction)):
        lines.append(f"{told.removesuffix(', ')} against the {above}")
    if together := peers_line(report.models):
        lines.append(together)
    if c.ensemble:
        lines += ensemble_lines(c.ensemble, report.teachers or [])
    lines += _on_classes(report, c)
    if c.speedup:
        lines.append(faster(report, c.speedup))
    lead = (c.accuracy_drop or 0.0) + c.gain  # the teacher's, over the baseline
    if c.gap_closed is not None and lead >= WORTH_CLOSING:
        lines.append(f"share of the baseline-to-{above} gap closed: {c.gap_closed:.0%}")
    if c.distillation_score is not None:
        lines.append(f"distillation score {c.distillation_score:.3f} (lower is better)")
    return lines


def _smaller(size: float, macs: float | None) -> str:
    """`size -96.4%, MACs -98.6%, `; a student may be larger; nothing where both are equal."""
    found = {"size": size, "MACs": macs}
    changes = {what: -round(r, 3) for what, r in found.items() if r is not None}
    told = changes if any(changes.values()) else {}
    return "".join(f"{what} {signed(change, '.1%')}, " for what, change in told.items())


def _on_classes(report: Report, c: Comparison) -> list[str]:
    """The gain with all classes counted alike, and which class paid for the smaller model."""
    lines = []
    imbalance = (report.data and report.data.imbalance) or 1
    if c.balanced_gain is not None and c.balanced_gain_ci95 and imbalance > UNEVEN:
        lines.append(
            f"with every class counted alike, gain {points(c.balanced_gain)} "
            f"(95% CI {_span(c.balanced_gain_ci95)})"
        )
    if lost := c.class_lost_most:
        classes = len(report.models["student"].recall or {})
        lines.append(
            f"most lost from {imitated(report.models)} to student: class '{lost.name}', "
            f"{points(-lost.drop)} (95% CI {span(-lost.ci95.high, -lost.ci95.low)}, allowing for "
            f"{classes} classes, {lost.test_images} test image{'s' * (lost.test_images > 1)})"
        )
    return lines


def input_words(export: Export) -> str:
    """What the file takes, where that is not a tensor of any number of images."""
    pixels = ["uint8 pixels in, probabilities out"] * (export.input == "pixels")
    sizes = ["images of any size"] * export.resize
    several = [] if export.batch is None else [f"always {counted(export.batch, 'image')} at a time"]
    return ", ".join(pixels + sizes + several)


def as_sentence(words: str) -> str:
    """Words behind a full stop, as a sentence of their own; nothing of nothing."""
    return f" {words[0].upper()}{words[1:]}." if words else ""


def parity_words(part: ParityPart) -> str:
    """How far a file is from PyTorch, on how many images of which kind."""
    return (
        f"max |difference| to PyTorch {part.max_abs:.1e}, top-1 changed on {part.top1_changed} of "
        f"{part.images} {'made-up' if part.synthetic else 'test'} images"
    )


def fold_words(part: FoldPart) -> str:
    """What became of a student's heads, why, and what it did to the answers."""
    what = "folded into one" if part.folded else "kept, and answer as one"
    words = f"{part.heads} heads {what}: {part.reason}"
    if part.accuracy_exact is None or part.accuracy_folded is None:
        return words
    return (
        f"{words}; on validation, all heads and folded: accuracy {part.accuracy_exact:.4f} and "
        f"{part.accuracy_folded:.4f}, agreement {part.agreement:.3f}, KL {part.kl:.2g}, "
        f"calibration error {part.ece_exact:.3f} and {part.ece_folded:.3f}"
    )


def worth_lines(exports: Sequence[Export], details: bool = True) -> list[str]:
    """The verdict on each file that has one, and in detail how int8 was made."""
    lines = [f"{one.precision}: {one.worth.reason}" for one in exports if one.worth]
    if not details:
        return lines
    return lines + [quantized_words(one.quantized) for one in exports if one.quantized]


def quantized_words(part: QuantizedPart) -> str:
    """How it was made, and what it did on validation."""
    steps = [
        f"{part.calibration} on {part.images} training images",
        *["pre-processed"] * part.preprocessed,
        *(f"{name} left in float32" for name in part.left_out),
        *["weights of 7 bits"] * part.reduce_range,
    ]
    return (
        f"int8 for {part.target}: {', '.join(steps)}; chosen of {len(part.tried)} on "
        f"{part.validation_images} validation images, accuracy there {part.accuracy:.4f} (fp32 "
        f"{part.accuracy_fp32:.4f})"
    )


def _span(interval: Range) -> str:
    return span(interval.low, interval.high)

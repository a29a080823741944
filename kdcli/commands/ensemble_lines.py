"""What a report says of ensembles (teachers, peers) and of a chain, in lines."""

from kdcli.commands.amounts import points, span
from kdcli.commands.model_part import ModelPart, TeacherPart
from kdcli.commands.report import EnsembleComparison, between, imitated

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
        f"(95% CI {span(c.gap_to_ensemble_ci95)}), {points(c.gap_to_single)} against its best "
        f"member (95% CI {span(c.gap_to_single_ci95)}): {_nearer(c.closer_to.accuracy)}",
        f"the student's answers: as the ensemble's on {c.agreement_with_ensemble:.1%} of images, "
        f"as its best member's on {c.agreement_with_single:.1%}, as a member's on "
        f"{c.agreement_with_members:.1%} on average: {_nearer(c.closer_to.agreement)}",
    ]
    return lines


def _ahead(c: EnsembleComparison) -> str:
    gain, interval = c.gain_over_single, f"95% CI {span(c.gain_over_single_ci95)}"
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
    roles = [above, *on_the_way, "student"]
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

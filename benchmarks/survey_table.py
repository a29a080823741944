"""One teacher, three sizes of student, five methods: what each keeps at which size.

    python benchmarks/survey_table.py fashion_mnist [--images 5000] [--seeds 3]

resnet18 (11.2 million parameters) teaches a student that is 56% smaller, one that is 75%, and one
that is 95% smaller, counted in parameters; the table is that of `kd compare RUN... --survey`.
`fashion_mnist` takes 5,000 of the training images of the Debian package dataset-fashion-mnist, at
28 x 28 pixels, and all 10,000 test images. About two and a half hours on one thread.
Resumable: finished runs in --pool are reused; several may share the work by --only and --methods.
"""

import argparse
import json

from study import TRAINING, asked_study
from tables import say, show

from kdcli.commands.compare import compare
from kdcli.commands.evaluate import evaluate
from kdcli.core.files import write_text
from kdcli.core.progress import Silent
from kdcli.report.candidates import survey_table
from kdcli.report.markdown_text import markdown_table
from kdcli.report.survey import scores
from kdcli.training.ensure import ensure

TEACHER = "resnet18"
STUDENTS = {
    "resnet10t": (),
    "regnety_002": ("student.stem_stride=1",),
    "mobilenetv3_small_050": ("student.stem_stride=1",),
}
"""The two narrow ones see small images as they are: at a stride of 2 too little is left of them."""
METHODS = ("kd", "at", "fitnet", "rkd", "dkd")
"""Two of answers, two of features, one of relations; at their published weights."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", choices=TRAINING)
    parser.add_argument("--only", default=",".join(STUDENTS), help="Students, by their names.")
    parser.add_argument("--methods", default=",".join(METHODS))
    asked, study = asked_study(parser, "runs/survey-table-pool")
    runs = []
    for student in asked.only.split(","):
        for method in asked.methods.split(","):
            job = study.job(method, student, TEACHER, *STUDENTS[student])
            runs.append(str(ensure(job.spec, job.site(Silent()), asked=True).run.path))
            report = evaluate(runs[-1], seeds=study.seeds, device="cpu", progress=Silent()).report
            say(asked, f"{student}, {method}: {report.verdict}")
    found = compare(runs, no_measure=True, survey=True, progress=Silent())
    assert found.survey
    if asked.out:
        write_text(asked.out, json.dumps(found.as_dict(), indent=1) + "\n")
    table = markdown_table(*survey_table(found))
    show(asked, found.as_dict(), [*table, "", scores(found.survey)])


if __name__ == "__main__":
    main()

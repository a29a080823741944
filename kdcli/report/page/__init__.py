"""report.html: one self-contained page of a run; plots are SVG, drawn here."""

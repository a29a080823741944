"""Many trainings: which there are (`grid`), who needs whom (`graph`), and who carries them out
(`engine`)."""

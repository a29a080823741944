"""What report.html shows beyond the record: gathered from a run's files, its models and images."""

"""The record: schema of report.json, verdict, gates, report.md."""

"""What every `--json` prints, `"schema": 1`: a record for each command (`commands/schema.py`).

Within a version keys may come; none goes, and none means something else.
"""

"""Where images come from, a file per kind of source."""

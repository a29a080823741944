"""What everything stands on: errors, words, files, this machine; the nouns of a step."""

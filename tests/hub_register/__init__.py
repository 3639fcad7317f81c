"""The register of a generated school, compared row for row with a second program."""

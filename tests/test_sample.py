"""The sample data set is the file that its description says it is."""

from __future__ import annotations

import csv
import hashlib

from connector.packaged import sample_file


def test_the_sample_is_byte_for_byte_what_its_readme_says() -> None:
    digest = hashlib.sha256(sample_file("weather.csv").read_bytes()).hexdigest()
    assert f"SHA-256 | `{digest}`" in sample_file("README.md").read_text()


def test_every_column_of_the_sample_is_explained() -> None:
    readme = sample_file("README.md").read_text()
    with sample_file("weather.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 26_115
    assert [name for name in rows[0] if f"`{name}`" not in readme] == []

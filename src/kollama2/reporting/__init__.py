"""The report: from the records of a study to a table, charts and one self-contained page."""
